#include "io/zip_archive.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"

#include <algorithm>
#include <deque>
#include <exception>
#include <fstream>
#include <map>
#include <mutex>
#include <utility>
#include <zip.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr const char* kCopyAgain = "copy or download it again";
constexpr int64_t kLargest = int64_t{1} << 31;  // bytes of an entry
constexpr time_t kNewYear1980 = 315532800;      // the first day that a zip archive can say

// zip_discard, because zip_close() would write.
struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
using Archive = std::unique_ptr<zip_t, Discard>;

struct CloseEntry {
  void operator()(zip_file_t* entry) const { zip_fclose(entry); }
};

std::string words_of(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string words = zip_error_strerror(&error);
  zip_error_fini(&error);
  return words;
}

bool begins_as_zip(const fs::path& file) {
  char magic[4] = {};
  std::ifstream(file, std::ios::binary).read(magic, sizeof magic);
  return std::string(magic, 2) == "PK";
}

Archive open_archive(const fs::path& file) {
  std::error_code failure;
  validate(fs::is_regular_file(file, failure), file.string(),
           ": is no file that can be read; check the path");
  int code = 0;
  Archive archive(zip_open(file.c_str(), ZIP_RDONLY, &code));
  if (archive) return archive;
  // What lists the entries stands at the end of an archive.
  if (code == ZIP_ER_NOZIP && begins_as_zip(file))
    throw Error(detail::concatenate(file.string(),
                                    ": is cut off (its list of entries is missing); ", kCopyAgain));
  if (code == ZIP_ER_NOZIP) throw Error(file.string() + ": is no zip archive; check the path");
  throw Error(detail::concatenate(file.string(), ": cannot be opened as a zip archive (",
                                  words_of(code), "); ", kCopyAgain));
}

bool leads_out(const std::string& name) {
  if (name.find('\\') != std::string::npos || name.starts_with('/')) return true;
  const fs::path path(name);
  return std::any_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
}

}  // namespace

struct ZipArchive::Impl {
  std::string file;
  Archive archive;
  std::vector<ZipEntry> entries;
  std::map<std::string, uint64_t> index;  // in the archive
  std::mutex reading;
};

ZipArchive::ZipArchive(const fs::path& file) : impl_(std::make_unique<Impl>()) {
  impl_->file = file.string();
  impl_->archive = open_archive(file);
  const auto count = zip_get_num_entries(impl_->archive.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    const bool known =
        zip_stat_index(impl_->archive.get(), static_cast<zip_uint64_t>(i), 0, &stat) == 0 &&
        (stat.valid & ZIP_STAT_NAME) != 0 && (stat.valid & ZIP_STAT_SIZE) != 0;
    validate(known, impl_->file, ": its entry ", i, " is damaged; ", kCopyAgain);
    const std::string name = stat.name;
    validate(!leads_out(name), impl_->file, ": entry '", name,
             "' leads out of the archive (an absolute path, '..' or '\\'); make the archive again "
             "with plain relative names");
    if (name.empty() || name.ends_with('/')) continue;
    validate(impl_->index.emplace(name, static_cast<uint64_t>(i)).second, impl_->file, ": entry '",
             name, "' stands twice; make the archive again");
    impl_->entries.push_back({name, static_cast<int64_t>(stat.size)});
  }
}

ZipArchive::~ZipArchive() = default;
ZipArchive::ZipArchive(ZipArchive&&) noexcept = default;
ZipArchive& ZipArchive::operator=(ZipArchive&&) noexcept = default;

const std::vector<ZipEntry>& ZipArchive::entries() const { return impl_->entries; }
bool ZipArchive::contains(const std::string& name) const { return impl_->index.contains(name); }

std::string ZipArchive::read(const std::string& name) const {
  const auto found = impl_->index.find(name);
  validate(found != impl_->index.end(), impl_->file, ": has no entry '", name,
           "'; check the archive");
  const std::string where = impl_->file + ": entry '" + name + "' ";
  const std::lock_guard lock(impl_->reading);
  zip_t* const archive = impl_->archive.get();
  zip_stat_t stat;
  zip_stat_init(&stat);
  validate(zip_stat_index(archive, found->second, 0, &stat) == 0, where, "is damaged; ",
           kCopyAgain);
  validate(stat.encryption_method == ZIP_EM_NONE, where,
           "is encrypted; unpack the archive with its password, and give the folder");
  const auto size = static_cast<int64_t>(stat.size);
  validate(size >= 0 && size < kLargest, where, "is larger than 2 GiB; take it out");

  const std::unique_ptr<zip_file_t, CloseEntry> entry(zip_fopen_index(archive, found->second, 0));
  validate(entry != nullptr, where, "cannot be read (", zip_strerror(archive), "); ", kCopyAgain);
  std::string bytes;
  std::string part(std::min<int64_t>(size + 1, 1 << 20), '\0');
  // To its end and not only to its size: the checksum is compared there.
  while (true) {
    const auto got = zip_fread(entry.get(), part.data(), part.size());
    validate(got >= 0, where, "is damaged (", zip_file_strerror(entry.get()), "); ", kCopyAgain);
    if (got == 0) break;
    bytes.append(part, 0, static_cast<size_t>(got));
    validate(std::ssize(bytes) <= size, where, "is damaged (longer than it says); ", kCopyAgain);
  }
  validate(std::ssize(bytes) == size, where, "is cut off; ", kCopyAgain);
  return bytes;
}

namespace {

// One entry as libzip asks for it while it writes.
struct Content {
  std::function<std::string()> make;
  std::string bytes;
  size_t at = 0;
  std::exception_ptr failure;

  zip_int64_t answer(void* data, zip_uint64_t length, zip_source_cmd_t command) {
    switch (command) {
      case ZIP_SOURCE_OPEN:
        return open();
      case ZIP_SOURCE_READ: {
        const size_t part = std::min<size_t>(length, bytes.size() - at);
        std::copy_n(bytes.data() + at, part, static_cast<char*>(data));
        at += part;
        return static_cast<zip_int64_t>(part);
      }
      case ZIP_SOURCE_CLOSE:
        bytes = {};
        return 0;
      case ZIP_SOURCE_STAT: {
        auto* const stat = static_cast<zip_stat_t*>(data);
        zip_stat_init(stat);
        stat->mtime = kNewYear1980;
        stat->valid = ZIP_STAT_MTIME;
        return sizeof *stat;
      }
      case ZIP_SOURCE_ERROR: {
        zip_error_t error;
        zip_error_init_with_code(&error, ZIP_ER_INTERNAL);
        const auto written = zip_error_to_data(&error, data, length);
        zip_error_fini(&error);
        return written;
      }
      case ZIP_SOURCE_FREE:
        return 0;
      default:
        return -1;
    }
  }

 private:
  zip_int64_t open() {
    try {
      bytes = make();
    } catch (...) {
      // Not through libzip, which is C.
      failure = std::current_exception();
      return -1;
    }
    at = 0;
    return 0;
  }
};

zip_int64_t answer_of(void* content, void* data, zip_uint64_t length, zip_source_cmd_t command) {
  return static_cast<Content*>(content)->answer(data, length, command);
}

}  // namespace

struct ZipWriter::Impl {
  fs::path target;
  std::deque<std::pair<std::string, Content>> entries;

  void write(const fs::path& temporary) {
    int code = 0;
    Archive archive(zip_open(temporary.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
    validate(archive != nullptr, target.string(), ": cannot be written (", words_of(code),
             "); check the disk's space and permissions");
    for (auto& [name, content] : entries) add(archive.get(), name, content);
    const bool written = zip_close(archive.get()) == 0;
    for (const auto& [name, content] : entries)
      if (content.failure) std::rethrow_exception(content.failure);
    validate(written, target.string(), ": cannot be written (", zip_strerror(archive.get()),
             "); check the disk's space and permissions");
    static_cast<void>(archive.release());  // zip_close() has freed it
  }

  void add(zip_t* archive, const std::string& name, Content& content) const {
    zip_source_t* const source = zip_source_function(archive, answer_of, &content);
    SS_CHECK(source != nullptr, zip_strerror(archive));
    const auto index = zip_file_add(archive, name.c_str(), source, ZIP_FL_ENC_UTF_8);
    if (index < 0) zip_source_free(source);
    SS_CHECK(index >= 0, name, ": ", zip_strerror(archive));
    SS_CHECK(zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0) ==
             0);
  }
};

ZipWriter::ZipWriter(fs::path file) : impl_(std::make_unique<Impl>()) {
  impl_->target = std::move(file);
}
ZipWriter::~ZipWriter() = default;

void ZipWriter::add(const std::string& name, std::function<std::string()> make) {
  impl_->entries.emplace_back(name, Content{std::move(make), {}, 0, {}});
}

void ZipWriter::close() {
  publish_file(impl_->target, [this](const fs::path& temporary) { impl_->write(temporary); });
}

}  // namespace stylescope
