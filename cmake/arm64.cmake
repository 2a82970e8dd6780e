# Cross-compiles for arm64 against the folder of tools/arm64_sysroot.sh; qemu runs the tests.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

set(POMONA_SYSROOT "" CACHE PATH "Folder with Debian's arm64 packages")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES POMONA_SYSROOT)
set(CMAKE_SYSROOT ${POMONA_SYSROOT})
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L ${POMONA_SYSROOT})

set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${POMONA_SYSROOT})
set(ENV{PKG_CONFIG_LIBDIR}
  ${POMONA_SYSROOT}/usr/lib/aarch64-linux-gnu/pkgconfig:${POMONA_SYSROOT}/usr/share/pkgconfig)

# The Python package is for the sysroot's Python, whatever scikit-build-core says of the one it runs in.
file(GLOB Python_INCLUDE_DIR ${POMONA_SYSROOT}/usr/include/python3.*)
string(REGEX REPLACE ".*/python3\\.(.*)" "cpython-3\\1-aarch64-linux-gnu" SKBUILD_SOABI "${Python_INCLUDE_DIR}")
