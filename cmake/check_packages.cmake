# SPDX-License-Identifier: MIT
#
# check_packages.cmake - a test: tools/setup.sh installs every package that the
# scripts of tests say they use, so that `make check` works on a new machine.
#
# Given: SOURCE (the repository).
cmake_minimum_required(VERSION 3.25)

find_program(PYTHON python3 REQUIRED)
execute_process(
    COMMAND sh ${SOURCE}/tools/setup.sh --list build check
    OUTPUT_VARIABLE installed
    COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" installed "${installed}")

file(GLOB scripts ${SOURCE}/test/*/run.py)
if(NOT scripts)
    message(FATAL_ERROR "There is no test/*/run.py to ask.")
endif()
set(failed "")
foreach(script IN LISTS scripts)
    execute_process(
        COMMAND ${PYTHON} ${script} --packages
        OUTPUT_VARIABLE used
        COMMAND_ERROR_IS_FATAL ANY)
    string(STRIP "${used}" used)
    string(REPLACE "\n" ";" used "${used}")
    foreach(package IN LISTS used)
        if(NOT package IN_LIST installed)
            list(APPEND failed "${script}: ${package}")
        endif()
    endforeach()
endforeach()
if(failed)
    list(JOIN failed "\n  " failed)
    message(FATAL_ERROR "Add to tools/setup.sh, group check:\n  ${failed}")
endif()
