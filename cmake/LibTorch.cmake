# LibTorch as a plain interface target. find_package(Torch) is not used: it pulls in find_package(CUDA) and links the
# toolkit's NCCL, which may be older than the one LibTorch was built with.
if(NOT LIBTORCH)
  file(GLOB _torch ${CMAKE_SOURCE_DIR}/.deps/venv/lib/python3*/site-packages/torch)
  list(LENGTH _torch _found)
  if(NOT _found EQUAL 1)
    message(FATAL_ERROR "LibTorch is not set up: run './run setup', or give your own with -DLIBTORCH=DIR")
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
target_link_options(libtorch INTERFACE -Wl,--allow-shlib-undefined -Wl,-rpath,${LIBTORCH}/lib)

# The OpenMP runtime of LibTorch's threads (stages/ops/parallel.hpp).
find_library(LIBTORCH_OPENMP NAMES libgomp.so.1 gomp libiomp5.so PATHS ${LIBTORCH}/lib NO_DEFAULT_PATH)
if(NOT LIBTORCH_OPENMP)
  find_library(LIBTORCH_OPENMP NAMES libgomp.so.1 gomp REQUIRED)
endif()
target_link_libraries(libtorch INTERFACE ${LIBTORCH_OPENMP})
