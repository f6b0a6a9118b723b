# SPDX-License-Identifier: MIT
#
# AshlarInstall.cmake - what `cmake --install` leaves behind.
#
# Everything finds its place from where it lies, so an installed tree may be
# moved: the CMake package, the pkg-config file and the tool.
include(CMakePackageConfigHelpers)

set(ASHLAR_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/Ashlar)

install(TARGETS ashlar EXPORT AshlarTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${ASHLAR_STATIC} DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY
    ${PROJECT_SOURCE_DIR}/include/ashlar ${PROJECT_SOURCE_DIR}/include/jemalloc
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h")
# Not beside libashlar.so: there ldconfig would find it, and every program of
# the machine that is linked to jemalloc would run on it from then on.
set(ASHLAR_JEMALLOC_DIR ${CMAKE_INSTALL_LIBDIR}/jemalloc)
if(TARGET ashlar_jemalloc)
    install(TARGETS ashlar_jemalloc LIBRARY DESTINATION ${ASHLAR_JEMALLOC_DIR})
endif()
if(TARGET ashlar_tool)
    install(TARGETS ashlar_tool DESTINATION ${CMAKE_INSTALL_BINDIR})
    install(TARGETS ashlar_recorder DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()

# -- find_package(Ashlar) --

install(EXPORT AshlarTargets
    NAMESPACE Ashlar::
    DESTINATION ${ASHLAR_PACKAGE_DIR})
configure_package_config_file(
    ${PROJECT_SOURCE_DIR}/cmake/AshlarConfig.cmake.in
    ${PROJECT_BINARY_DIR}/generated/AshlarConfig.cmake
    INSTALL_DESTINATION ${ASHLAR_PACKAGE_DIR}
    PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR
    NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file(
    ${PROJECT_BINARY_DIR}/generated/AshlarConfigVersion.cmake
    COMPATIBILITY SameMajorVersion)
install(FILES
    ${PROJECT_BINARY_DIR}/generated/AshlarConfig.cmake
    ${PROJECT_BINARY_DIR}/generated/AshlarConfigVersion.cmake
    DESTINATION ${ASHLAR_PACKAGE_DIR})

# -- pkg-config ashlar and jemalloc, jemalloc-config --

# The way from a file in a folder back to the prefix; an absolute libdir is
# elsewhere.
function(ashlar_way_up result start folder)
    if(IS_ABSOLUTE ${folder})
        set(${result} ${CMAKE_INSTALL_PREFIX} PARENT_SCOPE)
        return()
    endif()
    file(RELATIVE_PATH up /p/${folder} /p)
    string(REGEX REPLACE "/$" "" up "${start}/${up}")
    set(${result} ${up} PARENT_SCOPE)
endfunction()

# A folder below ${prefix}, or an absolute one.
function(ashlar_below_prefix result folder)
    if(NOT IS_ABSOLUTE ${folder})
        set(folder "\${prefix}/${folder}")
    endif()
    set(${result} ${folder} PARENT_SCOPE)
endfunction()

set(ASHLAR_PC_CFLAGS "")
if(ASHLAR_PREFIX)
    set(ASHLAR_PC_CFLAGS " -DASHLAR_PREFIX=${ASHLAR_PREFIX}")
endif()
ashlar_way_up(ASHLAR_PC_PREFIX "\${pcfiledir}"
    ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
ashlar_way_up(ASHLAR_BIN_PREFIX "\$here" ${CMAKE_INSTALL_BINDIR})
ashlar_below_prefix(ASHLAR_PC_LIBDIR ${CMAKE_INSTALL_LIBDIR})
ashlar_below_prefix(ASHLAR_PC_INCLUDEDIR ${CMAKE_INSTALL_INCLUDEDIR})
ashlar_below_prefix(ASHLAR_PC_JEMALLOC ${ASHLAR_JEMALLOC_DIR})
set(ASHLAR_PC_FILES ashlar)
if(TARGET ashlar_jemalloc)
    list(APPEND ASHLAR_PC_FILES jemalloc)
    configure_file(
        ${PROJECT_SOURCE_DIR}/cmake/jemalloc-config.in
        ${PROJECT_BINARY_DIR}/generated/jemalloc-config @ONLY)
    install(PROGRAMS ${PROJECT_BINARY_DIR}/generated/jemalloc-config
        DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
foreach(name IN LISTS ASHLAR_PC_FILES)
    configure_file(
        ${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in
        ${PROJECT_BINARY_DIR}/generated/${name}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/generated/${name}.pc
        DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endforeach()
