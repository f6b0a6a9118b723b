# SPDX-License-Identifier: MIT
# Dictionaries, lists, strings and regular expressions.
set state 7
proc next_random {bound} {
    global state
    set state [expr {($state * 1103515245 + 12345) % 2147483648}]
    return [expr {$state / 65536 % $bound}]
}
set table [dict create]
for {set i 0} {$i < 30000} {incr i} {
    dict lappend table [next_random 2000] $i
    if {$i % 5 == 0} { dict unset table [next_random 2000] }
}
set lines {}
foreach key [lsort -integer [dict keys $table]] {
    lappend lines "$key [llength [dict get $table $key]]"
}
puts "[llength $lines] [zlib crc32 [join $lines \n]]"
set text {}
for {set i 0} {$i < 20000} {incr i} {
    append text "w[next_random 700] " [string repeat a [expr {$i % 9}]]
}
puts [regsub -all {w(\d+) } $text {<\1>} changed]
puts [zlib crc32 $changed]
set packed [zlib compress [encoding convertto utf-8 $changed] 6]
puts [string equal $changed [zlib decompress $packed]]
foreach n {1 2 3} { interp create child$n; child$n eval {set big [string repeat x 100000]}; interp delete child$n }
puts [expr {7 ** 900 % 1000003}]
