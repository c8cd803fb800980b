#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

// Zip archives in and out, without unpacking them on the disk. libzip stays behind this header.
namespace stylescope {

struct ZipEntry {
  std::string name;   // with '/'
  int64_t bytes = 0;  // unpacked
};

class ZipArchive {
 public:
  // Throws Error: the file is missing, no zip archive, cut off, or has an entry twice or one whose
  // name leads out of the archive (absolute, or with ..).
  explicit ZipArchive(const std::filesystem::path& file);
  ~ZipArchive();
  ZipArchive(ZipArchive&&) noexcept;
  ZipArchive& operator=(ZipArchive&&) noexcept;

  // Files, without folders, in the archive's order.
  const std::vector<ZipEntry>& entries() const;
  bool contains(const std::string& name) const;
  // The whole content; from any thread, one at a time. Throws Error, naming archive and entry, when
  // it is not there, encrypted, packed in a way that libzip does not know, damaged (its checksum is
  // another), or larger than 2 GiB.
  std::string read(const std::string& name) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Entries are stored as they are, not compressed, with the time stamp of 1980-01-01, so that the
// same content gives the same archive.
class ZipWriter {
 public:
  explicit ZipWriter(std::filesystem::path file);
  ~ZipWriter();
  // `make` gives the content when close() comes to this entry: one at a time is in memory. What it
  // throws, close() throws. Names must differ.
  void add(const std::string& name, std::function<std::string()> make);
  // Writes all entries in the order of add(); the archive appears under its name when this returns,
  // not before. Throws Error.
  void close();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stylescope
