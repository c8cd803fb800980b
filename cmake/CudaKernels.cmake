# stylescope_cuda_object(TARGET FILE): compiles FILE, which includes nothing of LibTorch, for sm_80, sm_90 and, as PTX, for
# what comes after, into an object of TARGET, and defines STYLESCOPE_CUDA_KERNELS there. Where that cannot be, it says why,
# and the GPU uses LibTorch's own operations. CMake's own CUDA language is not enabled: it wants a whole toolkit, and nvcc
# comes from a wheel beside LibTorch (./run libtorch) or, failing that, from the system.
set(STYLESCOPE_CUDA_KERNELS OFF)
set(_reason "")
if(NOT STYLESCOPE_CUDA)
  set(_reason "this LibTorch is without CUDA")
elseif(NOT CUDART_LIBRARY)
  set(_reason "LibTorch's libcudart was not found")
else()
  file(GLOB _nvcc_folders ${LIBTORCH}/../nvidia/cu[0-9]*/bin ${LIBTORCH}/../nvidia/cuda_nvcc/bin
       ${CMAKE_SOURCE_DIR}/.deps/venv/lib/python3*/site-packages/nvidia/cu[0-9]*/bin)
  find_program(STYLESCOPE_NVCC nvcc PATHS ${_nvcc_folders} NO_DEFAULT_PATH)
  find_program(STYLESCOPE_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin PATHS /usr/local/cuda/bin)
  find_program(STYLESCOPE_NVCC_HOST g++)
  if(NOT STYLESCOPE_NVCC)
    set(_reason "there is no nvcc; './run libtorch' installs one, or put that of a toolkit on PATH")
  else()
    set(_host)
    if(STYLESCOPE_NVCC_HOST)
      set(_host -ccbin ${STYLESCOPE_NVCC_HOST})
    endif()
    set(STYLESCOPE_NVCC_FLAGS ${_host} -std=c++17 -O3 --no-compress -Xcompiler=-fPIC,-Wall,-Wextra
        -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90 -gencode arch=compute_90,code=compute_90)
    execute_process(COMMAND ${STYLESCOPE_NVCC} --version OUTPUT_VARIABLE _version ERROR_QUIET)
    string(REGEX MATCH "V([0-9]+)[.][0-9.]+" _version "${_version}")
    set(_nvcc_major ${CMAKE_MATCH_1})
    string(REGEX MATCH "libcudart[.]so[.]([0-9]+)" _runtime ${CUDART_LIBRARY})
    # The object calls the runtime that LibTorch loads; entry points change from one major version to the next.
    if(_runtime AND NOT "${_nvcc_major}" STREQUAL "${CMAKE_MATCH_1}")
      set(_reason "${STYLESCOPE_NVCC} (${_version}) is not of the CUDA ${CMAKE_MATCH_1} of this LibTorch")
      unset(STYLESCOPE_NVCC CACHE)  # the next configuration may find another
    else()
      # Does it compile here at all? A host compiler may be too new for it, or half of a toolkit be missing.
      set(_probe ${CMAKE_BINARY_DIR}/CMakeFiles/nvcc_probe)
      file(WRITE ${_probe}.cu "#include <cuda_bf16.h>\n#include <cuda_fp16.h>\n__global__ void set(float* x) { *x = 1; }\nvoid run(float* x) { set<<<1, 1>>>(x); }\n")
      if(NOT STYLESCOPE_NVCC_PROVED STREQUAL "${STYLESCOPE_NVCC} ${STYLESCOPE_NVCC_FLAGS}")
        execute_process(COMMAND ${STYLESCOPE_NVCC} ${STYLESCOPE_NVCC_FLAGS} -c ${_probe}.cu -o ${_probe}.o
                        RESULT_VARIABLE _failed OUTPUT_VARIABLE _said ERROR_VARIABLE _said)
        if(_failed)
          string(STRIP "${_said}" _said)
          set(_reason "${STYLESCOPE_NVCC} compiles nothing here: ${_said}")
          unset(STYLESCOPE_NVCC CACHE)
        else()
          set(STYLESCOPE_NVCC_PROVED "${STYLESCOPE_NVCC} ${STYLESCOPE_NVCC_FLAGS}" CACHE INTERNAL "")
        endif()
      endif()
    endif()
  endif()
endif()
if(_reason)
  message(STATUS "CUDA kernels are left out: ${_reason}")
else()
  set(STYLESCOPE_CUDA_KERNELS ON)
  message(STATUS "CUDA kernels: ${STYLESCOPE_NVCC} (${_version})")
endif()

function(stylescope_cuda_object target file)
  if(NOT STYLESCOPE_CUDA_KERNELS)
    return()
  endif()
  get_filename_component(name ${file} NAME)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${STYLESCOPE_NVCC} ${STYLESCOPE_NVCC_FLAGS} -I${CMAKE_SOURCE_DIR} -MD -MF ${object}.d -MT ${object}
            -c ${CMAKE_CURRENT_SOURCE_DIR}/${file} -o ${object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file} DEPFILE ${object}.d VERBATIM COMMENT "Compiling ${file} for CUDA")
  set_source_files_properties(${object} PROPERTIES EXTERNAL_OBJECT ON GENERATED ON)
  target_sources(${target} PRIVATE ${object})
  target_compile_definitions(${target} PRIVATE STYLESCOPE_CUDA_KERNELS)
  target_link_libraries(${target} PUBLIC ${CUDART_LIBRARY})
endfunction()
