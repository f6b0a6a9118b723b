# SPDX-License-Identifier: MIT
#
# check_prefix.cmake - a test: a build with a prefix has every name under it,
# and works in a program beside libc's malloc.
#
# Given: SOURCE (the repository), BUILD (the build folder) and CC.
cmake_minimum_required(VERSION 3.25)

set(scratch ${BUILD}/check_prefix)
file(MAKE_DIRECTORY ${scratch})
find_program(PKG_CONFIG pkg-config REQUIRED)

# Runs a command, which must succeed; what it says is in output.
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

must(${CMAKE_COMMAND} -S ${SOURCE} -B ${scratch}/build
    -DASHLAR_PREFIX=je_ -DASHLAR_MALLOC_CONF=narenas:3,dirty_decay_ms:5
    -DASHLAR_TESTS=OFF -DCMAKE_BUILD_TYPE=Release
    -DCMAKE_C_COMPILER=${CC} -DCMAKE_INSTALL_LIBDIR=lib)
must(${CMAKE_COMMAND} -E env --unset=MAKEFLAGS --unset=MAKELEVEL
    ${CMAKE_COMMAND} --build ${scratch}/build)
must(${CMAKE_COMMAND} --install ${scratch}/build --prefix ${scratch}/prefix)

# -- names --

set(libdir ${scratch}/prefix/lib)
must(nm -D --defined-only --format=posix ${libdir}/libashlar.so)
string(REGEX REPLACE " [^\n]*\n" ";" names "${output}")
foreach(name IN LISTS names)
    if(NOT name MATCHES "^(je_.*)?$")
        message(FATAL_ERROR "A prefix build shows ${name}.")
    endif()
endforeach()
if(NOT "je_mallocx" IN_LIST names OR NOT "je_mallctl" IN_LIST names)
    message(FATAL_ERROR "A prefix build has no je_mallocx: ${names}")
endif()
file(GLOB_RECURSE others ${scratch}/prefix/*jemalloc.so*)
if(others)
    message(FATAL_ERROR "A prefix build takes no other library's place, but "
        "installed ${others}.")
endif()

# -- a program --

set(ENV{PKG_CONFIG_PATH} ${libdir}/pkgconfig)
must(${PKG_CONFIG} --cflags --libs ashlar)
string(STRIP "${output}" flags)
separate_arguments(flags UNIX_COMMAND "${flags}")
must(${CC} -Wall -Werror -fno-builtin ${SOURCE}/cmake/consumer/prefixed.c
    -o prefixed ${flags})
must(${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${libdir}
    JE_MALLOC_CONF=narenas:5 MALLOC_CONF=narenas:9 ${scratch}/prefixed)
message(STATUS "prefixed: ${output}")

# Settings that it was built with.
must(${CMAKE_COMMAND} -E env LD_LIBRARY_PATH=${libdir}
    JE_MALLOC_CONF=confirm_conf:true,narenas:5 ${scratch}/prefixed)
if(NOT output MATCHES "#1 [^\n]*\"narenas:3,dirty_decay_ms:5\"\n"
        OR NOT output MATCHES "Set conf value: dirty_decay_ms:5\n")
    message(FATAL_ERROR "The build's own settings were not read: ${output}")
endif()

file(REMOVE_RECURSE ${scratch})
