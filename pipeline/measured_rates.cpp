#include "pipeline/measured_rates.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/stage_state.hpp"
#include "slurm/job_book.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using detail::concatenate;
using nlohmann::json;

std::string gflop_words(double operations) { return number_words(operations / 1e9) + " GFLOP"; }

// Operations of one unit of the stage's work, by pass; what is not counted yet is left out of both.
struct UnitCosts {
  std::map<Pass, double> images;  // of a unit
};
UnitCosts unit_costs(const StageWork& work) {
  UnitCosts unit;
  if (!work.amount.value || *work.amount.value <= 0) return unit;
  for (const auto& [pass, images] : work.passes)
    if (images.value) unit.images[pass] += *images.value / *work.amount.value;
  return unit;
}

bool alike(const UnitCosts& a, const UnitCosts& b, const PassCosts& ours, const PassCosts& theirs) {
  constexpr double kSame = 0.02;
  return std::ranges::all_of(a.images, [&](const auto& entry) {
    const auto& [pass, images] = entry;
    return ours.shape(pass) == theirs.shape(pass) &&
           std::abs(b.images.at(pass) / images - 1) <= kSame;
  });
}

// How a rate of their networks becomes one of ours.
void scale_by_arithmetic(StageRate& rate, const StageWork& ours, const StageWork& theirs,
                         PassCosts& our_costs, PassCosts& their_costs) {
  auto here = unit_costs(ours), there = unit_costs(theirs);
  std::erase_if(here.images, [&](const auto& e) { return !there.images.contains(e.first); });
  std::erase_if(there.images, [&](const auto& e) { return !here.images.contains(e.first); });
  if (alike(here, there, our_costs, their_costs)) return;
  double our_operations = 0, their_operations = 0;
  for (const auto& [pass, images] : here.images)
    our_operations += images * our_costs.operations(pass);
  for (const auto& [pass, images] : there.images)
    their_operations += images * their_costs.operations(pass);
  if (our_operations <= 0 || their_operations <= 0) return;
  rate.factor = their_operations / our_operations;
  const std::string unit = ours.unit.ends_with("images") ? "an image" : "one of its " + ours.unit;
  rate.remarks.push_back(concatenate("x ", number_words(rate.factor), ": ", unit, " took ",
                                     gflop_words(their_operations), " there and takes ",
                                     gflop_words(our_operations),
                                     " here (as many operations a second assumed)"));
  constexpr double kFar = 4;
  if (rate.factor > kFar || rate.factor < 1 / kFar)
    rate.remarks.push_back(
        "networks so different do not reach the same operations a second: a rough figure");
}

// Seconds of a rank on one slide, whoever tiled it and in whatever session.
std::optional<double> seconds_a_slide(const fs::path& folder) {
  double seconds = 0, slides = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder / "slides", ignored)) {
    if (!entry.path().string().ends_with(".times.jsonl")) continue;
    const auto times = json::parse(read_text(entry.path()), nullptr, false);
    if (!times.is_object() || !times.contains("wall_seconds")) continue;
    seconds += times.at("wall_seconds").get<double>();
    ++slides;
  }
  if (slides == 0 || seconds <= 0) return std::nullopt;
  return seconds / slides;
}

class RunReader {
 public:
  RunReader(MeasuredRates& rates, const fs::path& run_dir, const OurWork& ours, Config& theirs)
      : rates_(rates),
        directory_(run_dir),
        ours_(ours),
        theirs_(theirs),
        their_costs_(networks_of(theirs)),
        their_images_(known_images(theirs, directory_, false)) {}

  void read() {
    for (const auto& work : ours_.stages)
      if (!rates_.stages.contains(work.stage)) read(work);
    take_image_bytes();
  }

 private:
  void read(const StageWork& ours) {
    const auto theirs = stage_work(theirs_, ours.stage, their_images_);
    auto rate = ours.stage == "tile" ? of_slides() : of_record(theirs);
    if (!rate) rate = of_progress(ours.stage);
    if (!rate || rate->per_second <= 0) return;
    fill_efficiency(*rate, theirs);
    scale_by_arithmetic(*rate, ours, theirs, ours_.costs, their_costs_);
    rates_.stages[ours.stage] = *rate;
  }

  static void take_situation(StageRate& rate, const json& situation) {
    rate.ranks = std::max<int64_t>(1, situation.value("world_size", int64_t{1}));
    rate.threads = situation.value("threads", int64_t{0});
    rate.device = situation.value("device", "");
  }

  std::optional<StageRate> of_record(const StageWork& theirs) {
    const auto record = directory_.record(theirs.stage);
    if (!record) return std::nullopt;
    const json metrics = record->value("metrics", json::object());
    StageRate rate;
    take_situation(rate, *record);
    rate.where = (directory_.stage(theirs.stage) / "stage.json").string();
    if (metrics.contains("images_per_second")) {
      rate.per_second = metrics.at("images_per_second").get<double>();
      take_exchange(rate, *record, theirs);
      return rate;
    }
    // Its wall time is that of the last session alone.
    if (record->value("sessions", 1) != 1) {
      rates_.notes.push_back(
          concatenate(rate.where, ": was done in several sessions, so that its rate is not known"));
      return std::nullopt;
    }
    const double seconds = record->value("wall_seconds", 0.0);
    if (!theirs.amount.value || seconds <= 0) return std::nullopt;
    rate.per_second = *theirs.amount.value / seconds;
    rate.remarks.push_back(concatenate(amount_words(*theirs.amount.value, theirs.unit), " in ",
                                       number_words(seconds), " s"));
    return rate;
  }

  // What of the session its ranks spent on waiting for gradients.
  static void take_exchange(StageRate& rate, const json& record, const StageWork& theirs) {
    const json& metrics = record.at("metrics");
    if (theirs.batch == 0 || rate.ranks == 1 || record.value("sessions", 1) != 1) return;
    if (!metrics.contains("reduction_exposed_seconds") || !metrics.contains("steps")) return;
    const double images = metrics.at("steps").get<double>() * static_cast<double>(theirs.batch);
    const double share =
        metrics.at("reduction_exposed_seconds").get<double>() * rate.per_second / images;
    rate.hidden_share = metrics.value("reduction_hidden", 0.0);
    rate.efficiency = std::clamp(1 - share, 0.01, 1.0);
    rate.remarks.push_back(
        concatenate(number_words(100 * share), " % of its time went into waiting for gradients"));
  }

  std::optional<StageRate> of_slides() {
    for (const auto& folder : {directory_.stage("tile"), directory_.partial("tile")}) {
      const auto seconds = seconds_a_slide(folder);
      if (!seconds) continue;
      StageRate rate;
      rate.per_second = 1 / *seconds;
      rate.where = (folder / "slides").string();
      rate.remarks.push_back("slides of the same size and as many tiles of each assumed");
      return rate;
    }
    return std::nullopt;
  }

  // A stage under way, where its progress counts all of its work.
  std::optional<StageRate> of_progress(const std::string& stage) {
    static const std::set<std::string> kWhole{"ingest",     "classifier", "gan",
                                              "synthesize", "encoder",    "direction"};
    if (!kWhole.contains(stage)) return std::nullopt;
    const auto progress =
        read_state<StageProgress>(directory_.partial(stage) / progress_file_name());
    const auto resume = directory_.resume_record(stage);
    if (!progress || !resume) return std::nullopt;
    StageRate rate;
    take_situation(rate, resume->value("situation", json::object()));
    rate.per_second = progress->rate;
    rate.where = (directory_.partial(stage) / progress_file_name()).string();
    return rate;
  }

  static void fill_efficiency(StageRate& rate, const StageWork& theirs) {
    if (theirs.stage == "tile") return;  // it is of one rank already
    rate.pieces = theirs.pieces;
    if (theirs.pieces == 0) {  // the root alone was at work
      rate.ranks = 1;
      return;
    }
    const double dealing = dealing_efficiency(theirs.pieces, rate.ranks);
    if (dealing < 1)
      rate.remarks.push_back(concatenate(theirs.pieces, theirs.batch > 0 ? " groups" : " batches",
                                         " on ", rate.ranks, " ranks: ", number_words(dealing),
                                         " of the ranks' time was of use"));
    rate.efficiency *= dealing;
  }

  void take_image_bytes() {
    if (rates_.image_bytes > 0 || ours_.config.images != "tile" || theirs_.images != "tile") return;
    const auto &a = ours_.config.tile, &b = theirs_.tile;
    const auto record = directory_.record("tile");
    if (!record || a.storage != b.storage || a.tile_px != b.tile_px) return;
    const json metrics = record->value("metrics", json::object());
    if (metrics.contains("bytes") && metrics.value("images", 0.0) > 0)
      rates_.image_bytes = metrics.at("bytes").get<double>() / metrics.at("images").get<double>();
  }

  MeasuredRates& rates_;
  RunDirectory directory_;
  const OurWork& ours_;
  Config& theirs_;
  PassCosts their_costs_;
  KnownImages their_images_;
};

std::string hosts_words(const json& report) {
  std::string text;
  for (const auto& host : report.value("hosts", json::array()))
    text += (text.empty() ? "" : ", ") + host.get<std::string>();
  return text.empty() ? "" : " on " + text;
}

void take_network(MeasuredRates& rates, const NetworkModel& network, const json& report,
                  const std::string& name) {
  rates.network = network;
  rates.network_how =
      concatenate("latency ", number_words(network.latency * 1e6), " us, ",
                  number_words(1e-9 / network.seconds_per_byte), " GB/s: all_reduces of ",
                  report.value("ranks", int64_t{0}), " ranks", hosts_words(report), ", ", name);
}

// The fit of bench scale, and the computing time of its steps where they are those of our networks.
void take_scale(MeasuredRates& rates, const json& report, const std::string& name,
                const OurWork& ours) {
  const json& rows = report.at("rows");
  const json tables = report.value("tables", json::object());
  if (tables.contains("model") && !tables.at("model").at("rows").empty()) {
    const auto& model = tables.at("model").at("rows").at(0);
    take_network(
        rates,
        {model.at("latency").get<double>() * 1e-6, 1e-9 / model.at("bandwidth").get<double>()},
        report, name);
  }
  const json args = report.value("args", json::object());
  const auto sizes = network_sizes(ours.costs.networks());
  const bool gan =
      args.value("gan_parameters", int64_t{0}) ==
          sizes.generator.parameters + sizes.discriminator.parameters &&
      args.value("resolution", int64_t{0}) == ours.costs.networks().generator.resolution;
  if (!gan) {
    rates.notes.push_back(name +
                          ": measured other networks than those of this configuration: only its "
                          "network between the ranks counts (bench scale --config measures yours)");
    return;
  }
  rates.passes_device = report.value("device", "").starts_with("cuda") ? "cuda" : "cpu";
  // The last weak row: all ranks are at work, each on a batch of its own.
  for (const auto& row : rows) {
    if (row.at("name") != "GAN step" || row.at("scaling") == "strong") continue;
    const double images = row.at("batch").get<double>() / row.at("ranks").get<double>();
    rates.passes[Pass::gan_step] = {
        row.at("compute").get<double>() * 1e-3 / images,
        concatenate("computing of a step of ", row.at("batch").dump(), " images on ",
                    row.at("ranks").dump(), " ranks", hosts_words(report), ", ", name)};
  }
}

void take_comm(MeasuredRates& rates, const json& report, const std::string& name) {
  std::vector<CommPoint> points;
  const auto ranks = report.value("ranks", int64_t{1});
  for (const auto& row : report.at("rows"))
    if (row.at("collective") == "all_reduce" && row.at("in_time").is_number() && ranks > 1)
      points.push_back(
          {row.at("bytes").get<double>(), ranks, row.at("in_time").get<double>() * 1e-6});
  const auto smaller = [](const CommPoint& a, const CommPoint& b) { return a.bytes < b.bytes; };
  const auto [least, most] = std::ranges::minmax_element(points, smaller);
  if (points.size() < 2 || least->bytes == most->bytes)
    throw UsageError(name +
                     ": has no all_reduces of several sizes between two ranks or more; start bench "
                     "comm with mpirun or srun, with the same ranks as the jobs");
  take_network(rates, fit_network(points).model, report, name);
}

}  // namespace

double dealing_efficiency(int64_t pieces, int64_t ranks) {
  const int64_t most = (pieces + ranks - 1) / ranks;
  return static_cast<double>(pieces) / static_cast<double>(ranks * most);
}

bool add_run(MeasuredRates& rates, const fs::path& run_dir, const OurWork& ours) {
  const fs::path submitted = SlurmFiles(run_dir).config(), own = run_dir / "config.yaml";
  const fs::path file = fs::exists(own) ? own : submitted;
  if (!fs::exists(file)) return false;
  Config theirs = load_config(file, {});
  RunReader(rates, run_dir, ours, theirs).read();
  return true;
}

void add_report(MeasuredRates& rates, const json& report, const std::string& name,
                const OurWork& ours) {
  const std::string kind = report.is_object() ? report.value("benchmark", "") : "";
  if (kind != "scale" && kind != "comm")
    throw UsageError(name +
                     ": is neither a run directory nor what bench scale --json or bench comm "
                     "--json prints; give one of these");
  try {
    if (kind == "scale")
      take_scale(rates, report, name, ours);
    else
      take_comm(rates, report, name);
  } catch (const json::exception& error) {
    throw UsageError(name + ": is no whole report of bench " + kind + " (" + error.what() +
                     "); make it again");
  }
}

void add_here(MeasuredRates& rates, const OurWork& ours,
              const std::map<std::string, int64_t>& ranks, double seconds) {
  SelfCommunicator world;
  StopSignal stop(StopSignal::Hearing::deaf);
  const auto& config = ours.config;
  const Launch at = launch(world, stop, config.device, config.precision, config.threads);
  rates.passes_device = at.device.is_cuda() ? "cuda" : "cpu";
  const auto measure = [&](Pass pass, int64_t batch) {
    if (rates.passes.contains(pass)) return;
    const auto time = time_pass(ours.costs.networks(), pass, batch, at, seconds);
    rates.passes[pass] = {
        time.seconds, concatenate("measured here and now, ", time.batch, " at a time, ", time.calls,
                                  time.calls == 1 ? " call, " : " calls, ", at.device.str(), ", ",
                                  at.threads, at.threads == 1 ? " thread" : " threads")};
  };
  for (const auto& work : ours.stages) {
    // A step's share of the busiest rank.
    const int64_t of_rank = std::max<int64_t>(
        1, work.batch > 0
               ? work.batch * ((work.pieces + ranks.at(work.stage) - 1) / ranks.at(work.stage)) /
                     work.pieces
               : config.synthesize.batch);
    if (rates.stages.contains(work.stage)) continue;
    for (const auto& [pass, images] : work.passes) measure(pass, of_rank);
    for (const auto& [pass, images] : work.beside)
      measure(pass, is_step(pass) ? of_rank : work.batch);
  }
}

}  // namespace stylescope
