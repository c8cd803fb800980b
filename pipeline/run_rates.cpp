#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/stage_state.hpp"
#include "pipeline/measured_rates.hpp"
#include "slurm/job_book.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

namespace fs = std::filesystem;

// Rates from a run directory: of stages that are done, and of those under way.
namespace stylescope {
namespace {

using detail::concatenate;
using nlohmann::json;

std::string gflop_words(double operations) { return number_words(operations / 1e9) + " GFLOP"; }

// Images of each pass in one unit of the stage's work; what is not counted yet is left out.
using UnitImages = std::map<Pass, double>;

UnitImages unit_images(const StageWork& work) {
  UnitImages unit;
  if (!work.amount.value || *work.amount.value <= 0) return unit;
  for (const auto& [pass, images] : work.passes)
    if (images.value) unit[pass] += *images.value / *work.amount.value;
  return unit;
}

bool alike(const UnitImages& a, const UnitImages& b, const PassCosts& ours,
           const PassCosts& theirs) {
  constexpr double kSame = 0.02;
  return std::ranges::all_of(a, [&](const auto& entry) {
    const auto& [pass, images] = entry;
    return ours.shape(pass) == theirs.shape(pass) && std::abs(b.at(pass) / images - 1) <= kSame;
  });
}

// How a rate of their networks becomes one of ours.
void scale_by_arithmetic(StageRate& rate, const StageWork& ours, const StageWork& theirs,
                         PassCosts& our_costs, PassCosts& their_costs) {
  auto here = unit_images(ours), there = unit_images(theirs);
  std::erase_if(here, [&](const auto& e) { return !there.contains(e.first); });
  std::erase_if(there, [&](const auto& e) { return !here.contains(e.first); });
  if (alike(here, there, our_costs, their_costs)) return;
  double our_operations = 0, their_operations = 0;
  for (const auto& [pass, images] : here) our_operations += images * our_costs.operations(pass);
  for (const auto& [pass, images] : there)
    their_operations += images * their_costs.operations(pass);
  if (our_operations <= 0 || their_operations <= 0) return;
  rate.factor = their_operations / our_operations;
  const std::string unit = ours.unit.ends_with("images") ? "an image" : "one of its " + ours.unit;
  rate.remarks.push_back(concatenate("x ", number_words(rate.factor), ": ", unit, " took ",
                                     gflop_words(their_operations), " there and takes ",
                                     gflop_words(our_operations),
                                     " here (as many operations a second assumed)"));
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
        source_(rates.sources++),
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
    if (!rate) rate = of_progress(theirs);
    if (!rate || rate->per_second <= 0) return;
    rate->source = source_;
    fill_efficiency(*rate, theirs);
    tell_differences(*rate, ours);
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
      if (theirs.batch > 0) {
        take_exchange(rate, *record, theirs);
        take_outside(rate, *record, theirs);
      }
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

  // What of the session its ranks spent on waiting for gradients. NCCL does not say, and the
  // figures of several sessions are those of the last one alone.
  static void take_exchange(StageRate& rate, const json& record, const StageWork& theirs) {
    if (rate.ranks == 1) return;
    const json& metrics = record.at("metrics");
    rate.waiting_inside = record.value("sessions", 1) != 1 ||
                          !metrics.contains("reduction_exposed_seconds") ||
                          !metrics.contains("steps");
    if (rate.waiting_inside) return;
    const double images = metrics.at("steps").get<double>() * static_cast<double>(theirs.batch);
    const double share =
        metrics.at("reduction_exposed_seconds").get<double>() * rate.per_second / images;
    rate.hidden_share = metrics.value("reduction_hidden", 0.0);
    rate.efficiency = std::clamp(1 - share, 0.01, 1.0);
    rate.remarks.push_back(
        concatenate(number_words(100 * share), " % of its time went into waiting for gradients"));
  }

  // Reading, what is measured at the end, writing: all but the steps.
  static void take_outside(StageRate& rate, const json& record, const StageWork& theirs) {
    const json& metrics = record.at("metrics");
    if (record.value("sessions", 1) != 1 || !metrics.contains("steps") || rate.per_second <= 0)
      return;
    const double images = metrics.at("steps").get<double>() * static_cast<double>(theirs.batch);
    rate.outside_seconds =
        std::max(0.0, record.value("wall_seconds", 0.0) - images / rate.per_second);
  }

  void tell_differences(StageRate& rate, const StageWork& ours) const {
    if (ours.passes.empty()) return;  // no networks
    if (const auto other = precision_remark(theirs_.precision, ours_.config); !other.empty())
      rate.remarks.push_back(other);
    if (ours.stage == "gan" && theirs_.gan.conditional != ours_.config.gan.conditional)
      rate.remarks.push_back(concatenate("measured ", theirs_.gan.conditional ? "with" : "without",
                                         " classes (gan.conditional), and this configuration is ",
                                         theirs_.gan.conditional ? "without" : "with",
                                         ": not scaled"));
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
  std::optional<StageRate> of_progress(const StageWork& theirs) {
    const std::string& stage = theirs.stage;
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
    rate.under_way = true;
    rate.waiting_inside = theirs.batch > 0 && rate.ranks > 1;
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
  int source_;
  RunDirectory directory_;
  const OurWork& ours_;
  Config& theirs_;
  PassCosts their_costs_;
  KnownImages their_images_;
};

}  // namespace

bool add_run(MeasuredRates& rates, const fs::path& run_dir, const OurWork& ours) {
  const fs::path submitted = SlurmFiles(run_dir).config(), own = run_dir / "config.yaml";
  const fs::path file = fs::exists(own) ? own : submitted;
  if (!fs::exists(file)) return false;
  Config theirs = load_config(file, {});
  RunReader(rates, run_dir, ours, theirs).read();
  return true;
}

}  // namespace stylescope
