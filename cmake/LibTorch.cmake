# LibTorch as a plain interface target. find_package(Torch) is not used: it pulls in find_package(CUDA) and links the
# toolkit's NCCL, which may be older than the one LibTorch was built with.
if(NOT LIBTORCH)
  file(GLOB _torch ${CMAKE_SOURCE_DIR}/.deps/venv/lib/python3*/site-packages/torch)
  list(LENGTH _torch _found)
  if(NOT _found EQUAL 1)
    message(FATAL_ERROR "LibTorch is not set up: run './run libtorch', which needs no root, or give your own with "
      "-DLIBTORCH=DIR (the folder with include/ and lib/; of a Python package: .../site-packages/torch)")
  endif()
  set(LIBTORCH ${_torch} CACHE PATH "" FORCE)
endif()
if(NOT EXISTS ${LIBTORCH}/include/torch/csrc/api/include/torch/torch.h)
  message(FATAL_ERROR "${LIBTORCH} is no LibTorch: include/torch/csrc/api/include/torch/torch.h is missing")
endif()

add_library(libtorch INTERFACE)
# -idirafter: LibTorch carries its own fmt and protobuf, which must not hide the system's.
target_compile_options(libtorch INTERFACE "SHELL:-idirafter ${LIBTORCH}/include"
                       "SHELL:-idirafter ${LIBTORCH}/include/torch/csrc/api/include")
target_link_directories(libtorch INTERFACE ${LIBTORCH}/lib)
set(STYLESCOPE_CUDA OFF)
if(EXISTS ${LIBTORCH}/lib/libtorch_cuda.so)
  set(STYLESCOPE_CUDA ON)
  # libtorch_cuda registers its kernels when loaded: nothing refers to it by name, so the linker must keep it.
  target_link_libraries(libtorch INTERFACE torch_cpu c10 -Wl,--no-as-needed torch torch_cuda c10_cuda -Wl,--as-needed)
else()
  target_link_libraries(libtorch INTERFACE torch_cpu c10 -Wl,--no-as-needed torch -Wl,--as-needed)
endif()
target_link_options(libtorch INTERFACE -Wl,--allow-shlib-undefined)
# The wheel may lie in the source tree, and CMake keeps no such folder in the path of an installed program by itself.
list(APPEND CMAKE_INSTALL_RPATH ${LIBTORCH}/lib)

# The OpenMP runtime of LibTorch's threads (stages/ops/parallel.hpp).
find_library(LIBTORCH_OPENMP NAMES libgomp.so.1 gomp libiomp5.so PATHS ${LIBTORCH}/lib NO_DEFAULT_PATH)
if(NOT LIBTORCH_OPENMP)
  find_library(LIBTORCH_OPENMP NAMES libgomp.so.1 gomp REQUIRED)
endif()
target_link_libraries(libtorch INTERFACE ${LIBTORCH_OPENMP})

# NCCL and the CUDA runtime: the very files that LibTorch loads, which lie beside it in a wheel; for a LibTorch of another
# origin what the system has. STYLESCOPE_NCCL is OFF where they are missing, and ranks then talk by MPI alone.
set(STYLESCOPE_NCCL OFF)
if(STYLESCOPE_CUDA)
  file(GLOB _wheels ${LIBTORCH}/../nvidia/nccl ${LIBTORCH}/../nvidia/cu[0-9]* ${LIBTORCH}/../nvidia/cuda_runtime)
  set(_roots ${LIBTORCH} $ENV{NCCL_HOME} $ENV{CUDA_HOME} /usr/local/cuda)
  set(_cudart NAMES libcudart.so.13 libcudart.so.12 cudart)
  # The last two are what the first two include, wheels of their own or parts of the toolkit.
  set(_headers nccl.h cuda_runtime_api.h crt/host_defines.h nv/target)
  set(_includes NCCL_INCLUDE CUDART_INCLUDE CUDA_CRT_INCLUDE CUDA_CCCL_INCLUDE)
  foreach(variable header IN ZIP_LISTS _includes _headers)
    find_path(${variable} ${header} PATHS ${_wheels} PATH_SUFFIXES include NO_DEFAULT_PATH)
    find_path(${variable} ${header} PATHS ${_roots} PATH_SUFFIXES include include/cccl)
  endforeach()
  find_library(NCCL_LIBRARY NAMES libnccl.so.2 PATHS ${_wheels} PATH_SUFFIXES lib NO_DEFAULT_PATH)
  find_library(CUDART_LIBRARY ${_cudart} PATHS ${_wheels} PATH_SUFFIXES lib NO_DEFAULT_PATH)
  find_library(NCCL_LIBRARY NAMES libnccl.so.2 nccl PATHS ${_roots} PATH_SUFFIXES lib lib64)
  find_library(CUDART_LIBRARY ${_cudart} PATHS ${_roots} PATH_SUFFIXES lib lib64)
  set(_missing)
  foreach(variable IN LISTS _includes ITEMS NCCL_LIBRARY CUDART_LIBRARY)
    if(NOT ${variable})
      list(APPEND _missing ${variable})
    endif()
  endforeach()
  if(NOT _missing)
    set(STYLESCOPE_NCCL ON)
    add_library(nccl INTERFACE)
    target_include_directories(nccl SYSTEM INTERFACE ${NCCL_INCLUDE} ${CUDART_INCLUDE} ${CUDA_CRT_INCLUDE}
                               ${CUDA_CCCL_INCLUDE})
    target_compile_definitions(nccl INTERFACE STYLESCOPE_NCCL)
    target_link_libraries(nccl INTERFACE ${NCCL_LIBRARY} ${CUDART_LIBRARY})
    foreach(library ${NCCL_LIBRARY} ${CUDART_LIBRARY})
      get_filename_component(folder ${library} DIRECTORY)
      list(APPEND CMAKE_INSTALL_RPATH ${folder})
    endforeach()
  else()
    list(JOIN _missing ", " _missing)
    message(WARNING "LibTorch has CUDA, but NCCL is left out, and the ranks will talk by MPI alone: not found are ${_missing} "
      "(headers: ${_headers}). './run libtorch' installs what is needed; or set NCCL_HOME and CUDA_HOME")
  endif()
endif()
message(STATUS "LibTorch: ${LIBTORCH} (CUDA ${STYLESCOPE_CUDA}, NCCL ${STYLESCOPE_NCCL})")
