#include "distributed/random.hpp"
#include "io/base/error.hpp"
#include "io/image_set.hpp"
#include "pipeline/bench.hpp"
#include "pipeline/bench_timing.hpp"
#include "stages/training/sampler.hpp"

#include <fstream>
#include <unistd.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// A folder of this process, removed with what it holds.
class ScratchFolder {
 public:
  explicit ScratchFolder(const fs::path& parent) {
    std::string name =
        ((parent.empty() ? fs::temp_directory_path() : parent) / "stylescope-bench-XXXXXX")
            .string();
    validate(::mkdtemp(name.data()) != nullptr, name,
             ": cannot be made (no such folder, or not writable); choose another --dir");
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void write_image_set(const fs::path& file, const torch::Tensor& images) {
  ImageSetWriter writer(file, images.size(1), images.size(2), images.size(3), {"image"}, "{}");
  for (int64_t i = 0; i < images.size(0); ++i)
    writer.append(images[i], {0, Split::train, "subject " + std::to_string(i), "", {}});
  writer.close();
}

void write_plain(const fs::path& file, const torch::Tensor& images) {
  std::ofstream out(file, std::ios::binary);
  out.write(static_cast<const char*>(images.data_ptr()),
            static_cast<std::streamsize>(images.nbytes()));
  out.close();
  validate(!out.fail(), file.string(), ": cannot be written (disk full?); choose another --dir");
}

torch::Tensor read_plain(std::ifstream& file, at::ArrayRef<int64_t> rows,
                         const torch::Tensor& like) {
  auto shape = like.sizes().vec();
  shape[0] = static_cast<int64_t>(rows.size());
  auto batch = torch::empty(shape, torch::kUInt8);
  const auto bytes = static_cast<std::streamsize>(like[0].nbytes());
  auto* to = static_cast<char*>(batch.data_ptr());
  for (const int64_t row : rows) {
    file.seekg(row * bytes);
    file.read(to, bytes);
    to += bytes;
  }
  return batch;
}

}  // namespace

BenchReport bench_loader(const LoaderBench& bench, const Launch& at, double seconds) {
  const Launch host{at.world, at.stop, torch::kCPU, at.dtype, at.threads};
  const double copy = copy_rate(host, seconds);
  const auto images = torch::randint(
      256, {bench.images, bench.image_channels, bench.resolution, bench.resolution},
      keyed_generator({0, "bench.loader.images", 0}, at.world.rank()), torch::kUInt8);
  const ScratchFolder folder(bench.dir);
  write_image_set(folder.path() / "images.h5", images);
  write_plain(folder.path() / "images.raw", images);
  const ImageSet set(folder.path() / "images.h5");
  std::ifstream raw(folder.path() / "images.raw", std::ios::binary);

  BenchReport report;
  report.name = "loader";
  report.args = {{"images", bench.images},
                 {"channels", bench.image_channels},
                 {"resolution", bench.resolution},
                 {"batch", bench.batch},
                 {"seconds", seconds}};
  report.limits = {{"copy_GB/s", copy / 1e9}};
  report.columns = {{"name", "reader", ""},       {"time", "a batch", "us"},
                    {"rate", "rate", "images/s"}, {"mbps", "rate", "MB/s"},
                    {"of_limit", "of copy", "%"}, {"calls", "calls", ""},
                    {"wrong", "#wrong", ""}};
  const auto add = [&](const char* name,
                       const std::function<torch::Tensor(at::ArrayRef<int64_t>)>& read) {
    EpochSampler sampler(0, "bench.loader.order", bench.images);
    std::vector<int64_t> numbers(static_cast<size_t>(bench.batch)), rows;
    int64_t next = 0, wrong = 0;
    torch::Tensor batch;
    const auto choose = [&] {
      for (auto& number : numbers) number = next++;
      rows = sampler.indices(numbers);
    };
    const auto check = [&] {
      wrong += batch.ne(images.index_select(0, torch::tensor(rows))).sum().item<int64_t>();
    };
    const auto timing = measure(host, seconds, {[&] { batch = read(rows); }, choose, check});
    const double time = slowest(host, timing), ranks = at.world.size();
    const auto bytes = ranks * static_cast<double>(batch.nbytes());
    report.rows.push_back({{"name", name},
                           {"time", time * 1e6},
                           {"rate", ranks * static_cast<double>(bench.batch) / time},
                           {"mbps", bytes / time / 1e6},
                           {"of_limit", 100 * 2 * bytes / time / copy},
                           {"calls", timing.calls},
                           {"wrong", total(host, wrong)}});
  };
  add("ImageSet (HDF5)", [&](at::ArrayRef<int64_t> rows) { return set.read(rows); });
  add("plain file", [&](at::ArrayRef<int64_t> rows) { return read_plain(raw, rows, images); });
  add("memory (index_select)",
      [&](at::ArrayRef<int64_t> rows) { return images.index_select(0, torch::tensor(rows)); });
  report.notes = {"shuffled reads of a file just written: from the page cache, not from the disk"};
  return report;
}

}  // namespace stylescope
