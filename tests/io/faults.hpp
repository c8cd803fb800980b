#pragma once

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "tests/support/temp_dir.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/mount.h>
#include <vector>

#include <gtest/gtest.h>

// Disks and files that do what disks and files do on bad days.
namespace stylescope::testing_support {

// The message of the Error that `work` throws; fails the test when it throws none.
template <class Work>
std::string error_of(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

// A sentence for a user: names the file, and says all of `parts`.
inline void expect_sentence(const std::string& message, const std::filesystem::path& file,
                            const std::vector<std::string>& parts) {
  EXPECT_EQ(message.find(file.string()), 0U) << message;
  for (const auto& part : parts)
    EXPECT_NE(message.find(part), std::string::npos) << message << "\nlacks: " << part;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

inline void overwrite(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream(file, std::ios::binary | std::ios::trunc) << bytes;
}
inline void flip_byte(const std::filesystem::path& file, size_t at) {
  std::string bytes = read_text(file);
  bytes.at(at) = static_cast<char>(bytes[at] ^ 0x10);
  overwrite(file, bytes);
}

// A tmpfs of its own, which can be filled or be made read-only (root ignores permissions, but not
// these). Mounting takes root: tests skip visibly where mounted() is false.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& size) {
    mounted_ = ::mount("none", folder_.path().c_str(), "tmpfs", 0, ("size=" + size).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  void make_read_only() {
    ASSERT_EQ(::mount("none", folder_.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, ""), 0);
  }
  void resize(const std::string& size) {
    ASSERT_EQ(
        ::mount("none", folder_.path().c_str(), "tmpfs", MS_REMOUNT, ("size=" + size).c_str()), 0);
  }
  std::filesystem::path operator/(const std::string& name) const { return folder_ / name; }
  const std::filesystem::path& path() const { return folder_.path(); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(path()))
      names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }

 private:
  TempDir folder_;
  bool mounted_ = false;
};

#define SKIP_UNLESS_MOUNTED(disk) \
  if (!(disk).mounted())          \
  GTEST_SKIP() << "mounting a small disk needs root: full and read-only disks are not tested here"

// The folder of real images, or an empty path.
inline std::filesystem::path real_data() {
  if (const char* folder = std::getenv("STYLESCOPE_DATA")) return folder;
  const auto beside =
      std::filesystem::path(__FILE__).parent_path().parent_path().parent_path().parent_path() /
      "shared" / "data";
  return std::filesystem::exists(beside) ? beside : std::filesystem::path();
}

}  // namespace stylescope::testing_support
