#include "io/base/error.hpp"
#include "io/image_index.hpp"
#include "io/image_set.hpp"
#include "io/scratch_folder.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/bench_timing.hpp"
#include "pipeline/bench_tissue.hpp"
#include "stages/training/sampler.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// The images of the benchmark: a few pictures over and over, in an order that tells a wrong image
// apart, so that any size can be written and checked without being in memory.
class Images {
 public:
  Images(const LoaderBench& bench, int64_t rank)
      : count_(bench.gigabytes > 0
                   ? std::max<int64_t>(
                         1, std::llround(bench.gigabytes * 1e9 /
                                         static_cast<double>(bench.image_channels *
                                                             bench.resolution * bench.resolution)))
                   : bench.images),
        pictures_(tissue_pictures(std::min(count_, kPictures), bench.image_channels,
                                  bench.resolution, static_cast<uint64_t>(rank))) {}

  int64_t count() const { return count_; }
  const TissuePictures& pictures() const { return pictures_; }
  int64_t bytes_of_one() const { return pictures_.pixels[0].numel(); }
  // Which picture image i shows.
  int64_t picture_of(int64_t i) const {
    return static_cast<int64_t>((static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15) >> 40) %
           pictures_.pixels.size(0);
  }
  torch::Tensor batch(at::ArrayRef<int64_t> rows) const {
    std::vector<int64_t> pictures;
    for (const int64_t row : rows) pictures.push_back(picture_of(row));
    return pictures_.pixels.index_select(0, torch::tensor(pictures));
  }

 private:
  static constexpr int64_t kPictures = 64;
  int64_t count_;
  TissuePictures pictures_;
};

// The same bytes without any format.
class PlainFile {
 public:
  PlainFile(const fs::path& file, const Images& images) : images_(images) {
    descriptor_ = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int64_t at = 0;
    for (int64_t i = 0; descriptor_ >= 0 && i < images.count(); ++i) {
      const auto picture = images.pictures().pixels[images.picture_of(i)];
      const auto bytes = static_cast<int64_t>(picture.nbytes());
      validate(::pwrite(descriptor_, picture.data_ptr(), bytes, at) == bytes, file.string(),
               ": cannot be written (", std::strerror(errno), "); choose another --dir");
      at += bytes;
    }
    validate(descriptor_ >= 0 && ::fsync(descriptor_) == 0, file.string(), ": cannot be written (",
             std::strerror(errno), "); choose another --dir");
  }
  ~PlainFile() { ::close(descriptor_); }
  PlainFile(const PlainFile&) = delete;
  PlainFile& operator=(const PlainFile&) = delete;

  torch::Tensor read(at::ArrayRef<int64_t> rows) const {
    auto shape = images_.pictures().pixels.sizes().vec();
    shape[0] = static_cast<int64_t>(rows.size());
    auto batch = torch::empty(shape, torch::kUInt8);
    const int64_t bytes = images_.bytes_of_one();
    auto* to = static_cast<uint8_t*>(batch.data_ptr());
    for (const int64_t row : rows) {
      validate(::pread(descriptor_, to, bytes, row * bytes) == bytes,
               "the plain file: ", std::strerror(errno));
      to += bytes;
    }
    return batch;
  }

 private:
  const Images& images_;
  int descriptor_ = -1;
};

// The pictures as chunks.
std::vector<EncodedImage> encoded(const TissuePictures& pictures, Storage storage) {
  std::vector<EncodedImage> chunks;
  for (int64_t k = 0; k < pictures.pixels.size(0); ++k)
    chunks.push_back(storage == Storage::jpeg ? keep_jpeg(pictures.jpegs[k])
                                              : encode_image(pictures.pixels[k], storage));
  return chunks;
}

// Images first .. last - 1.
void write_set(const fs::path& file, const Images& images, Storage storage, int64_t first,
               int64_t last) {
  const auto chunks = encoded(images.pictures(), storage);
  const auto shape = images.pictures().pixels.sizes();
  ImageSetWriter writer(file, shape[1], shape[2], shape[3], {"image"}, "{}",
                        {.storage = storage, .level = 1, .shard = true});
  for (int64_t i = first; i < last; ++i)
    writer.append(chunks[images.picture_of(i)],
                  {0, Split::train, "subject " + std::to_string(i), "", {}});
  writer.close();
}

void write_shards(const fs::path& folder, const Images& images) {
  constexpr int64_t kShards = 16;
  fs::create_directory(folder / "shards");
  std::vector<std::string> names;
  for (int64_t s = 0; s < kShards; ++s) {
    names.push_back("shards/" + std::to_string(s) + ".h5");
    write_set(folder / names.back(), images, Storage::none, images.count() * s / kShards,
              images.count() * (s + 1) / kShards);
  }
  write_image_index(folder / "images.h5", {"image"}, "{}", names);
}

int64_t bytes_in(const fs::path& folder) {
  int64_t bytes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) bytes += static_cast<int64_t>(entry.file_size());
  return bytes;
}

// One reader after the other, each in turn with the plain file.
class LoaderTable {
 public:
  LoaderTable(const LoaderBench& bench, const Launch& host, double seconds, double copy,
              const Images& images, const PlainFile& plain)
      : batch_(bench.batch),
        host_(host),
        seconds_(seconds),
        copy_(copy),
        images_(images),
        plain_(plain) {}

  // size: bytes on disk, 0: does not apply; encode: images encoded a second by one thread, null:
  // does not apply.
  void add(const std::string& name, double size, const nlohmann::ordered_json& encode,
           const std::function<torch::Tensor(at::ArrayRef<int64_t>)>& read) {
    EpochSampler sampler(0, "bench.loader.order", images_.count());
    std::vector<int64_t> numbers(static_cast<size_t>(batch_)), rows;
    std::vector<double> plain_times;
    int64_t next = 0, wrong = 0;
    torch::Tensor batch;
    const auto choose = [&] {
      for (auto& number : numbers) number = next++;
      rows = sampler.indices(numbers);
    };
    // Other images for each, so that neither finds the other's bytes in the CPU's cache, and a read
    // before both.
    const auto before = [&] {
      choose();
      batch = plain_.read(rows);
      choose();
      const double begin = device_clock(torch::kCPU);
      batch = plain_.read(rows);
      plain_times.push_back(device_clock(torch::kCPU) - begin);
      choose();
    };
    const auto after = [&] { wrong += batch.ne(images_.batch(rows)).sum().item<int64_t>(); };
    const auto timing = measure(host_, seconds_, {[&] { batch = read(rows); }, before, after});
    const double time = slowest(host_, timing), ranks = host_.world.size();
    const auto bytes = ranks * static_cast<double>(batch.nbytes());
    const double pixels = static_cast<double>(images_.count() * images_.bytes_of_one());
    const double plain_time = host_.world.all_reduce(median(plain_times), ReduceOp::max);
    rows_.push_back({{"name", name},
                     {"time", time * 1e6},
                     {"rate", ranks * static_cast<double>(batch_) / time},
                     {"mbps", bytes / time / 1e6},
                     {"of_plain", 100 * plain_time / time},
                     {"of_limit", 100 * 2 * bytes / time / copy_},
                     {"size", size > 0 ? nlohmann::ordered_json(100 * size / pixels) : nullptr},
                     {"encode", encode},
                     {"calls", timing.calls},
                     {"wrong", total(host_, wrong)}});
  }

  std::vector<nlohmann::ordered_json> rows() const { return rows_; }

 private:
  int64_t batch_;
  const Launch& host_;
  double seconds_, copy_;
  const Images& images_;
  const PlainFile& plain_;
  std::vector<nlohmann::ordered_json> rows_;
};

double encode_rate(const Images& images, Storage storage, const Launch& host, double seconds) {
  int64_t next = 0;
  const auto timing = measure(host, seconds,
                              {[&] {
                                 encode_image(images.pictures().pixels[next], storage);
                                 next = (next + 1) % images.pictures().pixels.size(0);
                               },
                               {},
                               {}});
  return 1 / slowest(host, timing);
}

}  // namespace

BenchReport bench_loader(const LoaderBench& bench, const Launch& at, double seconds) {
  const Launch host{at.world, at.stop, torch::kCPU, at.dtype, at.threads};
  const double copy = copy_rate(host, seconds);
  const Images images(bench, at.world.rank());
  const ScratchFolder folder(bench.dir);
  const PlainFile plain(folder.path() / "images.raw", images);
  LoaderTable table(bench, host, seconds, copy, images, plain);

  table.add("plain file (pread)", 0, nullptr,
            [&](at::ArrayRef<int64_t> rows) { return plain.read(rows); });
  table.add("memory (index_select)", 0, nullptr,
            [&](at::ArrayRef<int64_t> rows) { return images.batch(rows); });
  // One at a time on disk.
  const auto add_set = [&](const std::string& name, const nlohmann::ordered_json& encode,
                           const std::function<void(const fs::path&)>& write) {
    const ScratchFolder own(folder.path());
    write(own.path());
    const ImageSet set(own.path() / "images.h5");
    table.add(name, static_cast<double>(bytes_in(own.path())), encode,
              [&](at::ArrayRef<int64_t> rows) { return set.read(rows); });
  };
  for (const Storage storage : {Storage::none, Storage::lz4, Storage::zstd, Storage::jpeg}) {
    const bool kept = storage == Storage::jpeg;
    if (kept && bench.image_channels != 3) continue;  // JPEG files are kept of RGB only
    nlohmann::ordered_json encode;
    if (!kept && storage != Storage::none) encode = encode_rate(images, storage, host, seconds);
    add_set("ImageSet, " + to_string(storage), encode, [&](const fs::path& own) {
      write_set(own / "images.h5", images, storage, 0, images.count());
    });
  }
  add_set("ImageSet, none, 16 shards", nullptr,
          [&](const fs::path& own) { write_shards(own, images); });

  BenchReport report;
  report.name = "loader";
  report.args = {{"images", images.count()},
                 {"channels", bench.image_channels},
                 {"resolution", bench.resolution},
                 {"batch", bench.batch},
                 {"gigabytes", static_cast<double>(images.count() * images.bytes_of_one()) / 1e9},
                 {"seconds", seconds}};
  report.limits = {{"copy_GB/s", copy / 1e9}};
  report.columns = {{"name", "reader", ""},        {"time", "a batch", "us"},
                    {"rate", "rate", "images/s"},  {"mbps", "pixels", "MB/s"},
                    {"of_plain", "of pread", "%"}, {"of_limit", "of copy", "%"},
                    {"size", "on disk", "%"},      {"encode", "encode", "images/s"},
                    {"calls", "calls", ""},        {"wrong", "#wrong", ""}};
  report.rows = table.rows();
  report.notes = {
      "shuffled reads of files just written: from the page cache, as far as that is large enough",
      "of pread: beside one thread's pread of as many images from a plain file, call by call in "
      "turn",
      "on disk: of the pixels; encode: by one thread; jpeg is kept as it came, so not encoded"};
  return report;
}

}  // namespace stylescope
