# What the library links: found by its build, and once more by find_package(pomona), since a static
# library names what it needs and does not hold it.
#
# Arrow and OpenVINO come from an installed package where CMake finds one, otherwise from the PyPI
# wheels in POMONA_SITE_PACKAGES, which carry headers and shared libraries.
# Everything else comes from the distribution.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(JPEG REQUIRED)
find_package(PNG REQUIRED)
find_package(TIFF 4.5 REQUIRED)  # the first with limits and handlers of its own for each file
pkg_check_modules(LCMS REQUIRED IMPORTED_TARGET lcms2)
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpdemux)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
pkg_check_modules(NETTLE REQUIRED IMPORTED_TARGET nettle)

# Statically: the distribution's shared HDF5 brings 36 libraries, libcurl among them, to every start.
find_package(ZLIB REQUIRED)
find_path(HDF5_INCLUDE_DIR hdf5.h PATH_SUFFIXES hdf5/serial REQUIRED)
find_library(HDF5_STATIC_LIBRARY libhdf5.a PATH_SUFFIXES hdf5/serial REQUIRED)
find_library(SZ_STATIC_LIBRARY libsz.a REQUIRED)
find_library(AEC_STATIC_LIBRARY libaec.a REQUIRED)
add_library(HDF5::static STATIC IMPORTED)
# Debian 13's can read from S3, which nobody asks of it but its linking.
file(STRINGS ${HDF5_INCLUDE_DIR}/H5pubconf.h _hdf5_reads_s3 REGEX "define H5_HAVE_ROS3_VFD 1")
if(_hdf5_reads_s3)
  set(_hdf5_network curl crypto)
endif()
set_target_properties(HDF5::static PROPERTIES
  IMPORTED_LOCATION ${HDF5_STATIC_LIBRARY}
  INTERFACE_INCLUDE_DIRECTORIES ${HDF5_INCLUDE_DIR}
  INTERFACE_LINK_LIBRARIES
    "${SZ_STATIC_LIBRARY};${AEC_STATIC_LIBRARY};ZLIB::ZLIB;${_hdf5_network};m")

# Statically, and hidden by whoever links it into what others load: a process may hold other copies,
# Arrow's and Python's, and the shared one costs every start two milliseconds.
pkg_check_modules(OPENSSL REQUIRED libssl>=3)
find_library(SSL_STATIC_LIBRARY libssl.a REQUIRED)
find_library(CRYPTO_STATIC_LIBRARY libcrypto.a REQUIRED)
set(_openssl_needs ${OPENSSL_STATIC_LIBRARIES})
list(REMOVE_ITEM _openssl_needs ssl crypto)
add_library(OpenSSL::static STATIC IMPORTED)
set_target_properties(OpenSSL::static PROPERTIES
  IMPORTED_LOCATION ${SSL_STATIC_LIBRARY}
  INTERFACE_LINK_LIBRARIES "${CRYPTO_STATIC_LIBRARY};${_openssl_needs}"
  INTERFACE_LINK_OPTIONS "LINKER:--exclude-libs,libssl.a:libcrypto.a")

# The package file says which wheel's libraries the library was compiled for: no other version will do.
if(NOT POMONA_WHEEL_VERSION)
  find_package(Arrow CONFIG QUIET)
  find_package(Parquet CONFIG QUIET)
endif()
if(NOT (Arrow_FOUND AND Parquet_FOUND))
  set(_wheel ${POMONA_SITE_PACKAGES}/pyarrow)
  foreach(_name arrow parquet)
    file(GLOB _library ${_wheel}/lib${_name}.so${POMONA_WHEEL_VERSION}*)
    if(NOT _library)
      message(FATAL_ERROR "No lib${_name}.so${POMONA_WHEEL_VERSION} in ${_wheel}: install Arrow's "
        "development package, or run `make deps` to get the pyarrow wheel")
    endif()
    add_library(wheel::${_name} SHARED IMPORTED)
    set_target_properties(wheel::${_name} PROPERTIES
      IMPORTED_LOCATION ${_library}
      INTERFACE_INCLUDE_DIRECTORIES ${_wheel}/include)
  endforeach()
  add_library(Arrow::arrow_shared ALIAS wheel::arrow)
  add_library(Parquet::parquet_shared ALIAS wheel::parquet)
endif()

# A peer and an oracle; the native engine needs nothing.
if(POMONA_OPENVINO)
  get_directory_property(_definitions COMPILE_DEFINITIONS)
  find_package(OpenVINO CONFIG QUIET COMPONENTS Runtime
    HINTS ${POMONA_SITE_PACKAGES}/openvino/cmake)
  # It defines for all what is the default anyway; ccache would take the wheel's files for others.
  set_directory_properties(PROPERTIES COMPILE_DEFINITIONS "${_definitions}")
  message(STATUS "OpenVINO engine: ${OpenVINO_FOUND}")
endif()
