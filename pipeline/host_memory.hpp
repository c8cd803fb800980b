#pragma once

namespace stylescope {

// Memory that tensors give back stays with the process and is used again, in huge pages where the
// system gives them on request. Training frees and takes gigabytes every step; by default the C
// library returns large blocks to the system at once, and each comes back as thousands of page
// faults. The peak of what is in use stays the same; what was used once is held to the end. To be
// called before the first tensor is made. THP_MEM_ALLOC_ENABLE=0 in the environment: no huge pages.
void keep_freed_memory();

}  // namespace stylescope
