# Headers that no user of the library needs; then what it links.
find_package(Eigen3 REQUIRED NO_MODULE)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)

set(_python python3)
if(Python_EXECUTABLE)  # of a wheel being built
  set(_python ${Python_EXECUTABLE})
elseif(EXISTS ${CMAKE_SOURCE_DIR}/build/venv/bin/python)  # by `make deps`
  set(_python ${CMAKE_SOURCE_DIR}/build/venv/bin/python)
endif()
set(POMONA_PYTHON ${_python} CACHE STRING
  "Python whose site-packages hold the pyarrow and openvino wheels")
set(POMONA_SITE_PACKAGES "" CACHE PATH "Folder of the wheels, if not that of POMONA_PYTHON")
if(NOT POMONA_SITE_PACKAGES)
  # Asked of pyarrow itself: while a wheel is built, it stands in a folder of its own.
  execute_process(
    COMMAND ${POMONA_PYTHON} -c "import pathlib, pyarrow; \
print(pathlib.Path(pyarrow.__file__).parents[1])"
    OUTPUT_VARIABLE POMONA_SITE_PACKAGES OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
endif()

option(POMONA_OPENVINO "Build the OpenVINO engine where OpenVINO is found" ON)
include(Linked)
