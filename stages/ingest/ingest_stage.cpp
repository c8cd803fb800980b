#include "stages/ingest/ingest_stage.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/ordered_pool.hpp"
#include "io/picture.hpp"
#include "stages/artifacts.hpp"
#include "stages/audit/image_audit.hpp"
#include "stages/images/bad_files.hpp"
#include "stages/images/census.hpp"
#include "stages/images/contact_sheet.hpp"
#include "stages/ingest/image_plan.hpp"
#include "stages/ingest/subject_map.hpp"
#include "stages/training/progress.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <new>
#include <optional>
#include <set>
#include <thread>

namespace stylescope {
namespace {

namespace fs = std::filesystem;

// Pixels and what the audit keeps of them, or why there are none.
struct Loaded {
  torch::Tensor pixels;
  ImagePrint print;
  std::string failure;
};

std::string source_of(const IngestConfig& config, uint64_t seed,
                      const std::optional<SubjectKey>& key) {
  nlohmann::json source{
      {"source", config.source}, {"seed", seed}, {"resolution", config.resolution}};
  if (config.source == "phantom")
    source["phantom"] = {{"subjects", config.phantom.subjects},
                         {"images_per_subject", config.phantom.images_per_subject},
                         {"nuisance_correlation", config.phantom.nuisance_correlation}};
  else
    source["path"] = config.path;
  if (config.source == "table") source["table"] = config.table.file;
  if (key) source["subject_key"] = key->id();
  return source.dump();
}

int64_t thread_count(const IngestConfig& config) {
  if (config.source == "pcam") return 0;  // HDF5 is not to be called from two threads
  if (config.threads > 0) return config.threads;
  return std::max<int64_t>(1, std::thread::hardware_concurrency());
}

Loaded load(const IngestConfig& config, const ImagePlan& plan, int64_t i) {
  try {
    Loaded loaded{plan.load(i), {}, {}};
    if (config.audit.on()) loaded.print = print_of(loaded.pixels);
    return loaded;
  } catch (const Error& error) {
    return {{}, {}, error.what()};
  } catch (const std::bad_alloc&) {
    return {{}, {}, "needs more memory than there is; cut it smaller, or set ingest.threads lower"};
  }
}

// Takes out of the set, and of the records' rows in it (-1: none), what the audit leaves out, and
// gives the audit's metrics.
nlohmann::json audit(const IngestConfig& config, const RunContext& context, const ImagePlan& plan,
                     const std::vector<ImagePrint>& prints, ImageSetWriter& writer,
                     std::vector<int64_t>& rows) {
  const std::string where = config.source == "phantom" ? "ingest"
                            : config.source == "table" ? config.table.file
                                                       : config.path;
  const auto outcome =
      audit_images({where, "ingest.audit", writer.records(), plan.label_names, prints,
                    [&](at::ArrayRef<int64_t> rows) { return writer.read(rows); }, true,
                    config.pseudonyms() ? (context.run_dir / "subject_map.csv").string() : ""},
                   config.audit, context.out_dir);
  if (outcome.left_out.empty()) return outcome.metrics;
  writer.leave_out(outcome.left_out);
  const std::set<int64_t> out(outcome.left_out.begin(), outcome.left_out.end());
  for (auto& row : rows) {
    if (row < 0) continue;
    row = out.contains(row) ? -1 : row - std::distance(out.begin(), out.lower_bound(row));
  }
  return outcome.metrics;
}

// contact_sheet.png, and the counts of what is in the set, of which `appended` images were before
// the audit. Throws Error when it has left a split without images or a class without training.
nlohmann::json describe_images(const IngestConfig& config, const RunContext& context,
                               const ImagePlan& plan, const ImageSetWriter& writer,
                               int64_t appended) {
  ContactSheet sheet(plan.label_names.size(), config.channels, config.resolution);
  Census census(plan.label_names);
  for (int64_t i = 0; i < std::ssize(writer.records()); ++i) {
    const auto& record = writer.records()[static_cast<size_t>(i)];
    census.add(record);
    if (sheet.wants(record)) sheet.add(writer.read({i})[0], record);
  }
  if (std::ssize(writer.records()) < appended) census.check("ingest");
  sheet.write(context.out_dir / "contact_sheet.png");
  return census.metrics();
}

SubjectKey subject_key(const IngestConfig& config, const fs::path& run_dir) {
  return config.id_key_file.empty() ? SubjectKey::load_or_make(run_dir / "subject.key")
                                    : SubjectKey::load(config.id_key_file);
}

// A record that cannot be read, told without what the pseudonyms hide.
BadFile left_out(const ImagePlan& plan, int64_t record, const std::string& message) {
  const auto i = static_cast<size_t>(record);
  const std::string& path = plan.records[i].path;
  if (plan.sources.empty()) return {path, reason_without_file(message, path)};
  const auto& source = plan.sources[i];
  std::string reason = reason_without_file(message, source.file);
  if (reason != message) return {source.told_as, reason};
  for (const auto& name : {source.file, source.path})
    for (size_t at = 0; (at = reason.find(name, at)) != std::string::npos;
         at += source.told_as.size())
      reason.replace(at, name.size(), source.told_as);
  return {source.told_as, reason};
}

nlohmann::json ingest(const IngestConfig& config, const RunContext& context) {
  const auto begin = std::chrono::steady_clock::now();
  const fs::path bad_list = context.out_dir / fs::path(artifacts::bad_files).filename();
  ImagePlan plan = plan_images(config, context.seed);
  const BadShare share{config.source == "table" ? config.table.file : config.path, "pictures",
                       "ingest.max_bad_fraction", config.max_bad_fraction};
  write_bad_files(bad_list, plan.bad);
  check_bad_share(share, plan.bad, plan.listed, bad_list.string());
  std::optional<SubjectKey> key;
  if (config.pseudonyms()) key = subject_key(config, context.run_dir);
  const auto records = key ? with_pseudonyms(plan.records, *key) : plan.records;
  std::vector<int64_t> rows(records.size(), -1);

  ImageSetWriter writer(context.out_dir / fs::path(artifacts::images).filename(), config.channels,
                        config.resolution, config.resolution, plan.label_names,
                        source_of(config, context.seed, key));
  std::vector<ImagePrint> prints;
  const auto total = static_cast<int64_t>(plan.records.size());
  Progress progress("ingest", total, 1, "img", true, context.progress_file);
  const int64_t threads = thread_count(config);
  OrderedPool<Loaded> pool(total, threads, 8 * threads,
                           [&](int64_t i) { return load(config, plan, i); });
  for (int64_t i = 0; i < total; ++i) {
    if (context.stop.requested())
      throw Interrupted(
          "ingest was asked to stop; run again (it starts anew: it keeps no checkpoint)");
    const auto& record = records[static_cast<size_t>(i)];
    const Loaded loaded = pool.take();
    if (loaded.pixels.defined()) {
      rows[static_cast<size_t>(i)] = std::ssize(prints);
      writer.append(loaded.pixels, record);
      prints.push_back(loaded.print);
    } else {
      plan.bad.push_back(left_out(plan, i, loaded.failure));
    }
    progress.update(i + 1, {{"bad", static_cast<double>(plan.bad.size())}});
  }
  std::sort(plan.bad.begin(), plan.bad.end(),
            [](const BadFile& a, const BadFile& b) { return a.path < b.path; });
  write_bad_files(bad_list, plan.bad);
  check_bad_share(share, plan.bad, plan.listed, bad_list.string());
  if (const auto dark = plan.tally ? plan.tally->warning() : ""; !dark.empty())
    log::warn("ingest: {}", dark);
  if (!plan.bad.empty())
    log::warn("ingest: {} of {} pictures left out; {} says why", plan.bad.size(), plan.listed,
              bad_list.filename().string());
  for (const auto& [attribute, names] : plan.value_names) writer.name_values(attribute, names);
  const auto map = [&] {
    if (key) write_subject_map(context.run_dir / "subject_map.csv", plan, records, rows);
  };
  map();  // also for those who look up what the audit stops at
  const auto audited = audit(config, context, plan, prints, writer, rows);
  map();
  auto metrics = describe_images(config, context, plan, writer, std::ssize(prints));
  metrics.update(audited);
  writer.close();
  if (!config.knees.readings.files.empty())
    publish_text(context.out_dir / "readings.csv",
                 readings_text(plan.readings, [&](const std::string& subject) {
                   return key ? key->pseudonym(subject) : subject;
                 }));

  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  metrics["bad_files"] = plan.bad.size();
  for (const auto& [name, count] : plan.counts) metrics[name] = count;
  metrics["seconds"] = seconds.count();
  metrics["images_per_second"] = metrics["images"].get<double>() / seconds.count();
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
