#pragma once

#include <mutex>
#include <string>

namespace stylescope {

// The decoders of pictures (libjpeg, libpng, libtiff, GDCM) say what is wrong with a picture on
// stderr and nowhere else. While one of these lives, stderr of the whole process goes to memory;
// one at a time in the process.
class CapturedStderr {
 public:
  CapturedStderr();
  ~CapturedStderr();
  CapturedStderr(const CapturedStderr&) = delete;
  CapturedStderr& operator=(const CapturedStderr&) = delete;

  // Gives stderr back and returns what was printed to it: at most 4 KiB, as one line. Of GDCM's
  // places in its source ("Error: In ./Source/...") "Error:" and "Warning:" are left.
  std::string restore();

 private:
  std::unique_lock<std::mutex> lock_;
  int memory_ = -1;
  int saved_ = -1;
};

}  // namespace stylescope
