# SPDX-License-Identifier: MIT
#
# check_clang.cmake - a test: clang has no warning about the library, in any of
# the ways that it is compiled. (The build itself says the same of its compiler.)
#
# Given: SOURCE (the repository) and WARNINGS.
cmake_minimum_required(VERSION 3.25)

find_program(CLANG clang REQUIRED)
file(GLOB sources ${SOURCE}/src/*/*.c)
if(NOT sources)
    message(FATAL_ERROR "There is nothing to check in ${SOURCE}/src.")
endif()
set(common -std=gnu11 -fsyntax-only -Werror ${WARNINGS}
    -D_GNU_SOURCE= -I${SOURCE}/src -I${SOURCE}/include)

set(failed "")
foreach(way IN ITEMS
        "-DASHLAR_DEBUG=0"
        "-DASHLAR_DEBUG=1"
        "-DASHLAR_DEBUG=1 -DASHLAR_QUANTUM=8"
        "-DASHLAR_DEBUG=1 -DASHLAR_PREFIX=ash_")
    separate_arguments(definitions UNIX_COMMAND ${way})
    execute_process(
        COMMAND ${CLANG} ${common} ${definitions} ${sources}
        RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        list(APPEND failed ${way})
    endif()
endforeach()
if(failed)
    list(JOIN failed "\n  " failed)
    message(FATAL_ERROR "clang warns when compiling with\n  ${failed}")
endif()
