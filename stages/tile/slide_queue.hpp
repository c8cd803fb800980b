#pragma once

#include "distributed/communicator.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

namespace stylescope {

// A queue of numbers 0..n-1 that all ranks take from, in order: whoever is free takes the next. A
// number is taken by making a file (O_EXCL, which NFS version 3 and later keep atomic), so that no
// rank has to answer another that is busy.
class SlideQueue {
 public:
  // The folder is made anew; collective. On every rank the same n.
  SlideQueue(Communicator& world, std::filesystem::path folder, int64_t n);
  // Throws Error when the folder cannot be written.
  std::optional<int64_t> take();
  // Removes the folder; collective.
  void close();

 private:
  Communicator& world_;
  std::filesystem::path folder_;
  int64_t n_, next_ = 0;
  std::optional<LongWork> work_;  // a slide takes as long as it takes
};

}  // namespace stylescope
