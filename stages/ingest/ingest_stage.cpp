#include "stages/ingest/ingest_stage.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/ordered_pool.hpp"
#include "io/picture.hpp"
#include "stages/artifacts.hpp"
#include "stages/images/bad_files.hpp"
#include "stages/images/census.hpp"
#include "stages/images/contact_sheet.hpp"
#include "stages/ingest/image_plan.hpp"
#include "stages/training/progress.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

namespace stylescope {
namespace {

namespace fs = std::filesystem;

// Pixels, or why there are none.
struct Loaded {
  torch::Tensor pixels;
  std::string reason;
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
  if (config.source == "pcam") return 0;  // HDF5 is not to be called from two threads
  if (config.threads > 0) return config.threads;
  return std::max<int64_t>(1, std::thread::hardware_concurrency());
}

nlohmann::json ingest(const IngestConfig& config, const RunContext& context) {
  const auto begin = std::chrono::steady_clock::now();
  const fs::path bad_list = context.out_dir / fs::path(artifacts::bad_files).filename();
  ImagePlan plan = plan_images(config, context.seed);
  const BadShare share{config.path, "pictures", "ingest.max_bad_fraction", config.max_bad_fraction};
  write_bad_files(bad_list, plan.bad);
  check_bad_share(share, plan.bad, plan.listed, bad_list.string());

  ImageSetWriter writer(context.out_dir / fs::path(artifacts::images).filename(), config.channels,
                        config.resolution, config.resolution, plan.label_names,
                        source_of(config, context.seed));
  ContactSheet sheet(plan.label_names.size(), config.channels, config.resolution);
  Census census(plan.label_names);
  const auto total = static_cast<int64_t>(plan.records.size());
  Progress progress("ingest", total, 1, "img", true, context.progress_file);
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
  check_bad_share(share, plan.bad, plan.listed, bad_list.string());
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
