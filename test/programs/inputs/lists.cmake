# SPDX-License-Identifier: MIT
# Lists, strings and regular expressions in cmake's own language.
cmake_minimum_required(VERSION 3.25)
set(items)
foreach(i RANGE 1 3000)
    math(EXPR value "(${i} * 7919) % 1009")
    list(APPEND items "item-${value}")
endforeach()
list(SORT items COMPARE NATURAL)
list(REMOVE_DUPLICATES items)
list(LENGTH items count)
string(REGEX REPLACE "item-([0-9]+)" "<\\1>" text "${items}")
string(SHA256 digest "${text}")
message(STATUS "${count} ${digest}")
