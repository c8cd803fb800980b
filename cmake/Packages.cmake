# Everything but LibTorch: from Debian (./run setup installs it), or from modules, conda or a prefix of the user's own by
# CMAKE_PREFIX_PATH. What is missing is collected and named all at once.
set(STYLESCOPE_MISSING "")

# `found`: the variable that says so; then what a user would install: Debian's and conda-forge's names.
macro(stylescope_need found name debian conda)
  if(NOT ${found})
    string(APPEND STYLESCOPE_MISSING "\n  ${name} (Debian: ${debian}; conda-forge: ${conda})")
  endif()
endmacro()

# stylescope_pkg_config(TIFF libtiff-4 "libtiff" libtiff-dev libtiff) makes the target PkgConfig::TIFF.
macro(stylescope_pkg_config prefix modules name debian conda)
  if(PKG_CONFIG_FOUND)
    pkg_search_module(${prefix} QUIET IMPORTED_TARGET ${modules})
  endif()
  stylescope_need(${prefix}_FOUND "${name}" "${debian}" "${conda}")
endmacro()

find_package(PkgConfig QUIET)
stylescope_need(PKG_CONFIG_FOUND "pkg-config, which looks for the rest" pkg-config pkg-config)

# Debian's serial HDF5 has a name of its own, and its plain "hdf5" may be the one built for MPI; elsewhere "hdf5" is all
# there is. What the user points at comes before either of the system: the first search leaves the system's folders out.
if(PKG_CONFIG_FOUND)
  set(_libdir "$ENV{PKG_CONFIG_LIBDIR}")
  set(ENV{PKG_CONFIG_LIBDIR} ${CMAKE_BINARY_DIR}/none)
  pkg_search_module(HDF5 QUIET IMPORTED_TARGET hdf5-serial hdf5)
  if(_libdir)
    set(ENV{PKG_CONFIG_LIBDIR} "${_libdir}")
  else()
    unset(ENV{PKG_CONFIG_LIBDIR})
  endif()
endif()
stylescope_pkg_config(HDF5 "hdf5-serial;hdf5" "HDF5, serial" libhdf5-dev "hdf5=*=nompi*")

# Slides and annotations; codecs of the images' chunks and of deflated DICOM.
stylescope_pkg_config(OPENSLIDE openslide "OpenSlide" libopenslide-dev openslide)
stylescope_pkg_config(TIFF libtiff-4 "libtiff" libtiff-dev libtiff)
stylescope_pkg_config(JPEG libjpeg "libjpeg-turbo" libjpeg62-turbo-dev libjpeg-turbo)
stylescope_pkg_config(PUGIXML pugixml "pugixml" libpugixml-dev pugixml)
stylescope_pkg_config(ZSTD libzstd "Zstandard" libzstd-dev zstd)
stylescope_pkg_config(LZ4 liblz4 "LZ4" liblz4-dev lz4-c)
stylescope_pkg_config(ZLIB zlib "zlib" zlib1g-dev zlib)
# Data sets that are zip archives.
stylescope_pkg_config(LIBZIP libzip "libzip" libzip-dev libzip)

find_package(MPI QUIET COMPONENTS C)
stylescope_need(MPI_C_FOUND "MPI: a cluster's module, or a prefix with an mpicc that works; a moved Open MPI needs OPAL_PREFIX"
                libopenmpi-dev openmpi)
set(MPIEXEC ${MPIEXEC_EXECUTABLE})
find_package(yaml-cpp QUIET)
stylescope_need(yaml-cpp_FOUND "yaml-cpp" libyaml-cpp-dev yaml-cpp)
find_package(spdlog QUIET)
stylescope_need(spdlog_FOUND "spdlog, with fmt" libspdlog-dev spdlog)
find_package(nlohmann_json QUIET)
stylescope_need(nlohmann_json_FOUND "nlohmann-json" nlohmann-json3-dev nlohmann_json)
find_package(CLI11 QUIET)
stylescope_need(CLI11_FOUND "CLI11" libcli11-dev cli11)
find_package(OpenSSL QUIET COMPONENTS Crypto)
stylescope_need(OpenSSL_FOUND "OpenSSL" libssl-dev openssl)
if(STYLESCOPE_TESTS)
  find_package(GTest QUIET)
  stylescope_need(GTest_FOUND "GoogleTest, or leave the tests out with -DSTYLESCOPE_TESTS=OFF"
                  "libgtest-dev, libgmock-dev" gtest)
endif()

# OpenCV's own CMake package asks for every module to be installed: three are enough.
find_path(OPENCV_INCLUDE opencv2/core.hpp PATH_SUFFIXES opencv4)
set(_opencv ${OPENCV_INCLUDE})
set(_opencv_libraries)
foreach(module core imgproc imgcodecs)
  find_library(OPENCV_${module} opencv_${module})
  list(APPEND _opencv_libraries ${OPENCV_${module}})
  if(NOT OPENCV_${module})
    set(_opencv OFF)
  endif()
endforeach()
stylescope_need(_opencv "OpenCV"
                "libopencv-core-dev, libopencv-imgproc-dev, libopencv-imgcodecs-dev" libopencv)

# GDCM's own CMake package asks for VTK's and more. Its headers lie in a folder of its version.
find_path(GDCM_INCLUDE gdcmImage.h PATH_SUFFIXES gdcm-3.0 gdcm-3.1 gdcm-3.2)
set(_gdcm ${GDCM_INCLUDE})
set(_gdcm_libraries)
foreach(module MSFF DSED Common)
  find_library(GDCM_${module} gdcm${module})
  list(APPEND _gdcm_libraries ${GDCM_${module}})
  if(NOT GDCM_${module})
    set(_gdcm OFF)
  endif()
endforeach()
stylescope_need(_gdcm "GDCM" libgdcm-dev gdcm)

if(STYLESCOPE_MISSING)
  message(FATAL_ERROR "stylescope is built from these, and they are not found:${STYLESCOPE_MISSING}\n"
    "Install them, or say where they lie (folders that hold include/ and lib/):\n"
    "  cmake --preset release -DCMAKE_PREFIX_PATH=\"/folder/a;/folder/b\"\n"
    "docs/install.md shows the ways without root.")
endif()

add_library(opencv INTERFACE)
target_include_directories(opencv SYSTEM INTERFACE ${OPENCV_INCLUDE})
target_link_libraries(opencv INTERFACE ${_opencv_libraries})
# Its headers are for one file of ours, and for tests.
add_library(gdcm_libraries INTERFACE)
target_link_libraries(gdcm_libraries INTERFACE ${_gdcm_libraries})
add_library(gdcm INTERFACE)
target_include_directories(gdcm SYSTEM INTERFACE ${GDCM_INCLUDE})
target_link_libraries(gdcm INTERFACE gdcm_libraries)
# Before 0.8 its target had no namespace.
if(NOT TARGET yaml-cpp::yaml-cpp)
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()

# An HDF5 that is built for MPI brings in an MPI of its own, perhaps another one than ours.
foreach(folder IN LISTS HDF5_INCLUDE_DIRS)
  file(GLOB _configured ${folder}/H5pubconf*.h)
  foreach(file IN LISTS _configured)
    file(STRINGS ${file} _parallel REGEX "#[ \t]*define[ \t]+H5_HAVE_PARALLEL[ \t]+1")
    if(_parallel)
      message(FATAL_ERROR "The HDF5 in ${folder} is built for MPI, and stylescope needs a serial one "
        "(Debian: libhdf5-dev; conda-forge: hdf5=*=nompi*; often a module of its own). "
        "Put its folder first in CMAKE_PREFIX_PATH")
    endif()
  endforeach()
endforeach()
