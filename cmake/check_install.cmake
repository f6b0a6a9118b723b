# SPDX-License-Identifier: MIT
#
# check_install.cmake - a test: what is installed can be used.
#
# Installs into a new prefix, moves that prefix, and builds and runs a program
# against it by find_package and by pkg-config, with the shared library and with
# the static one.
#
# Given: SOURCE (the repository), BUILD (the build folder) and CC.
cmake_minimum_required(VERSION 3.25)

set(scratch ${BUILD}/check_install)
set(prefix ${scratch}/moved)
set(consumer ${SOURCE}/cmake/consumer)
file(REMOVE_RECURSE ${scratch})
file(MAKE_DIRECTORY ${scratch})

# Runs a command, which must succeed.
function(must)
    execute_process(COMMAND ${ARGN}
        WORKING_DIRECTORY ${scratch}
        OUTPUT_VARIABLE output ERROR_VARIABLE output RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
        list(JOIN ARGN " " command)
        message(FATAL_ERROR "${command}\n${output}\nended with ${status}")
    endif()
    set(output "${output}" PARENT_SCOPE)
endfunction()

# Runs a program that must get its malloc from a library of the moved prefix.
function(must_run program)
    must(${CMAKE_COMMAND} -E env ${ARGN} ${program})
    message(STATUS "${program}: ${output}")
endfunction()

# A statically linked program must not hold a second malloc, libc's.
function(must_hold_one_malloc program)
    must(nm ${program})
    if(output MATCHES "_int_malloc")
        message(FATAL_ERROR "${program}: libc's malloc was linked as well.")
    endif()
endfunction()

must(${CMAKE_COMMAND} --install ${BUILD} --prefix ${scratch}/prefix)
file(RENAME ${scratch}/prefix ${prefix})

# -- what is there --

file(GLOB_RECURSE libraries ${prefix}/libashlar.so)
list(LENGTH libraries count)
if(NOT count EQUAL 1)
    message(FATAL_ERROR "One libashlar.so expected, found: ${libraries}")
endif()
cmake_path(GET libraries PARENT_PATH libdir)
if(NOT IS_SYMLINK ${libdir}/libashlar.so OR
   NOT IS_SYMLINK ${libdir}/libashlar.so.0)
    message(FATAL_ERROR "libashlar.so and libashlar.so.0 should be links.")
endif()
must(readelf -d ${libdir}/libashlar.so)
if(NOT output MATCHES "SONAME[^\n]*\\[libashlar\\.so\\.0\\]")
    message(FATAL_ERROR "The SONAME is not libashlar.so.0:\n${output}")
endif()
if(EXISTS ${BUILD}/ashlar)
    must(${prefix}/bin/ashlar --help)
endif()

# -- find_package --

must(${CMAKE_COMMAND} -S ${consumer} -B ${scratch}/consumer
    -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_C_COMPILER=${CC})
must(${CMAKE_COMMAND} --build ${scratch}/consumer)
foreach(kind IN ITEMS shared static static_pie)
    must_run(${scratch}/consumer/consumer_${kind})
endforeach()
must_hold_one_malloc(${scratch}/consumer/consumer_static)
must_hold_one_malloc(${scratch}/consumer/consumer_static_pie)

# -- pkg-config --

find_program(PKG_CONFIG pkg-config REQUIRED)
set(ENV{PKG_CONFIG_PATH} ${libdir}/pkgconfig)
must(${PKG_CONFIG} --cflags --libs ashlar)
string(STRIP "${output}" flags)
separate_arguments(flags UNIX_COMMAND "${flags}")
must(${CC} -Wall -Werror ${consumer}/consumer.c -o by_pkg_config ${flags})
must_run(${scratch}/by_pkg_config LD_LIBRARY_PATH=${libdir})

must(${PKG_CONFIG} --static --cflags --libs ashlar)
string(STRIP "${output}" flags)
separate_arguments(flags UNIX_COMMAND "${flags}")
must(${CC} -Wall -Werror -static ${consumer}/consumer.c
    -o by_pkg_config_static ${flags})
must_run(${scratch}/by_pkg_config_static)
must_hold_one_malloc(${scratch}/by_pkg_config_static)

# -- jemalloc's interface: a C++ program, and jemalloc-config --

find_program(CXX NAMES g++ clang++ REQUIRED)
must(${PKG_CONFIG} --cflags --libs jemalloc)
string(STRIP "${output}" flags)
separate_arguments(flags UNIX_COMMAND "${flags}")
must(${CXX} -std=c++17 -Wall -Wold-style-cast -Werror -Wno-address
    ${consumer}/redeclared.cpp -o redeclared ${flags})
must_run(${scratch}/redeclared LD_LIBRARY_PATH=${libdir}/jemalloc)

must(${prefix}/bin/jemalloc-config --libdir --revision --version)
if(NOT output MATCHES "^([^\n]*)\n2\n5\\.[0-9]+\\.[0-9]+-")
    message(FATAL_ERROR "jemalloc-config says ${output}")
endif()
if(NOT EXISTS ${CMAKE_MATCH_1}/libjemalloc.so.2)
    message(FATAL_ERROR "jemalloc-config: no library in ${CMAKE_MATCH_1}")
endif()

file(REMOVE_RECURSE ${scratch})
