# Who may include whom, and where each foreign API may enter.
#   cmake -DROOT=<tree> -P layering_test.cmake               fails, naming file and include, where a rule is broken
#   cmake -DROOT=<tree> -DSELF_TEST=<folder> -P ...          plants one violation of each rule there and sees it found
cmake_minimum_required(VERSION 3.22)

# Folder of the including file -> what it may include, as regular expressions; the first match counts. Besides, no folder
# below stages/ may include a stage (a folder with a <folder>_stage.hpp) other than itself.
set(RULES
  "^io/base/=^io/base/"
  "^io/=^io/"
  "^distributed/=^(distributed/|io/base/)"
  "^stages/ops/=^(stages/ops/|distributed/|io/)"
  "^stages/networks/=^(stages/(ops|networks)/|distributed/|io/)"
  "^stages/=^(stages/|distributed/|io/)"
  "^slurm/=^(slurm/|io/)"
  "^pipeline/=^(pipeline|slurm|stages|distributed|io)/"
  "^tests/=.*")
# Foreign header -> the only files that may include it (tests make broken files by what means they like).
set(DOORS
  "^mpi[.]h$=^distributed/mpi_([a-z]+[.]cpp|transfer[.]hpp)$"
  "^cuda_(bf16|fp16|runtime)[.]h$=^(distributed/nccl_functions[.]cpp|stages/ops/cuda_kernels[.]cu)$"
  "^(nccl[.]h|cuda_runtime_api[.]h|c10/cuda/.*)$=^distributed/nccl_functions[.]cpp$"
  "^hdf5[.]h$=^io/hdf5_[a-z]+[.](cpp|hpp)$"
  "^openslide/?.*=^io/openslide_reader[.]cpp$"
  "^tiffio[.]h$=^io/tiff_.*[.]cpp$"
  "^jpeglib[.]h$=^io/jpeg_codec[.]cpp$"
  "^pugixml[.]hpp$=^io/asap_xml[.]cpp$"
  "^(zstd|lz4)[.]h$=^io/chunk_codec[.]cpp$"
  "^gdcm.*[.]h$=^io/gdcm_codec[.]cpp$"
  "^zlib[.]h$=^io/inflate[.]cpp$"
  "^zip[.]h$=^io/zip_archive[.]cpp$"
  "^opencv2/=^(io/picture.*|stages/tile/(tissue_mask|overview))[.]cpp$"
  "^yaml-cpp/=^pipeline/")

function(first_rule rules subject result)
  foreach(rule IN LISTS rules)
    string(FIND "${rule}" "=" at)
    string(SUBSTRING "${rule}" 0 ${at} pattern)
    if(subject MATCHES "${pattern}")
      math(EXPR at "${at} + 1")
      string(SUBSTRING "${rule}" ${at} -1 allowed)
      set(${result} "${allowed}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(${result} "" PARENT_SCOPE)
endfunction()

# Appends "file: includes X" to `result` for every include that breaks a rule.
function(check_tree root result)
  set(found)
  file(GLOB_RECURSE files RELATIVE ${root} ${root}/io/*.?pp ${root}/distributed/*.?pp ${root}/stages/*.?pp ${root}/stages/*.cu
       ${root}/pipeline/*.?pp ${root}/slurm/*.?pp ${root}/tests/*.?pp)
  foreach(file IN LISTS files)
    first_rule("${RULES}" "${file}" allowed)
    set(own "")
    if(file MATCHES "^stages/([^/]+)/")
      set(own ${CMAKE_MATCH_1})
    endif()
    file(STRINGS ${root}/${file} includes REGEX "^[ \t]*#[ \t]*include")
    foreach(line IN LISTS includes)
      string(REGEX REPLACE "^[^\"<]*([\"<])([^\">]*).*" "\\1;\\2" parts "${line}")
      list(GET parts 0 kind)
      list(GET parts 1 name)
      first_rule("${DOORS}" "${name}" door)
      if(door AND NOT file MATCHES "${door}|^tests/")
        list(APPEND found "${file}: includes ${name}, which only ${door} may")
      elseif(kind STREQUAL "\"" AND NOT name MATCHES "${allowed}")
        list(APPEND found "${file}: includes ${name}, which lies outside ${allowed}")
      elseif(own AND name MATCHES "^stages/([^/]+)/")
        set(other ${CMAKE_MATCH_1})
        if(NOT other STREQUAL own AND EXISTS ${root}/stages/${other}/${other}_stage.hpp)
          list(APPEND found "${file}: includes ${name}, which is another stage's")
        endif()
      endif()
    endforeach()
  endforeach()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

if(SELF_TEST)
  set(PLANTED
    "io/reader.cpp=distributed/communicator.hpp"
    "io/base/check.hpp=io/log.hpp"
    "distributed/reducer.cpp=io/safetensors.hpp"
    "distributed/random.cpp=stages/run_context.hpp"
    "stages/networks/generator.cpp=stages/training/progress.hpp"
    "stages/training/loop.cpp=stages/gan/gan_config.hpp"
    "stages/gan/gan_stage.cpp=stages/encoder/encoder_stage.hpp"
    "stages/gan/gan_losses.cpp=pipeline/config.hpp"
    "stages/gan/gan_mpi.cpp=mpi.h"
    "distributed/mpi_session.hpp=mpi.h"
    "distributed/nccl_communicator.cpp=nccl.h"
    "distributed/gpu_functions.hpp=cuda_runtime_api.h"
    "stages/training/stream.cpp=c10/cuda/CUDAStream.h"
    "stages/ops/cuda_kernels.cpp=cuda_runtime.h"
    "stages/ops/other.cu=cuda_bf16.h"
    "io/image_set.cpp=hdf5.h"
    "stages/tile/tile_stage.cpp=openslide.h"
    "stages/tile/tile_grid.cpp=tiffio.h"
    "io/slide.cpp=jpeglib.h"
    "io/geojson.cpp=pugixml.hpp"
    "io/hdf5_dataset.cpp=zstd.h"
    "io/dicom.cpp=gdcmImage.h"
    "io/dicom_data_set.cpp=zlib.h"
    "io/stylegan_set.cpp=zip.h"
    "slurm/job_script.cpp=stages/run_context.hpp"
    "stages/report/report.cpp=opencv2/core.hpp"
    "stages/report/yaml.cpp=yaml-cpp/yaml.h")
  file(REMOVE_RECURSE ${SELF_TEST})
  foreach(plant IN LISTS PLANTED)
    string(REPLACE "=" ";" plant "${plant}")
    list(GET plant 0 file)
    list(GET plant 1 name)
    file(WRITE ${SELF_TEST}/${file} "#pragma once\n#include <vector>\n#include \"${name}\"\n")
  endforeach()
  file(WRITE ${SELF_TEST}/stages/encoder/encoder_stage.hpp "#pragma once\n")
  file(WRITE ${SELF_TEST}/stages/gan/gan_stage.hpp "#pragma once\n")
  # What the rules allow must not be found.
  file(WRITE ${SELF_TEST}/stages/gan/fine.cpp
       "#include \"stages/gan/gan_stage.hpp\"\n#include \"stages/run_context.hpp\"\n#include \"io/log.hpp\"\n")
  foreach(unit mpi_communicator mpi_reference)
    file(WRITE ${SELF_TEST}/distributed/${unit}.cpp "#include <mpi.h>\n#include \"io/base/error.hpp\"\n")
  endforeach()
  file(WRITE ${SELF_TEST}/stages/ops/cuda_kernels.cu "#include <cuda_runtime.h>\n#include \"stages/ops/cuda_launch.hpp\"\n")
  file(WRITE ${SELF_TEST}/distributed/nccl_functions.cpp "#include <c10/cuda/CUDAStream.h>\n#include <nccl.h>\n")
  check_tree(${SELF_TEST} found)
  foreach(plant IN LISTS PLANTED)
    string(REPLACE "=" ": includes " expected "${plant}")
    set(seen FALSE)
    foreach(line IN LISTS found)
      string(FIND "${line}" "${expected}," at)
      if(at EQUAL 0)
        set(seen TRUE)
      endif()
    endforeach()
    if(NOT seen)
      message(SEND_ERROR "the checker overlooked: ${expected}")
    endif()
  endforeach()
  list(LENGTH PLANTED planted)
  list(LENGTH found count)
  if(NOT count EQUAL planted)
    message(SEND_ERROR "${planted} violations were planted, ${count} found: ${found}")
  endif()
  file(REMOVE_RECURSE ${SELF_TEST})
else()
  check_tree(${ROOT} found)
  foreach(line IN LISTS found)
    message(SEND_ERROR "${line}")
  endforeach()
endif()
