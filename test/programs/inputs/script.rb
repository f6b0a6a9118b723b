# SPDX-License-Identifier: MIT
# Hashes, strings, threads, fibres and the garbage collector.
require "digest"
require "json"

Item = Struct.new(:id, :name, :parts)

def build(seed)
  random = Random.new(seed)
  items = (1..8000).map do |i|
    Item.new(i, "item-#{random.rand(1000)}" * random.rand(1..9),
             Array.new(random.rand(20)) { random.rand(1 << 70) })
  end
  items.group_by(&:name).map { |name, group|
    [name, group.map { |item| item.parts.sum }]
  }.sort
end

4.times { |seed| puts Digest::SHA256.hexdigest(build(seed).to_json) }
threads = (10..13).map { |seed|
  Thread.new { Digest::SHA256.hexdigest(JSON.generate(build(seed))) }
}
threads.each { |thread| puts thread.value }
fibres = (1..200).map { |i|
  Fiber.new { 3.times { |j| Fiber.yield "#{i}:#{j}" * i } }
}
puts Digest::SHA256.hexdigest((1..3).map { fibres.map(&:resume).join }.join)
text = +""
20_000.times { |i| text << (i % 97).to_s * (i % 7) }
puts Digest::SHA256.hexdigest(text.gsub(/1(\d)/) { "<#{$1}>" })
GC.start
GC.compact if GC.respond_to?(:compact)
puts IO.popen(["cat"], "r+") { |pipe| pipe.write("child"); pipe.close_write; pipe.read }
