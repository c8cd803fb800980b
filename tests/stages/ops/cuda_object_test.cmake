# cmake -DOBJECT=FILE -P cuda_object_test.cmake: the compiled kernels hold code for both kinds of GPU, and PTX for later ones.
foreach(code "-arch sm_80" "-arch sm_90" "[.]target sm_90")
  file(STRINGS ${OBJECT} found REGEX ${code} LIMIT_COUNT 1)
  if(NOT found)
    message(SEND_ERROR "${OBJECT} holds no code for ${code}")
  endif()
endforeach()
