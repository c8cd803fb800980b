#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

// Tries out what a run asks of a file system.
namespace stylescope {

struct FileSystemFacts {
  std::string type;  // "ext4", "nfs", "lustre", ... or the number that the kernel gives it
  int64_t free_mb = 0;
  int64_t free_files = -1;  // -1: not told
  std::string hdf5;  // "": a file was written, and read while it was open elsewhere; else why not
  std::string lock;  // "": flock works; else why not
  double write_mb_per_second = 0;  // 16 MB with fsync
};

// Writes a few files of its own name into `folder`, which must exist, and removes them. Throws
// Error when it cannot write there at all.
FileSystemFacts probe_file_system(const std::filesystem::path& folder);

// Writes (rank 0) and reads (the others) the values by which one host sees another's HDF5 file.
void write_probe(const std::filesystem::path& file, int64_t value);
int64_t read_probe(const std::filesystem::path& file);

}  // namespace stylescope
