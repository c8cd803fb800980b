#include "io/base/error.hpp"
#include "io/csv.hpp"
#include "tests/fuzz/targets.hpp"

#include <cstdlib>
#include <stdexcept>
#include <sys/mman.h>
#include <unistd.h>

namespace stylescope::fuzz {
namespace {

// A file in memory: read_csv takes a path.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : file_(::memfd_create("fuzz.csv", MFD_CLOEXEC)) {
    if (file_ < 0) throw std::runtime_error("memfd_create failed");
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t written = ::write(file_, bytes.data() + done, bytes.size() - done);
      if (written <= 0) throw std::runtime_error("a file in memory cannot be written");
      done += static_cast<size_t>(written);
    }
  }
  ~MemoryFile() { ::close(file_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

void run(std::string_view bytes) {
  const MemoryFile file(bytes);
  try {
    const auto table = read_csv(file.path(), {"path"});
    // What was read is what a user of the table may rely on.
    for (const auto& row : table.rows)
      if (row["path"].empty() || row.line < 2) std::abort();
  } catch (const Error&) {
    // Refused: what is to be expected.
  }
}

std::vector<std::string> seeds() {
  return {
      "path,label,subject\na.png,0,p1\nb.png,1,p2\n",
      "\xEF\xBB\xBFpath,label\r\n\"a, b.png\",\"say \"\"aah\"\"\"\r\n\r\nc.png,\r\n",
      "label,path\n1,\"two\nlines.png\"\n",
      "path;label\na.png;0\n",
      "path\n",
      "path\ta\nx\ty\n",
      "\xFF\xFEp\0a\0",
      "path\n\"open",
  };
}

}  // namespace

Target csv_target() { return {"csv", run, seeds}; }

}  // namespace stylescope::fuzz
