#pragma once

#include <filesystem>
#include <string>

namespace stylescope {

// An flock on `file` for as long as the object lives; the file stays, the lock goes with the
// process however it ends.
class Flock {
 public:
  enum class Mode { shared, exclusive };
  enum class Wait { no, yes };

  // Makes the file where there is none, and locks nothing yet. Throws Error when it cannot be
  // written.
  explicit Flock(const std::filesystem::path& file);
  ~Flock();
  Flock(const Flock&) = delete;
  Flock& operator=(const Flock&) = delete;

  // False: another holds it (Wait::no). A file system that knows no flock gives a warning and true.
  bool lock(Mode mode, Wait wait);
  // What its holder wrote into the file; for whoever was refused.
  std::string content() const { return content(file_); }
  static std::string content(const std::filesystem::path& file);  // "": nothing, or no such file
  void write(const std::string& text);

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
};

}  // namespace stylescope
