#include "io/pair_set.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/hdf5_file.hpp"
#include "io/image_pixels.hpp"
#include "io/sha256.hpp"

#include <algorithm>
#include <optional>

namespace stylescope {
namespace {

constexpr const char* kShardFormat = "stylescope.pair_shard";
constexpr const char* kFormat = "stylescope.pairs";
constexpr int64_t kVersion = 1;
constexpr const char* kCheckDisk = "check the disk's space and permissions";
constexpr const char* kRunAgain = "run the synthesize stage again";

std::filesystem::path partial_name(const std::filesystem::path& file) {
  return file.string() + ".partial";
}

struct OpenShard {
  int64_t first = 0;  // its first row among those of all shards
  hdf5::File file;
  hdf5::Dataset w, images, index;
};

OpenShard open_shard(const std::filesystem::path& path, int64_t first, int64_t rows) {
  hdf5::File file = hdf5::File::open(path, kRunAgain);
  file.check_format(kShardFormat, kVersion);
  hdf5::Dataset w = file.dataset("w"), images = file.dataset("images"),
                index = file.dataset("index");
  const bool whole = w.shape().size() == 2 && w.shape()[0] == rows && images.shape().size() == 4 &&
                     images.shape()[0] == rows && index.shape() == std::vector<int64_t>{rows} &&
                     images.dtype() == torch::kUInt8 && images.shape()[2] == images.shape()[3];
  validate(whole, path.string(), ": does not hold ", rows, " pairs of w and a square image; ",
           kRunAgain);
  return {first, std::move(file), std::move(w), std::move(images), std::move(index)};
}

bool same_rows(const hdf5::Dataset& a, const hdf5::Dataset& b) {
  return a.dtype() == b.dtype() && std::ranges::equal(a.shape().begin() + 1, a.shape().end(),
                                                      b.shape().begin() + 1, b.shape().end());
}

// Presence, size and content first: HDF5 itself would answer zeros for a shard that is gone.
void check_shard(const std::filesystem::path& path, const PairShard& shard, bool verify) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  validate(!error, path.string(), ": this shard of the synthetic pairs is missing; ", kRunAgain);
  validate(static_cast<int64_t>(bytes) == shard.bytes, path.string(),
           ": this shard of the synthetic pairs has ", bytes, " bytes instead of ", shard.bytes,
           " (cut off or of another run); ", kRunAgain);
  validate(!verify || sha256_of_file(path) == shard.sha256, path.string(),
           ": this shard of the synthetic pairs is damaged (its SHA-256 is not the one written); ",
           kRunAgain);
}

std::vector<OpenShard> open_shards(const std::filesystem::path& folder,
                                   const std::vector<PairShard>& shards) {
  std::vector<OpenShard> open;
  int64_t first = 0;
  for (const auto& shard : shards) {
    open.push_back(open_shard(folder / shard.file, first, shard.rows));
    first += shard.rows;
    validate(same_rows(open.front().w, open.back().w) &&
                 same_rows(open.front().images, open.back().images),
             (folder / shard.file).string(), ": differs from ", shards.front().file,
             " in the size of w or of the images; ", kRunAgain);
  }
  return open;
}

torch::Tensor as_row(const std::vector<PairShard>& shards, int64_t PairShard::*member) {
  std::vector<int64_t> values;
  for (const auto& shard : shards) values.push_back(shard.*member);
  return torch::tensor(values, torch::kInt64);
}

}  // namespace

struct PairShardWriter::Impl {
  std::filesystem::path target;
  int64_t rows = 0;
  hdf5::File file;
  hdf5::Dataset w, images, index;
  int64_t written = 0;
  bool published = false;
};

PairShardWriter::PairShardWriter(std::filesystem::path file, int64_t rows, int64_t w_dim,
                                 torch::Dtype w_dtype, int64_t channels, int64_t height,
                                 int64_t width) {
  SS_CHECK(rows >= 0 && w_dim > 0 && channels > 0 && height > 0 && width == height);
  hdf5::File partial = hdf5::File::create(partial_name(file), kCheckDisk);
  partial.write_format(kShardFormat, kVersion);
  auto w = partial.create_fixed("w", w_dtype, {rows, w_dim});
  auto images = partial.create_rows("images", torch::kUInt8, {channels, height, width});
  auto index = partial.create_fixed("index", torch::kInt64, {rows});
  images.resize(rows);
  impl_.reset(new Impl{std::move(file), rows, std::move(partial), std::move(w), std::move(images),
                       std::move(index)});
}

PairShardWriter::~PairShardWriter() {
  if (!impl_ || impl_->published) return;
  const auto partial = partial_name(impl_->target);
  impl_.reset();
  std::error_code ignored;
  std::filesystem::remove(partial, ignored);
}

void PairShardWriter::append(const torch::Tensor& w, const torch::Tensor& images,
                             const torch::Tensor& index) {
  const int64_t count = w.size(0);
  SS_CHECK(images.size(0) == count && index.size(0) == count);
  impl_->w.write_rows(impl_->written, w);
  impl_->images.write_rows(impl_->written, images);
  impl_->index.write_rows(impl_->written, index);
  impl_->written += count;
}

PairShard PairShardWriter::close() {
  SS_CHECK(!impl_->published && impl_->written == impl_->rows, impl_->written, " of ", impl_->rows);
  for (auto* part : {&impl_->w, &impl_->images, &impl_->index}) {
    const hdf5::Dataset done = std::move(*part);
  }
  impl_->file.close();
  publish_file(impl_->target, [this](const std::filesystem::path& temporary) {
    std::filesystem::rename(partial_name(impl_->target), temporary);
  });
  impl_->published = true;
  return {impl_->target.filename().string(), impl_->rows,
          static_cast<int64_t>(std::filesystem::file_size(impl_->target)),
          sha256_of_file(impl_->target)};
}

void write_pair_index(const std::filesystem::path& file, const std::vector<PairShard>& shards) {
  SS_CHECK(!shards.empty());
  for (const auto& shard : shards) check_shard(file.parent_path() / shard.file, shard, false);
  const auto open = open_shards(file.parent_path(), shards);
  const int64_t total = open.back().first + shards.back().rows;
  validate(total > 0, file.string(), ": there are no synthetic pairs; ask for at least one");

  std::vector<hdf5::VirtualSource> sources;
  std::vector<std::string> names, hashes;
  for (const auto& shard : shards) {
    sources.push_back({shard.file, shard.rows});
    names.push_back(shard.file);
    hashes.push_back(shard.sha256);
  }
  publish_file(file, [&](const std::filesystem::path& temporary) {
    hdf5::File index = hdf5::File::create(temporary, kCheckDisk);
    index.write_format(kFormat, kVersion);
    index.write_strings("shards/file", names);
    index.write_strings("shards/sha256", hashes);
    index.write("shards/rows", as_row(shards, &PairShard::rows));
    index.write("shards/bytes", as_row(shards, &PairShard::bytes));
    const auto& like = open.front();
    const auto image = like.images.shape();
    index.create_virtual("w", like.w.dtype(), {like.w.shape()[1]}, sources);
    index.create_virtual("images", torch::kUInt8, {image.begin() + 1, image.end()}, sources);
    index.create_virtual("index", torch::kInt64, {}, sources);
    index.close();
  });
}

// Reads go to the shards themselves: finding one row through a virtual data set takes HDF5 longer
// than reading it. The virtual data sets are for everybody else's programs.
struct PairSet::Impl {
  int64_t size = 0;
  std::vector<OpenShard> shards;
  std::optional<ImagePixels> pixels;  // none where the images lie as only HDF5 can read them

  // The places of all images, asked of HDF5 once.
  void find_images(const std::filesystem::path& folder, const std::vector<PairShard>& names) {
    const auto shape = shards.front().images.shape();
    pixels.emplace(std::vector<int64_t>(shape.begin() + 1, shape.end()), kRunAgain);
    for (size_t i = 0; i < shards.size() && pixels; ++i)
      if (names[i].rows > 0 && !pixels->add(folder / names[i].file, shards[i].images))
        pixels.reset();
  }

  const OpenShard& shard_of(int64_t row) const {
    const auto after = std::upper_bound(
        shards.begin(), shards.end(), row,
        [](int64_t wanted, const OpenShard& shard) { return wanted < shard.first; });
    return *std::prev(after);
  }
};

PairSet::PairSet(const std::filesystem::path& file, bool verify) : impl_(new Impl) {
  const hdf5::File index = hdf5::File::open(file, kRunAgain);
  index.check_format(kFormat, kVersion);
  const auto names = index.read_strings("shards/file");
  const auto hashes = index.read_strings("shards/sha256");
  const auto count = static_cast<int64_t>(names.size());
  const auto rows = index.read("shards/rows", torch::kInt64, {count});
  const auto bytes = index.read("shards/bytes", torch::kInt64, {count});
  validate(count > 0 && hashes.size() == names.size(), file.string(),
           ": its list of shards is damaged; ", kRunAgain);
  std::vector<PairShard> shards;
  for (int64_t i = 0; i < count; ++i) {
    shards.push_back(
        {names[i], rows.data_ptr<int64_t>()[i], bytes.data_ptr<int64_t>()[i], hashes[i]});
    check_shard(file.parent_path() / names[i], shards.back(), verify);
    impl_->size += shards.back().rows;
  }
  impl_->shards = open_shards(file.parent_path(), shards);
  impl_->find_images(file.parent_path(), shards);
}

PairSet::~PairSet() = default;
PairSet::PairSet(PairSet&&) noexcept = default;
PairSet& PairSet::operator=(PairSet&&) noexcept = default;

int64_t PairSet::size() const { return impl_->size; }
int64_t PairSet::w_dim() const { return impl_->shards.front().w.shape()[1]; }
int64_t PairSet::channels() const { return impl_->shards.front().images.shape()[1]; }
int64_t PairSet::resolution() const { return impl_->shards.front().images.shape()[2]; }

torch::Tensor PairSet::w() const {
  std::vector<torch::Tensor> parts;
  for (const auto& shard : impl_->shards) parts.push_back(shard.w.read());
  return torch::cat(parts);
}

bool PairSet::reads_past_hdf5() const { return impl_->pixels.has_value(); }

torch::Tensor PairSet::read_images(at::ArrayRef<int64_t> indices) const {
  if (impl_->pixels) return impl_->pixels->read(indices);
  torch::Tensor out =
      torch::empty({static_cast<int64_t>(indices.size()), channels(), resolution(), resolution()},
                   torch::kUInt8);
  for (size_t i = 0; i < indices.size(); ++i) {
    SS_CHECK(indices[i] >= 0 && indices[i] < size(), "pair ", indices[i], " of ", size());
    const OpenShard& shard = impl_->shard_of(indices[i]);
    out[static_cast<int64_t>(i)].copy_(shard.images.read_rows({indices[i] - shard.first})[0]);
  }
  return out;
}

}  // namespace stylescope
