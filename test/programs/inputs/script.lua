-- SPDX-License-Identifier: MIT
-- Tables, strings, coroutines and closures; checksums are printed.
local state = 42
local function next_random(bound)
  state = (state * 1103515245 + 12345) % 2147483648
  return state // 65536 % bound
end

local function checksum(text)
  local sum = 5381
  for i = 1, #text do sum = (sum * 33 + text:byte(i)) % 4294967296 end
  return sum
end

local rows = {}
for i = 1, 100000 do
  rows[next_random(20000)] = { id = i, text = ("x"):rep(next_random(64)) }
  if i % 3 == 0 then rows[next_random(20000)] = nil end
end
local keys = {}
for key in pairs(rows) do keys[#keys + 1] = key end
table.sort(keys)
local parts = {}
for _, key in ipairs(keys) do
  parts[#parts + 1] = key .. "=" .. rows[key].id .. rows[key].text
end
print(#keys, checksum(table.concat(parts, "\n")))

local generators = {}
for i = 1, 500 do
  generators[i] = coroutine.wrap(function()
    local held = {}
    for j = 1, 20 do
      held[j] = ("%d-%d"):format(i, j)
      coroutine.yield(table.concat(held))
    end
  end)
end
local total = 0
for _ = 1, 20 do
  for i = 1, #generators do total = total + checksum(generators[i]()) end
end
print(total)
local text = ("the quick brown fox "):rep(5000)
print(checksum(text:gsub("(%w+) (%w+)", "%2 %1")), checksum(text:upper()))
collectgarbage()
print(collectgarbage("count") > 0)
