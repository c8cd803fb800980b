#include "stages/tile/slide_tiling.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/config_json.hpp"
#include "io/log.hpp"
#include "io/ordered_pool.hpp"
#include "io/sha256.hpp"
#include "stages/tile/overview.hpp"
#include "stages/tile/tile_prints.hpp"
#include "stages/tile/tile_reader.hpp"
#include "stages/tile/tile_sampler.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr int64_t kRun = 8;           // tiles that a thread reads at a time
constexpr int64_t kTilingFormat = 1;  // raised by hand when a shard's content changes
constexpr int64_t kRunsAhead = 4;     // runs a thread that may wait to be written

double since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

nlohmann::json as_json(const StainFit& fit) {
  return {{"method", fit.method},
          {"vectors", fit.vectors},
          {"concentrations", fit.concentrations},
          {"mean", fit.mean},
          {"deviation", fit.deviation}};
}

// Two slides with the same key give the same files: everything that the configuration, the seed and
// the files themselves say of this one slide.
std::string key_of(const ListedSlide& listed, const TilingJob& job) {
  TileConfig config = job.config;
  JsonDumper dumper;
  config.describe(dumper);
  auto section = dumper.result();
  for (const char* key : {"source", "path", "list", "dataset", "phantom", "split", "cache_mb",
                          "threads", "subject_regex", "mpp_csv", "audit"})
    section.erase(key);
  std::string mpp;
  for (const auto& name : {listed.file.filename(), listed.file.stem()})
    if (const auto found = job.mpp.find(name.string()); found != job.mpp.end())
      mpp += detail::concatenate(found->second.x, '/', found->second.y, ' ');
  const std::string target = job.target ? as_json(*job.target).dump() : "";
  return sha256_of(detail::concatenate(kTilingFormat, '\0', section.dump(), '\0', job.seed, '\0',
                                       listed.fingerprint, '\0', mpp, '\0', target));
}

class Tiling {
 public:
  Tiling(const ListedSlide& listed, const TilingJob& job)
      : listed_(listed),
        job_(job),
        config_(job.config),
        files_(job.out_dir, listed.name),
        begin_(std::chrono::steady_clock::now()),
        plan_(plan_slide(listed, config_, job.mpp)),
        plan_seconds_(since(begin_)),
        reader_(plan_, config_),
        sampler_(plan_.places, config_.sample, listed.name, job.seed) {}

  // False when it was asked to stop.
  bool run() {
    for (const auto& problem : plan_.problems) log::warn("{}: {}", listed_.name, problem);
    normalise();
    writer_ = std::make_unique<ImageSetWriter>(files_.shard, 3, config_.tile_px, config_.tile_px,
                                               config_.class_names, source().dump(),
                                               ImageSetOptions{config_.storage_kind(), 1, true});
    for (auto batch = sampler_.next(); !batch.empty(); batch = sampler_.next())
      if (!read(batch)) return false;
    for (const int64_t place : sampler_.left_over())
      plan_.places[static_cast<size_t>(place)].fate = TileFate::not_sampled;
    const auto begin = std::chrono::steady_clock::now();
    write_pictures();
    picture_seconds_ = since(begin);
    fault_ = find_fault();
    if (!fault_.empty()) return true;
    write_table();
    if (config_.audit.on()) write_prints(files_.prints, prints_);
    writer_->finish();
    return true;
  }

  // Why the slide cannot be used; "" when its shard was written.
  const std::string& fault() const { return fault_; }
  std::unique_ptr<ImageSetWriter> take_shard() { return std::move(writer_); }

  // Where the time went: it differs from run to run.
  nlohmann::json times() const {
    const auto& times = reader_.times();
    return {{"seconds",
             {{"decode", times.decode.load()},
              {"resample", times.resample.load()},
              {"filter", times.filter.load()},
              {"encode", times.encode.load()},
              {"write", write_seconds_},
              {"plan", plan_seconds_},
              {"pictures", picture_seconds_}}},
            {"decoded_tiles", plan_.slide->decoded_tiles()}};
  }

  nlohmann::json state() const {
    auto state = source();
    const auto counts = count_fates();
    for (int64_t fate = 0; fate < kTileFates; ++fate)
      state["places"][to_string(static_cast<TileFate>(fate))] = counts[static_cast<size_t>(fate)];
    state["tiles"] = kept_;
    state["reader"] = to_string(plan_.slide->reader());
    state["saturation_threshold"] = plan_.mask.saturation_threshold;
    state["shard"] = "shards/" + listed_.name + ".h5";
    state["problems"] = plan_.problems;
    if (!stain_problem_.empty()) state["stain_problem"] = stain_problem_;
    if (!first_problem_.empty()) state["first_unreadable"] = first_problem_;
    return state;
  }

 private:
  void normalise() {
    if (!job_.target) return;
    const auto why = reader_.normalise_to(*job_.target, job_.seed);
    if (why.empty()) return;
    stain_problem_ = why;
    log::warn("{}: keeps its own colours: {}", listed_.name, why);
  }

  bool read(const std::vector<int64_t>& batch) {
    const auto n = static_cast<int64_t>(batch.size());
    const int64_t threads = config_.thread_count();
    OrderedPool<std::vector<ReadTile>> pool(
        (n + kRun - 1) / kRun, threads, kRunsAhead * threads, [&](int64_t run) {
          std::vector<ReadTile> tiles;
          for (int64_t i = run * kRun; i < std::min(n, (run + 1) * kRun); ++i)
            tiles.push_back(
                reader_.read(plan_.places[static_cast<size_t>(batch[static_cast<size_t>(i)])]));
          return tiles;
        });
    for (int64_t i = 0; i < n;) {
      if (job_.stop.requested()) return false;
      for (const auto& tile : pool.take()) take(batch[static_cast<size_t>(i++)], tile);
      if (job_.progress) job_.progress(kept_);
    }
    return true;
  }

  void take(int64_t index, const ReadTile& tile) {
    auto& place = plan_.places[static_cast<size_t>(index)];
    place.fate = tile.fate;
    if (tile.fate == TileFate::unreadable) {
      if (first_problem_.empty()) first_problem_ = tile.problem;
      return;
    }
    place.quality = tile.quality;
    if (tile.fate != TileFate::kept) return;
    const auto begin = std::chrono::steady_clock::now();
    writer_->append(tile.image, record_of(place));
    prints_.push_back(tile.print);
    write_seconds_ += since(begin);
    sampler_.accept(index);
    ++kept_;
  }

  ImageRecord record_of(const TilePlace& place) const {
    ImageRecord record;
    record.label = place.label;
    record.split = listed_.split;
    record.subject = listed_.subject;
    record.path = listed_.file.filename().string();
    record.slide = listed_.name;
    record.x = place.x;
    record.y = place.y;
    record.attributes = {{"mpp_x", plan_.tile_mpp_x},    {"mpp_y", plan_.tile_mpp_y},
                         {"side_x", plan_.grid.tile_x},  {"side_y", plan_.grid.tile_y},
                         {"tissue", place.tissue},       {"positive", place.positive},
                         {"white", place.quality.white}, {"black", place.quality.black},
                         {"pen", place.quality.pen},     {"focus", place.quality.focus}};
    return record;
  }

  // A slide without tiles is an alarm: somebody has to look at it.
  std::string find_fault() const {
    const auto counts = count_fates();
    const auto count = [&](TileFate fate) { return counts[static_cast<size_t>(fate)]; };
    const int64_t unreadable = count(TileFate::unreadable);
    const int64_t read = count(TileFate::kept) + unreadable + count(TileFate::white) +
                         count(TileFate::black) + count(TileFate::pen) + count(TileFate::blur);
    if (static_cast<double>(unreadable) > config_.max_bad_fraction * static_cast<double>(read))
      return detail::concatenate(listed_.file.string(), ": ", unreadable, " of ", read,
                                 " tiles cannot be read (the first: ", first_problem_,
                                 "); copy the file again from where it came from");
    if (unreadable > 0)
      log::warn("{}: {} tiles cannot be read and are left out (the first: {})", listed_.name,
                unreadable, first_problem_);
    if (kept_ > 0) return {};
    if (count(TileFate::ambiguous) > 0) {
      log::warn("{}: gives no tile: {} places have tissue, and none a label that is certain",
                listed_.name, count(TileFate::ambiguous));
      return {};
    }
    std::string why;
    for (int64_t fate = 1; fate < kTileFates; ++fate)
      if (counts[static_cast<size_t>(fate)] > 0)
        why += (why.empty() ? "" : ", ") + std::to_string(counts[static_cast<size_t>(fate)]) + " " +
               to_string(static_cast<TileFate>(fate));
    return detail::concatenate(listed_.file.string(), ": gives no tile (of ", plan_.places.size(),
                               " places: ", why.empty() ? "it is smaller than one tile" : why,
                               "; Otsu's saturation threshold ", plan_.mask.saturation_threshold,
                               "); look at overview/", listed_.name,
                               ".png, then correct tile.tissue or tissue/", listed_.name,
                               ".geojson (tile.tissue_outlines), or take the slide away");
  }

  std::array<int64_t, kTileFates> count_fates() const {
    std::array<int64_t, kTileFates> counts{};
    for (const auto& place : plan_.places) ++counts[static_cast<size_t>(place.fate)];
    return counts;
  }

  // Every place of the grid, with what was measured there.
  void write_table() {
    const auto n = static_cast<int64_t>(plan_.places.size());
    const auto column = [&](const char* name, auto value) {
      auto values = torch::empty({n}, torch::kFloat64);
      for (int64_t i = 0; i < n; ++i)
        values.data_ptr<double>()[i] = value(plan_.places[static_cast<size_t>(i)]);
      writer_->add_table(name, values);
    };
    column("x", [](const TilePlace& p) { return p.x; });
    column("y", [](const TilePlace& p) { return p.y; });
    column("tissue", [](const TilePlace& p) { return p.tissue; });
    column("positive", [](const TilePlace& p) { return p.positive; });
    column("white", [](const TilePlace& p) { return p.quality.white; });
    column("black", [](const TilePlace& p) { return p.quality.black; });
    column("pen", [](const TilePlace& p) { return p.quality.pen; });
    column("focus", [](const TilePlace& p) { return p.quality.focus; });
    auto fates = torch::empty({n}, torch::kUInt8);
    for (int64_t i = 0; i < n; ++i)
      fates.data_ptr<uint8_t>()[i] =
          static_cast<uint8_t>(plan_.places[static_cast<size_t>(i)].fate);
    writer_->add_table("fate", fates);
    std::vector<std::string> names;
    for (int64_t fate = 0; fate < kTileFates; ++fate)
      names.push_back(to_string(static_cast<TileFate>(fate)));
    writer_->add_strings("fate_names", names);
  }

  void write_pictures() {
    write_geojson(files_.tissue, outlines_of(plan_.mask));
    write_overview(files_.overview, plan_, listed_.name);
  }

  nlohmann::json source() const {
    const auto& levels = plan_.slide->levels();
    const auto& level = levels[static_cast<size_t>(plan_.level)];
    // As other programs count: without levels that the decoder makes.
    int64_t stored = 0, index = 0;
    for (int64_t i = 0; i <= plan_.level; ++i) {
      if (levels[static_cast<size_t>(i)].dct_scaled) continue;
      stored = i;
      ++index;
    }
    nlohmann::json source{{"slide", listed_.file.filename().string()},
                          {"width", plan_.slide->levels().front().width},
                          {"height", plan_.slide->levels().front().height},
                          {"mpp_x", plan_.mpp.x},
                          {"mpp_y", plan_.mpp.y},
                          {"mpp_source", plan_.mpp.source},
                          {"tile_mpp_x", plan_.tile_mpp_x},
                          {"tile_mpp_y", plan_.tile_mpp_y},
                          {"tile_px", config_.tile_px},
                          {"side_x", plan_.grid.tile_x},
                          {"side_y", plan_.grid.tile_y},
                          {"stride", config_.stride},
                          {"level", plan_.level},
                          {"stored_level", index - 1},
                          {"stored_downsample", levels[static_cast<size_t>(stored)].downsample},
                          {"downsample", level.downsample},
                          {"dct_scaled", level.dct_scaled},
                          {"native", plan_.native}};
    if (job_.target) source["stain_target"] = as_json(*job_.target);
    return source;
  }

  const ListedSlide& listed_;
  const TilingJob& job_;
  const TileConfig& config_;
  const SlideFiles files_;
  const std::chrono::steady_clock::time_point begin_;
  SlidePlan plan_;
  const double plan_seconds_;
  TileReader reader_;
  TileSampler sampler_;
  std::unique_ptr<ImageSetWriter> writer_;
  std::vector<ImagePrint> prints_;  // of the kept tiles
  int64_t kept_ = 0;
  double write_seconds_ = 0, picture_seconds_ = 0;
  std::string first_problem_, stain_problem_, fault_;
};

}  // namespace

SlideFiles::SlideFiles(const fs::path& out_dir, const std::string& slide)
    : shard(out_dir / "shards" / (slide + ".h5")),
      overview(out_dir / "overview" / (slide + ".png")),
      tissue(out_dir / "tissue" / (slide + ".geojson")),
      prints(out_dir / "slides" / (slide + ".prints.safetensors")),
      state(out_dir / "slides" / (slide + ".json")),
      times(out_dir / "slides" / (slide + ".times.jsonl")) {}

TiledSlide::TiledSlide(SlideFiles files, nlohmann::json state, nlohmann::json times,
                       std::unique_ptr<ImageSetWriter> shard)
    : state_(std::move(state)),
      times_(std::move(times)),
      files_(std::move(files)),
      shard_(std::move(shard)) {}
TiledSlide::TiledSlide(TiledSlide&&) noexcept = default;
TiledSlide& TiledSlide::operator=(TiledSlide&&) noexcept = default;
TiledSlide::~TiledSlide() = default;

void TiledSlide::publish() {
  if (shard_) {
    shard_->publish();
    shard_.reset();
    state_["shard_bytes"] = fs::file_size(files_.shard);
  }
  publish_text(files_.times, times_.dump() + "\n");
  publish_text(files_.state, state_.dump(1) + "\n");
}

std::optional<TiledSlide> tile_slide(const ListedSlide& listed, const TilingJob& job) {
  const auto begin = std::chrono::steady_clock::now();
  nlohmann::json state, times;
  std::string fault;
  std::unique_ptr<Tiling> tiling;
  std::unique_ptr<ImageSetWriter> shard;
  try {
    tiling = std::make_unique<Tiling>(listed, job);
  } catch (const Error& error) {
    fault = error.what();
  }
  if (tiling) {
    if (!tiling->run()) return std::nullopt;
    fault = tiling->fault();
    if (fault.empty()) {
      state = tiling->state();
      times = tiling->times();
      shard = tiling->take_shard();
    }
  }
  state["status"] = fault.empty() ? "done" : "bad";
  if (!fault.empty()) {
    state["reason"] = reason_without_file(fault, listed.file.string());
    log::warn("{}: left out: {}", listed.name, fault);
  }
  state["name"] = listed.name;
  state["file"] = listed.file.filename().string();
  state["subject"] = listed.subject;
  state["split"] = to_string(listed.split);
  state["key"] = key_of(listed, job);
  times["wall_seconds"] = since(begin);
  return TiledSlide(SlideFiles(job.out_dir, listed.name), std::move(state), std::move(times),
                    std::move(shard));
}

std::optional<nlohmann::json> finished_state(const ListedSlide& listed, const TilingJob& job,
                                             const fs::path& out_dir) {
  const SlideFiles files(out_dir, listed.name);
  if (!fs::exists(files.state) || !fs::exists(files.shard)) return std::nullopt;
  const auto state = nlohmann::json::parse(read_text(files.state), nullptr, false);
  if (!state.is_object() || state.value("status", "") != "done" ||
      state.value("key", "") != key_of(listed, job) ||
      state.value("shard_bytes", uintmax_t{0}) != fs::file_size(files.shard))
    return std::nullopt;
  return state;
}

}  // namespace stylescope
