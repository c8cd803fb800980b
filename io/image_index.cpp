#include "io/image_index.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/image_records.hpp"

#include <algorithm>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr const char* kTileAgain = "run the tile stage again";

// The set of shard `name`, which must fit to `first` (the records and shape of those before).
void check_fits(const fs::path& path, const ImageSet& set,
                const std::vector<std::string>& label_names, const std::vector<int64_t>& shape,
                const std::vector<ImageRecord>& before) {
  const std::vector<int64_t> own{set.channels(), set.height(), set.width()};
  const bool same =
      own == shape && set.label_names() == label_names && !set.id().empty() && set.shards().empty();
  validate(same, path.string(),
           ": this shard has another image size, other label names or another "
           "format than the set it is for; ",
           kTileAgain);
  validate(before.empty() || set.size() == 0 || same_attributes(before.front(), set.record(0)),
           path.string(),
           ": the attributes of this shard's images differ from those of the other "
           "shards; ",
           kTileAgain);
}

void write_shards(hdf5::File& file, const std::vector<ImageShard>& shards) {
  std::vector<std::string> names, ids;
  std::vector<int64_t> rows, bytes;
  for (const auto& shard : shards) {
    names.push_back(shard.file);
    ids.push_back(shard.id);
    rows.push_back(shard.rows);
    bytes.push_back(shard.bytes);
  }
  file.write_strings("shards/file", names);
  file.write_strings("shards/id", ids);
  file.write("shards/rows", torch::tensor(rows, torch::kInt64));
  file.write("shards/bytes", torch::tensor(bytes, torch::kInt64));
}

std::string id_of(const std::vector<ImageShard>& shards, const std::string& source_json) {
  Sha256 hash;
  hash.update(source_json);
  for (const auto& shard : shards) hash.update(shard.file).update(shard.id);
  return hash.finish();
}

}  // namespace

void write_image_index(const fs::path& file, const std::vector<std::string>& label_names,
                       const std::string& source_json, const std::vector<std::string>& names,
                       const std::function<void(ImageRecord&)>& amend) {
  std::vector<ImageShard> shards;
  std::vector<hdf5::VirtualSource> sources;
  std::vector<ImageRecord> records;
  std::vector<int64_t> shape;
  for (const auto& name : names) {
    const fs::path path = file.parent_path() / name;
    const ImageSet set(path);
    if (shape.empty()) shape = {set.channels(), set.height(), set.width()};
    check_fits(path, set, label_names, shape, records);
    for (int64_t i = 0; i < set.size(); ++i) {
      records.push_back(set.record(i));
      if (amend) amend(records.back());
    }
    shards.push_back({name, set.id(), set.size(), static_cast<int64_t>(fs::file_size(path))});
    sources.push_back({name, set.size()});
  }
  validate(!records.empty(), file.string(),
           ": no shard has an image; check the slides and the "
           "tissue thresholds");
  check_subjects(file.string(), records);
  publish_file(file, [&](const fs::path& temporary) {
    hdf5::File out = hdf5::File::create(temporary, images_format::check_disk);
    out.create_virtual("images", torch::kUInt8, shape, sources);
    write_records(out, records, label_names);
    write_shards(out, shards);
    out.write_format(images_format::name, images_format::version);
    out.write_attribute("source", source_json);
    out.write_attribute("id", id_of(shards, source_json));
    out.close();
  });
}

std::vector<ImageShard> read_shards(const hdf5::File& index, const std::string& path) {
  if (!index.contains("shards/file")) return {};
  const auto files = index.read_strings("shards/file"), ids = index.read_strings("shards/id");
  const auto count = static_cast<int64_t>(files.size());
  validate(ids.size() == files.size(), path, ": data set 'shards/id' has ", ids.size(),
           " entries for ", count, " shards; ", kTileAgain);
  const auto rows = index.read("shards/rows", torch::kInt64, {count});
  const auto bytes = index.read("shards/bytes", torch::kInt64, {count});
  std::vector<ImageShard> shards;
  for (int64_t i = 0; i < count; ++i)
    shards.push_back({files[i], ids[i], rows.data_ptr<int64_t>()[i], bytes.data_ptr<int64_t>()[i]});
  return shards;
}

void open_shards(const fs::path& folder, const std::vector<ImageShard>& shards,
                 const std::vector<int64_t>& image_shape, ImagePixels& pixels) {
  for (const auto& shard : shards) {
    const fs::path path = folder / shard.file;
    std::error_code error;
    const auto bytes = static_cast<int64_t>(fs::file_size(path, error));
    validate(!error, path.string(), ": this shard of the images is missing; put it back, or ",
             kTileAgain);
    validate(bytes == shard.bytes, path.string(), ": this shard of the images has ", bytes,
             " bytes instead of ", shard.bytes, " (cut off, or of another run); ", kTileAgain);
    const hdf5::File file = hdf5::File::open(path, kTileAgain);
    file.check_format(images_format::name, images_format::version);
    validate(file.read_text_attribute("id") == shard.id, path.string(),
             ": is not the shard that was indexed under this name (its id differs: exchanged, or "
             "of another run); ",
             kTileAgain);
    const hdf5::Dataset images = file.dataset("images");
    auto shape = image_shape;
    shape.insert(shape.begin(), shard.rows);
    validate(images.shape() == shape && pixels.add(path, images), path.string(),
             ": the images of this shard do not lie as the index says; ", kTileAgain);
  }
}

}  // namespace stylescope
