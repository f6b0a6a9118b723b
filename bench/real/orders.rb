# SPDX-License-Identifier: MIT
#
# orders - objects, strings, symbols and hashes of a small shop.
#
#     ruby orders.rb ROUNDS

Item = Struct.new(:name, :price, :count)

# An order and how it is printed.
class Order
  attr_reader :id, :items, :notes

  def initialize(id, items)
    @id = id
    @items = items
    @notes = { opened: "order #{id}", state: :new }
  end

  def total
    items.sum { |item| item.price * item.count }
  end

  def to_s
    lines = items.map { |item| format("%-20s %5d", item.name, item.count) }
    "#{notes[:opened]}: #{lines.join(' | ')} = #{total}"
  end
end

def random_below(limit)
  @state = ((@state || 12_345) * 1_103_515_245 + 12_345) & 0x7fffffff
  (@state >> 8) % limit
end

def order(id)
  items = Array.new(1 + random_below(6)) do
    Item.new("item #{random_below(900)} " + "x" * random_below(60),
             random_below(500), 1 + random_below(4))
  end
  Order.new(id, items)
end

sum = 0
kept = {}
ARGV[0].to_i.times do |round|
  orders = Array.new(500) { |number| order(round * 500 + number) }
  text = orders.map(&:to_s).join("\n")
  sum = (sum * 31 + text.bytesize + text.count("x")) % 1_000_003
  by_item = Hash.new { |hash, name| hash[name] = [] }
  orders.each { |one| one.items.each { |item| by_item[item.name] << one } }
  by_item.each_value { |some| sum += some.map(&:total).max }
  dear = orders.select { |one| one.total > 4000 }
  dear.each { |one| kept[one.id] = one.to_s }
  text.scan(/item (\d+)/) { |(number)| sum += number.to_i }
end
puts sum, kept.size
