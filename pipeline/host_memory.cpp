#include "pipeline/host_memory.hpp"

#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace stylescope {

void keep_freed_memory() {
  ::setenv("THP_MEM_ALLOC_ENABLE", "1", /*overwrite=*/0);  // c10's allocator asks for it
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 1 << 30);
  ::mallopt(M_TRIM_THRESHOLD, -1);  // never
#endif
}

}  // namespace stylescope
