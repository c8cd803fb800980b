#include "stages/ingest/ingest_stage.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/picture.hpp"
#include "stages/artifacts.hpp"
#include "stages/ingest/image_plan.hpp"
#include "stages/ingest/ordered_pool.hpp"
#include "stages/training/progress.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

namespace stylescope {
namespace {

namespace fs = std::filesystem;
constexpr int64_t kSheetColumns = 8;

// Pixels, or why there are none.
struct Loaded {
  torch::Tensor pixels;
  std::string reason;
};

// Errors begin with the file, which the list of bad files names in a column of its own.
std::string reason_without_file(const std::string& message, const std::string& path) {
  const size_t at = message.find(path + ": ");
  return at == std::string::npos ? message : message.substr(at + path.size() + 2);
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

void write_bad_files(const fs::path& file, const std::vector<BadFile>& bad) {
  std::string text = "path,reason\n";
  for (const auto& b : bad) text += csv_field(b.path) + "," + csv_field(b.reason) + "\n";
  publish_text(file, text);
}

// The first training images of each class, a row each.
class ContactSheet {
 public:
  ContactSheet(size_t classes, int64_t channels, int64_t size)
      : images_(torch::zeros({static_cast<int64_t>(classes) * kSheetColumns, channels, size, size},
                             torch::kUInt8)),
        filled_(classes, 0) {}
  void add(const torch::Tensor& pixels, const ImageRecord& record) {
    int64_t& filled = filled_[static_cast<size_t>(record.label)];
    if (record.split != Split::train || filled == kSheetColumns) return;
    images_[record.label * kSheetColumns + filled++].copy_(pixels);
  }
  void write(const fs::path& file) const { write_png(file, tile_grid(images_, kSheetColumns)); }

 private:
  torch::Tensor images_;
  std::vector<int64_t> filled_;
};

// Counts what went into images.h5.
class Census {
 public:
  explicit Census(std::vector<std::string> label_names) : label_names_(std::move(label_names)) {
    for (auto& labels : labels_) labels.assign(label_names_.size(), 0);
  }
  void add(const ImageRecord& record) {
    const auto split = static_cast<size_t>(record.split);
    ++labels_[split][static_cast<size_t>(record.label)];
    subjects_[split].insert(record.subject);
    ++images_;
  }
  int64_t images() const { return images_; }
  nlohmann::json metrics() const {
    nlohmann::json result{{"images", images_}};
    for (const Split s : {Split::train, Split::val, Split::test}) {
      const auto& counts = labels_[static_cast<size_t>(s)];
      int64_t sum = 0;
      for (size_t k = 0; k < counts.size(); ++k) {
        result[to_string(s) + "_images_" + label_names_[k]] = counts[k];
        sum += counts[k];
      }
      result[to_string(s) + "_images"] = sum;
      result[to_string(s) + "_subjects"] = subjects_[static_cast<size_t>(s)].size();
    }
    return result;
  }

 private:
  std::vector<std::string> label_names_;
  std::array<std::vector<int64_t>, 3> labels_;
  std::array<std::set<std::string>, 3> subjects_;
  int64_t images_ = 0;
};

std::string source_of(const IngestConfig& config, uint64_t seed) {
  nlohmann::json source{
      {"source", config.source}, {"seed", seed}, {"resolution", config.resolution}};
  if (config.source == "phantom")
    source["phantom"] = {{"subjects", config.phantom.subjects},
                         {"images_per_subject", config.phantom.images_per_subject},
                         {"nuisance_correlation", config.phantom.nuisance_correlation}};
  else
    source["path"] = config.path;
  return source.dump();
}

int64_t thread_count(const IngestConfig& config) {
  if (config.threads > 0) return config.threads;
  return std::max<int64_t>(1, std::thread::hardware_concurrency());
}

nlohmann::json ingest(const IngestConfig& config, const RunContext& context) {
  const auto begin = std::chrono::steady_clock::now();
  const fs::path bad_list = context.out_dir / fs::path(artifacts::bad_files).filename();
  ImagePlan plan = plan_images(config, context.seed);
  write_bad_files(bad_list, plan.bad);
  check_bad_share(config, plan.bad, plan.listed, bad_list.string());

  ImageSetWriter writer(context.out_dir / fs::path(artifacts::images).filename(), config.channels,
                        config.resolution, config.resolution, plan.label_names,
                        source_of(config, context.seed));
  ContactSheet sheet(plan.label_names.size(), config.channels, config.resolution);
  Census census(plan.label_names);
  const auto total = static_cast<int64_t>(plan.records.size());
  Progress progress("ingest", total, 1, "img", true);
  const int64_t threads = thread_count(config);
  OrderedPool<Loaded> pool(total, threads, 8 * threads, [&plan](int64_t i) -> Loaded {
    try {
      return {plan.load(i), {}};
    } catch (const Error& error) {
      return {{}, reason_without_file(error.what(), plan.records[static_cast<size_t>(i)].path)};
    }
  });
  for (int64_t i = 0; i < total; ++i) {
    if (context.stop.requested())
      throw Interrupted(
          "ingest was asked to stop; run again (it starts anew: it keeps no checkpoint)");
    const auto& record = plan.records[static_cast<size_t>(i)];
    const Loaded loaded = pool.take();
    if (loaded.pixels.defined()) {
      writer.append(loaded.pixels, record);
      sheet.add(loaded.pixels, record);
      census.add(record);
    } else {
      plan.bad.push_back({record.path, loaded.reason});
    }
    progress.update(i + 1, {{"bad", static_cast<double>(plan.bad.size())}});
  }
  std::sort(plan.bad.begin(), plan.bad.end(),
            [](const BadFile& a, const BadFile& b) { return a.path < b.path; });
  write_bad_files(bad_list, plan.bad);
  check_bad_share(config, plan.bad, plan.listed, bad_list.string());
  if (!plan.bad.empty())
    log::warn("ingest: {} of {} pictures left out; {} says why", plan.bad.size(), plan.listed,
              bad_list.filename().string());
  writer.close();
  sheet.write(context.out_dir / "contact_sheet.png");

  auto metrics = census.metrics();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  metrics["bad_files"] = plan.bad.size();
  metrics["seconds"] = seconds.count();
  metrics["images_per_second"] = static_cast<double>(census.images()) / seconds.count();
  metrics["threads"] = threads;
  return metrics;
}

}  // namespace

nlohmann::json run_ingest(const IngestConfig& config, RunContext& context) {
  config.check();
  std::string metrics;
  on_root(context.world, [&] { metrics = ingest(config, context).dump(); });
  return nlohmann::json::parse(context.world.broadcast(metrics, 0));
}

}  // namespace stylescope
