# SPDX-License-Identifier: MIT
#
# AshlarLibrary.cmake - the shared libraries, the static one, the tool.
#
# A release build compiles the library as one file, so that the compiler may
# inline across modules without -flto, whose objects would tie the static
# library to one compiler. new.c stays on its own: C++ exceptions pass through
# its functions, and only they need -fexceptions.

set(ASHLAR_OPERATORS ${PROJECT_SOURCE_DIR}/src/api/new.c)
set(plain ${ASHLAR_SOURCES})
list(REMOVE_ITEM plain ${ASHLAR_OPERATORS})

if(ASHLAR_DEBUG)
    set(ashlar_files ${plain})
else()
    # The layers' names are in the order of the layers, uppermost first.
    set(bottom_up ${plain})
    list(SORT bottom_up COMPARE STRING ORDER DESCENDING)
    set(ASHLAR_INCLUDES "")
    foreach(file IN LISTS bottom_up)
        cmake_path(RELATIVE_PATH file BASE_DIRECTORY ${PROJECT_SOURCE_DIR}/src)
        string(APPEND ASHLAR_INCLUDES "#include \"${file}\"\n")
    endforeach()
    set(ashlar_files ${PROJECT_BINARY_DIR}/generated/ashlar_all.c)
    file(CONFIGURE OUTPUT ${ashlar_files} @ONLY CONTENT
"/* Written by cmake/AshlarLibrary.cmake: the library as one file. */
@ASHLAR_INCLUDES@")
endif()

# With a prefix there is no operator new: the program has its own malloc, and
# its C++ runtime goes with that one.
if(NOT ASHLAR_PREFIX AND EXISTS ${ASHLAR_OPERATORS})
    list(APPEND ashlar_files ${ASHLAR_OPERATORS})
    set_source_files_properties(${ASHLAR_OPERATORS} PROPERTIES
        COMPILE_OPTIONS -fexceptions)
endif()

add_library(ashlar_objects OBJECT ${ashlar_files})
target_compile_options(ashlar_objects PRIVATE ${ASHLAR_CORE_OPTIONS})
target_compile_definitions(ashlar_objects PRIVATE
    ${ASHLAR_DEFINITIONS}
    ASHLAR_DEBUG=$<BOOL:${ASHLAR_DEBUG}>
    ASHLAR_CHECKS=$<BOOL:${ASHLAR_CHECKS}>
    ASHLAR_QUANTUM=${ASHLAR_QUANTUM}
    $<$<BOOL:${ASHLAR_PREFIX}>:ASHLAR_PREFIX=${ASHLAR_PREFIX}>
    ASHLAR_MALLOC_CONF="${ASHLAR_MALLOC_CONF}")
target_include_directories(ashlar_objects PRIVATE
    ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)

# -- the shared libraries --
#
# now and relro: after start-up no pointer of ours can be overwritten, and no
# malloc waits for the loader. nodelete: threads keep pointers into the library
# until they end, so dlclose must not unmap it.

function(add_ashlar_library name)
    add_library(${name} SHARED $<TARGET_OBJECTS:ashlar_objects>)
    set_target_properties(${name} PROPERTIES LINKER_LANGUAGE C ${ARGN})
    target_include_directories(${name} INTERFACE
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
    if(ASHLAR_PREFIX)
        target_compile_definitions(${name} INTERFACE
            ASHLAR_PREFIX=${ASHLAR_PREFIX})
    endif()
    target_link_options(${name} PRIVATE
        -Wl,-z,now -Wl,-z,relro -Wl,-z,nodelete -Wl,--no-undefined
        -Wl,--as-needed)
endfunction()

add_ashlar_library(ashlar
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR})
add_library(Ashlar::ashlar ALIAS ashlar)

# The same objects as jemalloc's library, in a folder of its own: it serves the
# programs whose library path leads there, and nobody by accident.
if(NOT ASHLAR_PREFIX)
    add_ashlar_library(ashlar_jemalloc
        OUTPUT_NAME jemalloc
        LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/jemalloc
        VERSION 2
        SOVERSION 2)
endif()

# -- the static library --
#
# One relocatable object, its hidden names made local: a program takes all of
# the library or nothing (never half of it beside half of libc's malloc), and
# our internal names cannot clash with the program's.

set(ASHLAR_STATIC ${PROJECT_BINARY_DIR}/libashlar.a)
set(object ${PROJECT_BINARY_DIR}/generated/ashlar.o)
add_custom_command(OUTPUT ${ASHLAR_STATIC}
    COMMAND ${CMAKE_LINKER} -r -o ${object} $<TARGET_OBJECTS:ashlar_objects>
    COMMAND ${CMAKE_OBJCOPY} --localize-hidden ${object}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${ASHLAR_STATIC}
    COMMAND ${CMAKE_AR} qcs ${ASHLAR_STATIC} ${object}
    DEPENDS ashlar_objects $<TARGET_OBJECTS:ashlar_objects>
    COMMAND_EXPAND_LISTS
    COMMENT "Joining the objects into libashlar.a"
    VERBATIM)
add_custom_target(ashlar_static_archive ALL DEPENDS ${ASHLAR_STATIC})
add_library(ashlar_static INTERFACE)
add_library(Ashlar::static ALIAS ashlar_static)
add_dependencies(ashlar_static ashlar_static_archive)
target_link_libraries(ashlar_static INTERFACE ${ASHLAR_STATIC})
target_include_directories(ashlar_static INTERFACE
    ${PROJECT_SOURCE_DIR}/include)

# -- the command-line tool, and what it preloads to record --

# What `ashlar report` can use: libz for packed profiles, libdw for lines and
# inlined functions. -DASHLAR_ZLIB=OFF and -DASHLAR_LIBDW=OFF do without.
find_library(ASHLAR_ZLIB z)
find_library(ASHLAR_LIBDW dw)
file(GLOB ASHLAR_REPORT_SOURCES CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/cli/report*.c)
set(ASHLAR_REPORT_LIBRARIES "")
if(ASHLAR_ZLIB)
    list(APPEND ASHLAR_REPORT_LIBRARIES ${ASHLAR_ZLIB})
endif()
if(ASHLAR_LIBDW)
    list(APPEND ASHLAR_REPORT_LIBRARIES ${ASHLAR_LIBDW})
    list(FILTER ASHLAR_REPORT_SOURCES EXCLUDE REGEX report_table)
else()
    list(FILTER ASHLAR_REPORT_SOURCES EXCLUDE REGEX report_dwarf)
endif()

if(EXISTS ${PROJECT_SOURCE_DIR}/cli/ashlar.c)
    add_executable(ashlar_tool
        ${PROJECT_SOURCE_DIR}/cli/ashlar.c ${PROJECT_SOURCE_DIR}/cli/record.c
        ${ASHLAR_REPORT_SOURCES})
    target_compile_definitions(ashlar_tool PRIVATE
        $<$<BOOL:${ASHLAR_ZLIB}>:ASHLAR_ZLIB>)
    target_include_directories(ashlar_tool PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(ashlar_tool PRIVATE m ${ASHLAR_REPORT_LIBRARIES})
    add_library(ashlar_recorder MODULE
        ${PROJECT_SOURCE_DIR}/cli/recorder.c ${PROJECT_SOURCE_DIR}/cli/live.c
        ${PROJECT_SOURCE_DIR}/cli/tape.c)
    target_compile_options(ashlar_recorder PRIVATE
        ${ASHLAR_OWN_MALLOC} -fvisibility=hidden -ftls-model=initial-exec)
    set_target_properties(ashlar_tool PROPERTIES OUTPUT_NAME ashlar)
    set_target_properties(ashlar_recorder PROPERTIES OUTPUT_NAME ashlar-record)
    foreach(target IN ITEMS ashlar_tool ashlar_recorder)
        target_compile_options(${target} PRIVATE
            ${ASHLAR_WARNINGS} ${ASHLAR_WERROR_OPTION})
        target_include_directories(${target} PRIVATE
            ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/bench/trace)
        set_target_properties(${target} PROPERTIES
            RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}
            LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
    endforeach()
endif()
