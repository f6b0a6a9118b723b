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
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/ashlar
    DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN "*.h")
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

# -- pkg-config ashlar --

# The way from the .pc file back to the prefix; an absolute libdir is elsewhere.
if(IS_ABSOLUTE ${CMAKE_INSTALL_LIBDIR})
    set(ASHLAR_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
else()
    file(RELATIVE_PATH up /p/${CMAKE_INSTALL_LIBDIR}/pkgconfig /p)
    set(ASHLAR_PC_PREFIX "\${pcfiledir}/${up}")
    string(REGEX REPLACE "/$" "" ASHLAR_PC_PREFIX "${ASHLAR_PC_PREFIX}")
endif()
foreach(directory LIBDIR INCLUDEDIR)
    set(ASHLAR_PC_${directory} ${CMAKE_INSTALL_${directory}})
    if(NOT IS_ABSOLUTE ${CMAKE_INSTALL_${directory}})
        set(ASHLAR_PC_${directory} "\${prefix}/${CMAKE_INSTALL_${directory}}")
    endif()
endforeach()
configure_file(
    ${PROJECT_SOURCE_DIR}/cmake/ashlar.pc.in
    ${PROJECT_BINARY_DIR}/generated/ashlar.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/generated/ashlar.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
