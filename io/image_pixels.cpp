#include "io/image_pixels.hpp"

#include "io/base/error.hpp"
#include "io/chunk_codec.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <deque>
#include <exception>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace stylescope {
namespace {

// A thread more pays from this many bytes of pixels to decode on (0.2 ms or more; starting one
// takes 20 us). Plain images come as fast as one thread can copy.
constexpr int64_t kBytesOfThread = 1 << 20;

// An open file, closed when the last reader lets go of it.
class OpenFile {
 public:
  OpenFile(const std::filesystem::path& path, int64_t bytes, const std::string& advice)
      : descriptor_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    validate(descriptor_ >= 0, path.string(), ": cannot be opened (", std::strerror(errno), "); ",
             advice);
    struct stat status {};
    const bool same = ::fstat(descriptor_, &status) == 0 && status.st_size == bytes;
    if (!same) ::close(descriptor_);
    validate(same, path.string(), ": was changed or cut off while it was in use; ", advice);
  }
  ~OpenFile() { ::close(descriptor_); }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  // False at the end of the file; throws Error with the system's words alone.
  bool read(int64_t at, uint8_t* to, size_t size) const {
    while (size > 0) {
      const ssize_t got = ::pread(descriptor_, to, size, at);
      if (got < 0 && errno == EINTR) continue;
      validate(got >= 0, std::strerror(errno));
      if (got == 0) return false;
      to += got;
      at += got;
      size -= static_cast<size_t>(got);
    }
    return true;
  }

 private:
  int descriptor_;
};

struct Source {
  std::filesystem::path path;
  int64_t first = 0;  // index of its first image
  int64_t bytes = 0;
  std::vector<int> filters;
  std::vector<hdf5::RowPlace> places;
};

// The files that are open: those opened last.
class OpenFiles {
 public:
  explicit OpenFiles(size_t most) : most_(most) {}

  std::shared_ptr<const OpenFile> get(const std::vector<Source>& sources, size_t number,
                                      const std::string& advice) {
    const std::lock_guard lock(mutex_);
    open_.resize(sources.size());
    if (!open_[number]) {
      if (order_.size() >= most_) {
        open_[order_.front()].reset();
        order_.pop_front();
      }
      open_[number] =
          std::make_shared<OpenFile>(sources[number].path, sources[number].bytes, advice);
      order_.push_back(number);
    }
    return open_[number];
  }

 private:
  size_t most_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const OpenFile>> open_;
  std::deque<size_t> order_;
};

}  // namespace

struct ImagePixels::Impl {
  std::vector<int64_t> shape;
  std::string advice;
  OpenFiles files;
  int64_t image_bytes = shape[0] * shape[1] * shape[2], size = 0;
  bool compressed = false;
  std::vector<Source> sources{};

  Impl(std::vector<int64_t> of, std::string what_to_do, size_t most_open)
      : shape(std::move(of)), advice(std::move(what_to_do)), files(most_open) {}

  // What one thread needs to read.
  struct Reader {
    ChunkDecoder decoder;
    std::vector<uint8_t> chunk;
    std::shared_ptr<const OpenFile> file;
    size_t file_number = SIZE_MAX;
  };

  size_t source_of(int64_t index) const {
    const auto after = std::upper_bound(sources.begin(), sources.end(), index,
                                        [](int64_t i, const Source& s) { return i < s.first; });
    return static_cast<size_t>(after - sources.begin()) - 1;
  }

  void read_one(Reader& reader, int64_t index, uint8_t* out) {
    const size_t number = source_of(index);
    const Source& source = sources[number];
    const hdf5::RowPlace& place = source.places[index - source.first];
    if (place.address < 0) {
      std::memset(out, 0, image_bytes);
      return;
    }
    if (reader.file_number != number) {
      reader.file = files.get(sources, number, advice);
      reader.file_number = number;
    }
    try {
      const bool plain = source.filters.empty() && place.bytes == image_bytes;
      if (!plain) reader.chunk.resize(std::max<size_t>(reader.chunk.size(), place.bytes));
      validate(reader.file->read(place.address, plain ? out : reader.chunk.data(), place.bytes),
               "the file ends before it");
      if (!plain)
        reader.decoder.decode(source.filters, place.filter_mask, {reader.chunk.data(), place.bytes},
                              shape[0], shape[1], shape[2], out);
    } catch (const Error& error) {
      throw Error(detail::concatenate(source.path.string(), ": image ", index - source.first,
                                      " cannot be read (", error.what(), "); ", advice));
    }
  }
};

ImagePixels::ImagePixels(std::vector<int64_t> shape, std::string advice, size_t most_open)
    : impl_(std::make_unique<Impl>(std::move(shape), std::move(advice), most_open)) {}
ImagePixels::~ImagePixels() = default;
ImagePixels::ImagePixels(ImagePixels&&) noexcept = default;
ImagePixels& ImagePixels::operator=(ImagePixels&&) noexcept = default;

bool ImagePixels::add(const std::filesystem::path& file, const hdf5::Dataset& images) {
  auto filters = images.filters();
  if (!ChunkDecoder::knows(filters)) return false;
  auto places = images.places();
  if (!places) return false;
  if (places->empty()) return true;
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(file));
  impl_->compressed = impl_->compressed || !filters.empty();
  impl_->sources.push_back({file, impl_->size, bytes, std::move(filters), std::move(*places)});
  impl_->size += static_cast<int64_t>(impl_->sources.back().places.size());
  return true;
}

int64_t ImagePixels::size() const { return impl_->size; }

torch::Tensor ImagePixels::read(at::ArrayRef<int64_t> indices) const {
  const auto count = static_cast<int64_t>(indices.size());
  for (const int64_t index : indices)
    SS_CHECK(index >= 0 && index < impl_->size, impl_->size, " images; asked for ", index);
  auto shape = impl_->shape;
  shape.insert(shape.begin(), count);
  torch::Tensor out = torch::empty(shape, torch::kUInt8);
  auto* pixels = static_cast<uint8_t*>(out.data_ptr());

  // Whichever thread is free takes the next image; of several failures the first image's is told.
  std::atomic<int64_t> next = 0;
  std::mutex failing;
  int64_t failed = count;
  std::exception_ptr failure;
  const auto work = [&] {
    Impl::Reader reader;
    for (int64_t i = next++; i < count; i = next++) try {
        impl_->read_one(reader, indices[i], pixels + i * impl_->image_bytes);
      } catch (...) {
        const std::lock_guard lock(failing);
        if (i < failed) {
          failed = i;
          failure = std::current_exception();
        }
      }
  };
  const int64_t threads = impl_->compressed
                              ? std::min<int64_t>({at::get_num_threads(), count,
                                                   1 + count * impl_->image_bytes / kBytesOfThread})
                              : 1;
  {
    std::vector<std::jthread> helpers;
    for (int64_t i = 1; i < threads; ++i) helpers.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
  return out;
}

}  // namespace stylescope
