-- SPDX-License-Identifier: MIT
--
-- tables - small tables, strings that are built, closures; the collector
-- frees them.
--
--     lua5.4 tables.lua ROUNDS

local rounds = math.tointeger(arg[1])
local state = 12345

local function random_below(limit)
    state = (state * 1103515245 + 12345) & 0x7fffffff
    return (state >> 8) % limit
end

local function point(number)
    return { x = random_below(1000), y = random_below(1000),
             name = "point " .. number, near = {} }
end

local function neighbours(points)
    for index = 2, #points do
        local one, two = points[index], points[random_below(index - 1) + 1]
        one.near[#one.near + 1] = two
        two.near[#two.near + 1] = one
    end
end

local function describe(points)
    local parts = {}
    for _, one in ipairs(points) do
        if #one.near > 1 then
            parts[#parts + 1] = string.format("%s(%d,%d)", one.name, one.x,
                                              one.near[1].y)
        end
    end
    return table.concat(parts, ";")
end

local total, kept = 0, {}
for round = 1, rounds do
    local points = {}
    for number = 1, 6000 do
        points[number] = point(number)
    end
    neighbours(points)
    local text = describe(points)
    for name, x in text:gmatch("(%w+ %d+)%((%d+)") do
        kept[name] = (kept[name] or "") .. string.char(97 + x % 26)
    end
    table.sort(points, function(a, b)
        return a.x < b.x or a.x == b.x and a.name < b.name
    end)
    total = (total * 31 + #text + points[round].y) % 1000003
end
print(total)
