#include "stages/tile/tile_stage.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/flock.hpp"
#include "io/image_index.hpp"
#include "io/image_set.hpp"
#include "io/log.hpp"
#include "io/stage_state.hpp"
#include "stages/artifacts.hpp"
#include "stages/images/bad_files.hpp"
#include "stages/images/census.hpp"
#include "stages/images/contact_sheet.hpp"
#include "stages/phantom/slide_phantom.hpp"
#include "stages/tile/slide_list.hpp"
#include "stages/tile/slide_plan.hpp"
#include "stages/tile/slide_queue.hpp"
#include "stages/tile/slide_tiling.hpp"
#include "stages/tile/tile_prints.hpp"
#include "stages/tile/tile_reader.hpp"
#include "stages/training/progress.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <sys/resource.h>
#include <utility>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using nlohmann::json;

constexpr const char* kQueue = "queue";

// Of this process, so far.
double peak_memory_mb() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

std::optional<StainFit> stain_target(const TileConfig& config, uint64_t seed,
                                     const std::map<std::string, Mpp>& mpp) {
  if (config.stain.method == "none") return std::nullopt;
  if (config.stain.target.empty()) return default_target(config.stain.method);
  ListedSlide listed;
  listed.file = config.stain.target;
  SlidePlan plan = plan_places(listed, config, mpp);
  std::string why;
  auto fit = TileReader(plan, config).fit(seed, why);
  validate(fit.has_value(), config.stain.target, ": cannot be the target of stain normalisation (",
           why, "); choose another slide");
  return fit;
}

class TileStage {
 public:
  TileStage(const TileConfig& config, RunContext& context) : config_(config), context_(context) {}

  json run() {
    const auto begin = std::chrono::steady_clock::now();
    const fs::path slides_dir = find_slides();
    list_ = list_slides(config_, slides_dir, context_.seed);
    choose_mine();
    on_root(context_.world, [&] { open(); });
    TilingJob job{config_,
                  list_.mpp,
                  context_.seed,
                  stain_target(config_, context_.seed, list_.mpp),
                  context_.out_dir,
                  context_.stop,
                  {}};
    tile_all(job);
    if (context_.is_task()) return json::object();
    std::string metrics;
    on_root(context_.world, [&] { metrics = publish().dump(); });
    json result = json::parse(context_.world.broadcast(metrics, 0));
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
    result["seconds"] = seconds.count();
    result["tiles_per_second"] = result.at("images").get<double>() / seconds.count();
    result["peak_memory_mb"] = context_.world.all_reduce(peak_memory_mb(), ReduceOp::max);
    return result;
  }

 private:
  fs::path find_slides() {
    if (config_.source == "slides") return config_.path;
    fs::path dir = context_.out_dir / "drawn";
    const auto& drawn = config_.phantom;
    // One rank draws, of one task: slides are drawn once, and what is there is kept. The others
    // wait: the list has to know all slides.
    on_root(context_.world, [&] {
      std::optional<Flock> turn;
      if (context_.is_task()) {
        turn.emplace(context_.run_dir / ".tile.draw.lock");
        turn->lock(Flock::Mode::exclusive, Flock::Wait::yes);
      }
      if (fs::is_directory(dir)) clear_left_overs(dir);
      write_slide_phantoms(dir, drawn.slide, context_.seed, drawn.slides,
                           config_.thread_count() * context_.world.size());
    });
    return dir;
  }

  // The largest come first, so that every share gets large ones and small ones.
  void choose_mine() {
    const auto n = static_cast<int64_t>(list_.slides.size());
    for (int64_t i = 0; i < n; ++i)
      if (!context_.is_task() || i % context_.tasks == context_.task)
        mine_.push_back(list_.slides[static_cast<size_t>(i)]);
  }

  // What a killed run had begun.
  static void clear_left_overs(const fs::path& folder,
                               const std::function<bool(const fs::path& whole)>& of = {}) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      const auto ending = entry.path().extension().string();
      if (ending != ".partial" && !ending.starts_with(".tmp")) continue;
      if (!of || of(fs::path(entry.path()).replace_extension())) fs::remove(entry.path());
    }
  }

  // Other tasks are writing theirs.
  void clear_mine(const fs::path& folder) const {
    std::set<fs::path> files;
    for (const auto& slide : mine_) {
      const SlideFiles of(context_.out_dir, slide.name);
      files.insert({of.shard, of.overview, of.tissue, of.state, of.times, of.prints});
    }
    clear_left_overs(folder, [&](const fs::path& whole) { return files.contains(whole); });
  }

  // All that killed runs and tasks had begun.
  void clear_all() const {
    clear_left_overs(context_.out_dir);
    for (const auto& entry : fs::directory_iterator(context_.out_dir))
      if (entry.path().filename().string().starts_with(kQueue)) fs::remove_all(entry.path());
  }

  // Before hours of work: what the list alone can tell.
  void check_splits() const {
    for (const Split split : {Split::train, Split::val, Split::test}) {
      const bool found = std::any_of(list_.slides.begin(), list_.slides.end(),
                                     [&](const auto& slide) { return slide.split == split; });
      validate(
          found, "tile.split: the ", to_string(split),
          " split gets no slide (too few subjects, or a share of 0); give more slides or other "
          "shares");
    }
  }

  void open() {
    check_splits();
    for (const char* name : {"shards", "overview", "tissue", "slides"}) {
      const fs::path folder = context_.out_dir / name;
      std::error_code failure;
      fs::create_directories(folder, failure);
      validate(!failure, folder.string(), ": cannot be made (", failure.message(),
               "); check the run directory's permissions");
      if (context_.is_task())
        clear_mine(folder);
      else
        clear_left_overs(folder);
    }
    if (!context_.is_task()) clear_all();
    for (const auto& note : list_.notes) log::info("tile: {}", note);
    for (const auto& bad : list_.bad) log::warn("tile: {}: left out: {}", bad.path, bad.reason);
    check_bad();
    const int64_t threads = config_.thread_count();
    const double tile_mb = 3e-6 * static_cast<double>(config_.tile_px * config_.tile_px);
    log::info(
        "tile: {} slides; each rank has one slide open, at most {} MB of its decoded tiles and "
        "{:.0f} "
        "MB of tiles under way ({} threads)",
        mine_.size(), config_.cache_mb, 40 * static_cast<double>(threads) * tile_mb, threads);
  }

  void tile_all(TilingJob& job) {
    const auto n = static_cast<int64_t>(mine_.size());
    SlideQueue queue(context_.world, context_.out_dir / session_name(kQueue, context_.task), n);
    Progress progress("tile", n, 1, "slides", context_.world.is_root(), context_.progress_file);
    int64_t tiles = 0;
    std::optional<TiledSlide> tiled;  // the one before, on its way to the disk
    while (const auto next = queue.take()) {
      const auto& listed = mine_[static_cast<size_t>(*next)];
      const int64_t before = tiles;
      job.progress = [&](int64_t kept) {
        tiles = before + kept;
        publish_one(tiled);
        progress.update(*next, {{"tiles of this rank", static_cast<double>(tiles)}});
      };
      if (is_there(listed, job)) continue;
      auto made = tile_slide(listed, job);
      publish_one(tiled);
      tiled = std::move(made);
      if (!tiled) break;
    }
    publish_one(tiled);
    queue.close();
    if (context_.stop.agreed(context_.world))
      throw Interrupted("tile was asked to stop; run again to go on with the slides that are left");
    progress.update(n, {{"tiles of this rank", static_cast<double>(tiles)}});
  }

  static void publish_one(std::optional<TiledSlide>& tiled) {
    if (tiled) tiled->publish();
    tiled.reset();
  }

  // Made by this run before it was interrupted, or by an earlier one from the same slide in the
  // same way: its files are taken over.
  bool is_there(const ListedSlide& listed, const TilingJob& job) {
    if (finished_state(listed, job, context_.out_dir)) return true;
    for (const auto& entry : fs::directory_iterator(context_.run_dir)) {
      const std::string name = entry.path().filename().string();
      const bool earlier =
          name == "tile" || name.starts_with("tile.old-") || name.starts_with("tile.partial.old-");
      if (!earlier || !finished_state(listed, job, entry.path())) continue;
      adopt(SlideFiles(entry.path(), listed.name), SlideFiles(context_.out_dir, listed.name));
      log::info("{}: taken over from {}", listed.name, name);
      return true;
    }
    return false;
  }

  static void adopt(const SlideFiles& from, const SlideFiles& to) {
    const auto link = [](const fs::path& source, const fs::path& target) {
      if (!fs::exists(source)) return;
      fs::remove(target);
      std::error_code failure;
      fs::create_hard_link(source, target, failure);
      if (failure) fs::copy_file(source, target);
    };
    link(from.shard, to.shard);
    link(from.times, to.times);
    link(from.prints, to.prints);
    link(from.overview, to.overview);
    link(from.tissue, to.tissue);
    link(from.state, to.state);  // last: it says that all is there
  }

  json publish() {
    std::vector<std::string> shards;
    std::map<std::string, const ListedSlide*> slide_of;
    auto slides = list_.slides;
    std::sort(slides.begin(), slides.end(),
              [](const auto& a, const auto& b) { return a.name < b.name; });
    std::vector<json> states;
    for (const auto& slide : slides) {
      const auto state = json::parse(read_text(SlideFiles(context_.out_dir, slide.name).state));
      states.push_back(state);
      slide_of[slide.name] = &slide;
      if (state.at("status") == "done")
        shards.push_back(state.at("shard").get<std::string>());
      else
        list_.bad.push_back({slide.file.string(), state.at("reason").get<std::string>()});
    }
    write_slide_table(slides, states);
    check_bad();
    validate(!shards.empty(), config_.path, ": no slide gives a tile; ",
             (context_.out_dir / "bad_files.csv").string(), " says why");
    const fs::path index = context_.out_dir / fs::path(artifacts::tiles).filename();
    // A shard may be an earlier run's, with other splits: the list decides.
    write_image_index(index, config_.class_names, source().dump(), shards,
                      [&](ImageRecord& record) {
                        const auto* slide = slide_of.at(record.slide);
                        record.split = slide->split;
                        record.subject = slide->subject;
                      });
    return census_of(index, states);
  }

  json census_of(const fs::path& index, const std::vector<json>& states) {
    const ImageSet images(index);
    Census census(images.label_names());
    ContactSheet sheet(images.label_names().size(), images.channels(), images.height());
    for (int64_t i = 0; i < images.size(); ++i) {
      census.add(images.record(i));
      if (sheet.wants(images.record(i))) sheet.add(images.read({i})[0], images.record(i));
    }
    census.check("tile");
    sheet.write(context_.out_dir / "contact_sheet.png");
    auto metrics = census.metrics();
    metrics.update(audit_tiles(config_, images, context_.out_dir));
    metrics["slides"] = states.size();
    metrics["bad_slides"] = list_.bad.size();
    metrics["threads"] = config_.thread_count();
    for (const auto& state : states) {
      if (state.at("status") != "done") continue;
      const auto times = json::parse(
          read_text(SlideFiles(context_.out_dir, state.at("name").get<std::string>()).times));
      for (const auto& [kind, seconds] : times.at("seconds").items())
        metrics["seconds_" + kind] = metrics.value("seconds_" + kind, 0.0) + seconds.get<double>();
      metrics["bytes"] = metrics.value("bytes", 0.0) + state.at("shard_bytes").get<double>();
    }
    return metrics;
  }

  void write_slide_table(const std::vector<ListedSlide>& slides, const std::vector<json>& states) {
    std::string text =
        "slide,subject,split,status,tiles,mpp_x,mpp_y,mpp_source,reader,level,reason\n";
    for (size_t i = 0; i < slides.size(); ++i) {
      const auto& state = states[i];
      const auto value = [&](const char* key) {
        if (!state.contains(key)) return std::string();
        return state.at(key).is_string() ? csv_field(state.at(key).get<std::string>())
                                         : state.at(key).dump();
      };
      text += csv_field(slides[i].name) + "," + csv_field(slides[i].subject) + "," +
              to_string(slides[i].split) + "," + value("status") + "," + value("tiles") + "," +
              value("mpp_x") + "," + value("mpp_y") + "," + value("mpp_source") + "," +
              value("reader") + "," + value("level") + "," + value("reason") + "\n";
    }
    publish_text(context_.out_dir / "slides.csv", text);
  }

  void check_bad() {
    std::sort(list_.bad.begin(), list_.bad.end(),
              [](const BadFile& a, const BadFile& b) { return a.path < b.path; });
    const fs::path file = context_.out_dir / "bad_files.csv";
    // A task knows of its own slides alone: it leaves the list to the run that publishes.
    if (!context_.is_task()) write_bad_files(file, list_.bad);
    check_bad_share({config_.path.empty() ? config_.list : config_.path, "slides",
                     "tile.max_bad_fraction", config_.max_bad_fraction},
                    list_.bad, list_.listed, context_.is_task() ? "the log" : file.string());
  }

  json source() const {
    return {{"source", config_.source == "phantom" ? "drawn slides" : "slides"},
            {"path", config_.path},
            {"seed", context_.seed},
            {"mpp", config_.mpp},
            {"tile_px", config_.tile_px},
            {"stain", config_.stain.method}};
  }

  const TileConfig& config_;
  RunContext& context_;
  SlideList list_;
  std::vector<ListedSlide> mine_;  // of the task; else all
};

// What the run's list says of this slide; of one that is not in it, what lies in the run's folders
// under its name.
std::pair<ListedSlide, std::map<std::string, Mpp>> listed_as(const TileConfig& config,
                                                             uint64_t seed, const fs::path& slide) {
  ListedSlide listed;
  listed.file = slide;
  listed.name = slide.stem().string();
  std::map<std::string, Mpp> mpp;
  if (!config.mpp_csv.empty()) mpp = read_mpp_csv(config.mpp_csv);
  if (config.source == "slides" && (fs::is_directory(config.path) || !config.list.empty())) {
    auto list = list_slides(config, config.path, seed);
    mpp = std::move(list.mpp);
    for (const auto& known : list.slides)
      if (std::error_code ignored; fs::equivalent(known.file, slide, ignored)) return {known, mpp};
  }
  validate(config.coords.empty(), slide.string(),
           ": is none of the run's slides, and the run's tiles "
           "are of the size that coordinates of ",
           config.coords,
           " say; add this slide's there and "
           "to tile.path");
  return {listed, mpp};
}

}  // namespace

json run_tile(const TileConfig& config, RunContext& context) {
  config.check();
  return TileStage(config, context).run();
}

torch::Tensor read_place(const TileConfig& config, uint64_t seed, const fs::path& slide, double x,
                         double y) {
  auto [listed, mpp] = listed_as(config, seed, slide);
  SlidePlan plan = plan_places(listed, config, mpp);
  const auto& full = plan.slide->levels().front();
  validate(x >= 0 && y >= 0 && x < static_cast<double>(full.width) &&
               y < static_cast<double>(full.height),
           slide.string(), ": (", x, ", ", y, ") lies outside of its ", full.width, " x ",
           full.height, " pixels; --at takes pixels of level 0");
  TileReader reader(plan, config);
  if (const auto target = stain_target(config, seed, mpp))
    if (const auto why = reader.normalise_to(*target, seed); !why.empty())
      log::warn("{}: keeps its own colours: {}", listed.name, why);
  return reader.pixels(x - plan.grid.tile_x / 2, y - plan.grid.tile_y / 2);
}

}  // namespace stylescope
