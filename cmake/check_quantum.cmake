# SPDX-License-Identifier: MIT
#
# check_quantum.cmake - a test: a build of quantum 8 keeps its invariants, and
# Valkey finds the classes in it that it asserts.
#
# Given: SOURCE (the repository), BUILD (the build folder) and CC.
cmake_minimum_required(VERSION 3.25)

set(scratch ${BUILD}/check_quantum)
find_program(PYTHON python3 REQUIRED)
set(tests
    unit-heap-class unit-heap-slab unit-heap-bin unit-heap-hand unit-heap-check
    unit-heap-list unit-heap-smallest unit-ctl-leaf model-debug
    stress-debug-storm)

# Runs a command, which must succeed.
function(must)
    execute_process(COMMAND ${ARGN}
        OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        list(JOIN ARGN " " command)
        message(FATAL_ERROR "${command}\n${output}\nended with ${status}")
    endif()
endfunction()

# The core as one file takes a tenth of the time.
must(${CMAKE_COMMAND} -S ${SOURCE} -B ${scratch} -DASHLAR_QUANTUM=8
    -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=0
    -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=${CC})
must(${CMAKE_COMMAND} -E env --unset=MAKEFLAGS --unset=MAKELEVEL
    ${CMAKE_COMMAND} --build ${scratch} --target ashlar_jemalloc ${tests})
list(JOIN tests "|" names)
must(${CMAKE_CTEST_COMMAND} --test-dir ${scratch} --output-on-failure
    --no-tests=error -R "^(${names})$")
foreach(pattern IN ITEMS valkey_bins redis_defrag)
    must(${PYTHON} ${SOURCE}/test/clients/patterns.py --build ${scratch}
        --quantum 8 --suite ${pattern})
endforeach()

# -- what can be no quantum --

execute_process(
    COMMAND ${CMAKE_COMMAND} -S ${SOURCE} -B ${scratch}/refused
        -DASHLAR_QUANTUM=12 -DCMAKE_C_COMPILER=${CC}
    OUTPUT_QUIET ERROR_VARIABLE said RESULT_VARIABLE status)
if(status EQUAL 0 OR NOT said MATCHES "8 or 16, not 12")
    message(FATAL_ERROR "ASHLAR_QUANTUM=12 was not refused: ${said}")
endif()

file(REMOVE_RECURSE ${scratch})
