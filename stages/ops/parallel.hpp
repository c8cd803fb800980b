#pragma once

#include <algorithm>
#include <cstdint>

#include <ATen/Parallel.h>

// The OpenMP runtime that LibTorch carries. at::parallel_for is a template: compiled without
// -fopenmp it runs on one thread, and Clang's -fopenmp would start a second pool of threads beside
// LibTorch's. This entry point of the runtime (its ABI since GCC 4.9; Intel's and LLVM's runtimes
// have it too) uses LibTorch's own pool.
extern "C" {
void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags);
int omp_get_thread_num();
int omp_get_num_threads();
int omp_in_parallel();
}

namespace stylescope {

// body(begin, end) over contiguous parts of [begin, end), each at least `grain` long, on LibTorch's
// threads. The parts depend on the number of threads: a body whose results depend on its borders
// would not repeat. `body` must not throw.
template <class Body>
void parallel_for(int64_t begin, int64_t end, int64_t grain, const Body& body) {
  if (begin >= end) return;
  const int64_t parts = std::min<int64_t>(at::get_num_threads(),
                                          (end - begin + grain - 1) / std::max<int64_t>(grain, 1));
  if (parts <= 1 || omp_in_parallel()) {
    body(begin, end);
    return;
  }
  struct Job {
    const Body& body;
    int64_t begin, end;
  } job{body, begin, end};
  GOMP_parallel(
      [](void* data) {
        const auto& j = *static_cast<const Job*>(data);
        const int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads(),
                      n = j.end - j.begin;
        const int64_t first = j.begin + n * thread / threads,
                      last = j.begin + n * (thread + 1) / threads;
        if (first < last) j.body(first, last);
      },
      &job, static_cast<unsigned>(parts), 0);
}

}  // namespace stylescope
