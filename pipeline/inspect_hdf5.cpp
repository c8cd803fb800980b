#include "io/base/error.hpp"
#include "io/coords_file.hpp"
#include "io/hdf5_file.hpp"
#include "io/hdf5_tree.hpp"
#include "io/image_set.hpp"
#include "io/pair_set.hpp"
#include "pipeline/inspect.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr const char* kAdvice = "copy it again, or make it anew";
constexpr size_t kMostEntries = 1000;

// "stylescope.images" and such; "" in the files of others.
std::string format_of(const fs::path& name) {
  const auto file = hdf5::File::open(name, kAdvice);
  try {
    return file.has_attribute("format") ? file.read_text_attribute("format") : "";
  } catch (const Error&) {
    return "";
  }
}

Inspection inspect_images(const fs::path& file) {
  const ImageSet images(file);
  std::map<std::string, std::set<std::string>> subjects;
  std::map<std::string, std::map<std::string, int64_t>> counts;
  std::set<std::string> slides;
  for (int64_t i = 0; i < images.size(); ++i) {
    const auto& record = images.record(i);
    const auto split = to_string(record.split);
    subjects[split].insert(record.subject);
    ++counts[split][images.label_names()[static_cast<size_t>(record.label)]];
    if (!record.slide.empty()) slides.insert(record.slide);
  }
  Inspection splits = Inspection::array();
  for (const auto& [split, of_label] : counts) {
    int64_t all = 0;
    for (const auto& [label, count] : of_label) all += count;
    splits.push_back({{"split", split},
                      {"subjects", subjects[split].size()},
                      {"images", all},
                      {"of_class", of_label}});
  }
  Inspection result{{"kind", "images of stylescope"},
                    {"images", images.size()},
                    {"shape", {images.channels(), images.height(), images.width()}},
                    {"classes", images.label_names()},
                    {"splits", splits},
                    {"slides", slides.size()},
                    {"shards", images.shards().size()},
                    {"id", images.id()}};
  std::vector<std::string> attributes;
  if (images.size() > 0)
    for (const auto& item : images.record(0).attributes) attributes.push_back(item.first);
  result["attributes"] = attributes;
  return result;
}

Inspection inspect_pairs(const fs::path& file) {
  const PairSet pairs(file);  // compares the shards' SHA-256
  return {{"kind", "synthetic pairs (w, G(w)) of stylescope"},
          {"pairs", pairs.size()},
          {"w_dim", pairs.w_dim()},
          {"image", {pairs.channels(), pairs.resolution(), pairs.resolution()}},
          {"checksums", "as written (SHA-256 of each shard)"}};
}

Inspection inspect_explanations(const fs::path& name) {
  const auto file = hdf5::File::open(name, kAdvice);
  const auto strip = file.dataset("strip").shape();
  validate(strip.size() == 5, name.string(), ": its data set 'strip' has ", strip.size(),
           " axes, not 5; ", kAdvice);
  return {{"kind", "explanations of stylescope"},
          {"images", strip[0]},
          {"steps_of_lambda", strip[1]},
          {"image", {strip[2], strip[3], strip[4]}},
          {"targets", file.dataset("target_probability").shape().at(0)},
          {"w_dim", file.dataset("w").shape().at(1)}};
}

Inspection tree(const std::vector<hdf5::Entry>& entries) {
  Inspection rows = Inspection::array();
  for (const auto& entry : entries) {
    if (entry.group)
      rows.push_back({{"name", entry.name + "/"}});
    else
      rows.push_back({{"name", entry.name}, {"type", entry.type}, {"shape", entry.shape}});
  }
  return rows;
}

bool is_pcam_x(const std::vector<hdf5::Entry>& entries) {
  return std::ranges::any_of(entries, [](const hdf5::Entry& e) {
    return e.name == "x" && e.shape.size() == 4 && e.shape[1] == 96 && e.shape[2] == 96 &&
           e.shape[3] == 3;
  });
}

Inspection inspect_foreign(const fs::path& file) {
  const auto entries = hdf5::list_entries(file, kMostEntries);
  const auto content = hdf5::File::open(file, kAdvice);
  const auto has = [&](const char* name) {
    return std::ranges::any_of(entries, [&](const hdf5::Entry& e) { return e.name == name; });
  };
  if (is_pcam_x(entries))
    return {{"kind", "images of PatchCamelyon"},
            {"images", content.dataset("x").shape()[0]},
            {"image", {3, 96, 96}},
            {"see", "ingest.source: pcam reads them, with the labels beside them"}};
  if (has("y") && content.dataset("y").shape().size() == 4) {
    const auto y = content.dataset("y").read();
    return {{"kind", "labels of PatchCamelyon"},
            {"labels", y.numel()},
            {"positive", y.ne(0).sum().item<int64_t>()}};
  }
  if (has("coords")) {
    try {
      const auto coords = read_coords(file);
      return {{"kind", "places of tiles (" + coords.layout + ")"},
              {"tiles", coords.level0.size(0)},
              {"tile_px", coords.tile_px},
              {"tile_in_level_0", {coords.width0, coords.height0}}};
    } catch (const Error&) {
      // Another program's "coords": the tree says what it is.
    }
  }
  Inspection result{{"kind", "HDF5"}, {"content", tree(entries)}};
  if (entries.size() == kMostEntries) result["more"] = "only the first 1000 are shown";
  return result;
}

}  // namespace

Inspection inspect_hdf5(const fs::path& file) {
  const auto format = format_of(file);
  if (format == "stylescope.images") return inspect_images(file);
  if (format == "stylescope.pairs") return inspect_pairs(file);
  if (format == "stylescope.pair_shard")
    return {{"kind", "one rank's synthetic pairs of stylescope (pairs.h5 holds them all)"},
            {"pairs", hdf5::File::open(file, kAdvice).dataset("w").shape().at(0)}};
  if (format == "stylescope.explanations") return inspect_explanations(file);
  return inspect_foreign(file);
}

}  // namespace stylescope
