# SPDX-License-Identifier: MIT
#
# check_headers.cmake - a test: every header compiles when it is included alone
# and when it is included twice; the public ones also as strict C99 and as C++.
#
# Given: SOURCE (the repository), CC and WARNINGS.
cmake_minimum_required(VERSION 3.25)

file(GLOB own ${SOURCE}/src/*/*.h)
file(GLOB public ${SOURCE}/include/*/*.h)
if(NOT own OR NOT public)
    message(FATAL_ERROR "There is nothing to check in ${SOURCE}.")
endif()
find_program(CXX NAMES g++ clang++ REQUIRED)

set(failed "")

# Compiles an empty file after the header; ARGN is the compiler's command.
function(check header)
    execute_process(
        COMMAND ${ARGN} -fsyntax-only -Werror -Wall -Wextra
            -I${SOURCE}/include -include ${header} -include ${header} /dev/null
        RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        set(failed ${failed} ${header} PARENT_SCOPE)
    endif()
endfunction()

foreach(header IN LISTS own)
    check(${header} ${CC} -std=gnu11 ${WARNINGS}
        -D_GNU_SOURCE= -DASHLAR_DEBUG=1
        -I${SOURCE}/src -x c)
endforeach()
foreach(header IN LISTS public)
    foreach(names IN ITEMS -DASHLAR_PREFIX=x_ -DJEMALLOC_NO_DEMANGLE
            "-DJEMALLOC_PREFIX=x_;-DJEMALLOC_MANGLE" -DJEMALLOC_MANGLE)
        check(${header} ${CC} -std=c99 -Wpedantic ${WARNINGS} ${names} -x c)
    endforeach()
    check(${header} ${CC} -std=c99 -Wpedantic ${WARNINGS} -x c)
    check(${header} ${CC} -std=c11 -Wpedantic ${WARNINGS} -x c)
    check(${header} ${CXX} -std=c++11 -Wpedantic -Wold-style-cast -x c++)
endforeach()

if(failed)
    list(REMOVE_DUPLICATES failed)
    list(JOIN failed "\n  " failed)
    message(FATAL_ERROR "These do not compile alone:\n  ${failed}")
endif()
