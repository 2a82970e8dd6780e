# `cmake --install BUILD --prefix PREFIX`: the program, the library, its headers, and the package file
# by which find_package(pomona) finds all that the library links.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

if(TARGET wheel::arrow)
  get_target_property(_arrow wheel::arrow IMPORTED_LOCATION)
  get_filename_component(POMONA_WHEEL_VERSION ${_arrow} LAST_EXT)
  set_target_properties(pomona_cli PROPERTIES
    INSTALL_RPATH "${POMONA_SITE_PACKAGES}/pyarrow;${POMONA_SITE_PACKAGES}/openvino/libs")
endif()

set(_package ${CMAKE_INSTALL_LIBDIR}/cmake/pomona)
install(TARGETS pomona EXPORT pomona)
install(TARGETS pomona_cli)
install(DIRECTORY include/pomona TYPE INCLUDE)
install(EXPORT pomona NAMESPACE pomona:: FILE pomonaTargets.cmake DESTINATION ${_package})
configure_package_config_file(cmake/pomonaConfig.cmake.in pomonaConfig.cmake
  INSTALL_DESTINATION ${_package})
write_basic_package_version_file(pomonaConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES cmake/Linked.cmake ${CMAKE_CURRENT_BINARY_DIR}/pomonaConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/pomonaConfigVersion.cmake DESTINATION ${_package})
