#pragma once

#include "distributed/stop_signal.hpp"
#include "io/image_set.hpp"
#include "stages/tile/slide_list.hpp"
#include "stages/tile/stain.hpp"
#include "stages/tile/tile_config.hpp"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

// One slide, from its file to its shard of images.h5.
namespace stylescope {

// Where the files of a slide go, below the stage's folder.
struct SlideFiles {
  explicit SlideFiles(const std::filesystem::path& out_dir, const std::string& slide);
  std::filesystem::path shard;     // shards/<slide>.h5
  std::filesystem::path overview;  // overview/<slide>.png
  std::filesystem::path tissue;    // tissue/<slide>.geojson
  std::filesystem::path prints;    // slides/<slide>.prints.safetensors: for the audit
  std::filesystem::path state;     // slides/<slide>.json, written last: who has it is done
  std::filesystem::path times;     // slides/<slide>.times.jsonl: what differs from run to run
};

struct TilingJob {
  const TileConfig& config;
  const std::map<std::string, Mpp>& mpp;
  uint64_t seed = 0;
  std::optional<StainFit> target;  // of stain normalisation
  std::filesystem::path out_dir;
  const StopSignal& stop;
  std::function<void(int64_t tiles)> progress;  // called now and then; may be empty
};

// A slide whose tiles are written, but not yet under their names: the system brings them to the
// disk meanwhile, so that publishing it after the next slide was tiled waits for little.
class TiledSlide {
 public:
  TiledSlide(SlideFiles files, nlohmann::json state, nlohmann::json times,
             std::unique_ptr<ImageSetWriter> shard);
  TiledSlide(TiledSlide&&) noexcept;
  TiledSlide& operator=(TiledSlide&&) noexcept;
  ~TiledSlide();

  // name, file, status (done | bad), reason, mpp and where it came from, reader, level, places by
  // fate, and `key`: the same from run to run.
  const nlohmann::json& state() const { return state_; }
  // seconds by kind (decode, resample, filter and encode over all threads), wall_seconds.
  const nlohmann::json& times() const { return times_; }
  // The shard, then the state. Throws Error.
  void publish();

 private:
  nlohmann::json state_, times_;
  SlideFiles files_;
  std::unique_ptr<ImageSetWriter> shard_;
};

// A slide without usable tiles, or one that cannot be read, is bad: no shard, and a reason. Nothing
// when it was asked to stop. Throws Error for what is not the slide's fault (a full disk).
std::optional<TiledSlide> tile_slide(const ListedSlide& listed, const TilingJob& job);

// The state of a slide whose files in `out_dir` were made from the same slide by the same
// configuration; nothing where it has to be tiled.
std::optional<nlohmann::json> finished_state(const ListedSlide& listed, const TilingJob& job,
                                             const std::filesystem::path& out_dir);

}  // namespace stylescope
