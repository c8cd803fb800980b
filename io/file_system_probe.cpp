#include "io/file_system_probe.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/hdf5_file.hpp"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <sys/file.h>
#include <sys/statfs.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr const char* kAdvice = "choose another run_dir";

std::string name_of(int64_t type) {
  static const std::map<int64_t, std::string> names{
      {0xEF53, "ext4"},          {0x58465342, "xfs"},    {0x9123683E, "btrfs"},
      {0x6969, "nfs"},           {0x0BD00BD0, "lustre"}, {0x47504653, "gpfs"},
      {0x19830326, "beegfs"},    {0x00C36400, "ceph"},   {0x01021994, "tmpfs"},
      {0x794C7630, "overlayfs"}, {0x2FC12FC1, "zfs"},    {0x65735546, "fuse"},
      {0xAAD7AAEA, "panfs"},     {0x517B, "smb"},        {0xFF534D42, "cifs"}};
  const auto found = names.find(type);
  return found == names.end() ? detail::concatenate("type 0x", std::hex, type) : found->second;
}

// Removes what a probe made, whatever becomes of it.
struct Scratch {
  fs::path file;
  ~Scratch() {
    std::error_code ignored;
    fs::remove(file, ignored);
  }
};

std::string try_hdf5(const fs::path& file) {
  try {
    const Scratch scratch{file};
    auto made = hdf5::File::create(file, kAdvice);
    made.write("values", torch::arange(1000, torch::kFloat64));
    made.close();
    const auto first = hdf5::File::open(file, kAdvice), second = hdf5::File::open(file, kAdvice);
    const auto values = second.read("values", torch::kFloat64, {1000});
    return values[999].item<double>() == 999 ? "" : "the values that were written do not come back";
  } catch (const Error& error) {
    return error.what();
  }
}

std::string try_lock(const fs::path& file) {
  const Scratch scratch{file};
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) return std::strerror(errno);
  const bool locked = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
  const std::string why = locked ? "" : std::strerror(errno);
  ::close(descriptor);
  return why;
}

double write_rate(const fs::path& file) {
  constexpr size_t kBytes = 16 << 20;
  const Scratch scratch{file};
  const std::string text(kBytes, 'x');
  const auto begin = std::chrono::steady_clock::now();
  publish_text(file, text);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return 16 / seconds.count();
}

}  // namespace

FileSystemFacts probe_file_system(const fs::path& folder) {
  FileSystemFacts facts;
  const std::string own = ".doctor-" + std::to_string(::getpid());
  struct statfs info {};
  validate(::statfs(folder.c_str(), &info) == 0, folder.string(), ": cannot be looked at (",
           std::strerror(errno), "); choose a folder that is there");
  facts.type = name_of(static_cast<int64_t>(info.f_type));
  facts.free_mb = static_cast<int64_t>(info.f_bavail) * info.f_bsize >> 20;
  if (info.f_files > 0) facts.free_files = static_cast<int64_t>(info.f_ffree);
  facts.write_mb_per_second = write_rate(folder / (own + ".bin"));
  facts.hdf5 = try_hdf5(folder / (own + ".h5"));
  facts.lock = try_lock(folder / (own + ".lock"));
  return facts;
}

void write_probe(const fs::path& file, int64_t value) {
  auto made = hdf5::File::create(file, kAdvice);
  made.write("value", torch::full({1}, value, torch::kInt64));
  made.close();
}

int64_t read_probe(const fs::path& file) {
  return hdf5::File::open(file, kAdvice).read("value", torch::kInt64, {1}).item<int64_t>();
}

}  // namespace stylescope
