# Flags of every target of ours, as one interface target.
add_library(stylescope_flags INTERFACE)
target_include_directories(stylescope_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(stylescope_flags INTERFACE -Wall -Wextra -Werror -Wno-unknown-pragmas -ffp-contract=off -pthread)
target_link_options(stylescope_flags INTERFACE -pthread)
target_compile_definitions(stylescope_flags INTERFACE STYLESCOPE_VERSION="${PROJECT_VERSION}")
if(STYLESCOPE_SANITIZE)
  target_compile_definitions(stylescope_flags INTERFACE STYLESCOPE_SANITIZED)
  target_compile_options(stylescope_flags INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=undefined
                                                    -fno-omit-frame-pointer)
  target_link_options(stylescope_flags INTERFACE -fsanitize=address,undefined)
endif()

find_program(CCACHE ccache)
if(CCACHE)
  # A precompiled header is cached only when ccache may overlook its time stamps and defines. Depend mode: a miss costs no
  # extra run of the preprocessor.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_DEPEND=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(stylescope_flags INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endif()
