#pragma once

// Functions marked so are compiled for several instruction sets, and the fitting one is chosen when
// the program starts: one binary for every x86-64 node. Only what is inlined into such a function
// profits: mark its helpers STYLESCOPE_INLINE. Contraction to FMA is off in the whole project, so
// every variant computes the same bits.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(STYLESCOPE_SANITIZED) && \
    defined(__OPTIMIZE__)
#ifdef __clang__
// Clang 14 takes "arch=x86-64-v3" and makes a chooser that never picks it: a feature's name works.
#define STYLESCOPE_SIMD __attribute__((target_clones("avx2", "default")))
#else
#define STYLESCOPE_SIMD \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#endif
#else
#define STYLESCOPE_SIMD
#endif
#define STYLESCOPE_INLINE __attribute__((always_inline)) inline
// A lambda of such a function.
#define STYLESCOPE_INLINED __attribute__((always_inline))
