// The whole graph on drawn slides through the real program; the tile stage killed and started
// again.
#include "io/atomic_file.hpp"
#include "io/image_set.hpp"
#include "io/sha256.hpp"
#include "tests/end_to_end/program.hpp"

#include <csignal>
#include <cstdlib>
#include <random>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace stylescope::end_to_end {
namespace {

using testing::HasSubstr;

std::vector<std::string> histology(const std::vector<std::string>& more = {}) {
  std::vector<std::string> arguments{"run",   STYLESCOPE_HISTOLOGY_SMOKE,
                                     "--set", "run_dir=run",
                                     "--set", "threads=1",
                                     "--set", "device=cpu"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// The whole run, once for all tests.
const fs::path& histology_run() {
  static const TempDir dir;
  static const fs::path run = [] {
    const auto outcome = stylescope(dir.path(), histology());
    if (outcome.code != 0) throw std::runtime_error(outcome.err);
    return dir / "run";
  }();
  return run;
}

TEST(Histology, FromSlidesToAReport) {
  const fs::path& run = histology_run();
  for (const char* stage : {"tile", "classifier", "gan", "synthesize", "encoder", "direction",
                            "explain", "evaluate", "report"})
    EXPECT_TRUE(fs::exists(run / stage / "stage.json")) << stage;
  EXPECT_FALSE(fs::exists(run / "ingest"));
  const ImageSet images(run / "tile" / "images.h5");
  EXPECT_EQ(images.shards().size(), 8u);
  EXPECT_THAT(read_text(run / "report" / "index.html"), HasSubstr("</html>"));
  const auto manifest = nlohmann::json::parse(read_text(run / "manifest.json"));
  EXPECT_TRUE(manifest.dump().find("\"tile\"") != std::string::npos);
  EXPECT_THAT(read_text(run / "report" / "index.html"), HasSubstr("whole-slide images"));
  const auto again = stylescope(run.parent_path(), histology());
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.err, HasSubstr("tile: up to date"));
  EXPECT_THAT(again.err, HasSubstr("report: up to date"));
}

TEST(Histology, APlaceOnASlideIsExplained) {
  const TempDir dir;
  const fs::path run = histology_run();
  const ImageSet images(run / "tile" / "images.h5");
  const auto& record = images.record(3);
  const double half = record.attributes.at("side_x") / 2;
  const std::string at = std::to_string(std::llround(record.x + half)) + "," +
                         std::to_string(std::llround(record.y + half));
  const std::string slide = (run / "tile" / "drawn" / record.path).string();
  const auto outcome = stylescope(dir.path(), {"explain", run.string(), "--slide", slide, "--at",
                                               at, "--at", "500,400", "--out", "why"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(dir / "why" / "explanations.h5"));
  EXPECT_THAT(read_text(dir / "why" / "index.html"), HasSubstr(record.path + " at " + at));

  const auto outside = stylescope(dir.path(), {"explain", run.string(), "--slide", slide, "--at",
                                               "99999,5", "--out", "outside"});
  EXPECT_EQ(outside.code, 1);
  EXPECT_THAT(outside.err, HasSubstr("lies outside of its 1024 x 1024 pixels"));
  const auto no_place = stylescope(
      dir.path(), {"explain", run.string(), "--slide", slide, "--at", "5,5,6", "--out", "outside"});
  EXPECT_EQ(no_place.code, 2);
  EXPECT_THAT(no_place.err, HasSubstr("--at 5,5,6: is no place"));
  const auto half_said = stylescope(dir.path(), {"explain", run.string(), "--slide", slide});
  EXPECT_EQ(half_said.code, 2);
  EXPECT_THAT(half_said.err, HasSubstr("--slide and --at go together"));
}

// Label and pixels of every tile, by slide and place.
std::map<std::string, std::string> tiles_by_place(const fs::path& run) {
  const ImageSet images(run / "tile" / "images.h5");
  std::map<std::string, std::string> tiles;
  for (int64_t i = 0; i < images.size(); ++i) {
    const auto& record = images.record(i);
    const auto pixels = images.read({i});
    tiles[record.slide + " " + std::to_string(record.x) + "," + std::to_string(record.y)] =
        std::to_string(record.label) + " " +
        sha256_of(std::string_view(static_cast<const char*>(pixels.data_ptr()), pixels.nbytes()));
  }
  EXPECT_EQ(tiles.size(), static_cast<size_t>(images.size()));
  return tiles;
}

TEST(Histology, TilesForOtherPrograms) {
  const TempDir dir;
  const fs::path run = histology_run();
  const auto export_as = [&](const std::string& form) {
    return stylescope(dir.path(), {"export", "tiles", run.string(), "--as", form, "--out", form});
  };
  for (const char* form : {"png", "clam", "trident"}) {
    const auto outcome = export_as(form);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  const ImageSet images(run / "tile" / "images.h5");
  int64_t pictures = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir / "png"))
    pictures += entry.path().extension() == ".png";
  EXPECT_EQ(pictures, images.size());

  // Both tilings come back: the same tiles, at the same places.
  for (const char* form : {"clam", "trident"}) {
    const auto back = stylescope(
        dir.path(),
        histology({"--only", "tile", "--set", std::string("run_dir=back-") + form, "--set",
                   "tile.coords=" + (dir / form).string(), "--set", "tile.sample.positive=0",
                   "--set", "tile.sample.negative=0", "--set", "tile.sample.hard_negatives=0"}));
    ASSERT_EQ(back.code, 0) << back.err;
    EXPECT_EQ(tiles_by_place(dir / (std::string("back-") + form)), tiles_by_place(run)) << form;
  }
  const auto refused = export_as("png");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("is there already"));
}

TEST(Histology, ASectionOfTheOtherStageIsNamed) {
  const TempDir dir;
  const auto outcome = stylescope(dir.path(), histology({"--set", "images=ingest"}));
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("section 'tile' is given, and key 'images' says 'ingest'"));
}

// What tiling leaves, times aside.
std::map<std::string, std::string> tiling(const fs::path& run) {
  auto files = significant_files(run);
  std::erase_if(files, [](const auto& file) {
    return !file.first.starts_with("tile/") || file.first.starts_with("tile/slides");
  });
  return files;
}

// kill -9 at `kills` seeded instants, then a last start that ends.
void survive(int kills, uint32_t seed, int ranks) {
  const TempDir dir;
  const std::vector<std::string> arguments =
      histology({"--only", "tile", "--set", "tile.phantom.width=1536", "--set",
                 "tile.phantom.height=1536", "--set", "tile.sample.positive=0", "--set",
                 "tile.sample.negative=0", "--set", "tile.sample.hard_negatives=0"});
  const auto begin = std::chrono::steady_clock::now();
  const TempDir calm;
  const auto undisturbed = stylescope(calm.path(), arguments, ranks);
  ASSERT_EQ(undisturbed.code, 0) << undisturbed.err;
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - begin;

  std::mt19937 random(seed);
  int killed = 0;
  for (int i = 0; i < kills; ++i) {
    Program program(dir.path(), arguments, ranks);
    const double instant = std::uniform_real_distribution<>(0.1, 0.7)(random);
    std::this_thread::sleep_for(instant * whole);
    if (!program.running()) break;
    if (ranks == 0) {
      program.send(SIGKILL);
    } else {
      auto pids = program.rank_pids();
      while (pids.empty() && program.running()) pids = program.rank_pids();
      if (!pids.empty()) ::kill(pids[random() % pids.size()], SIGKILL);
    }
    if (program.wait().code == 0) break;  // it ended a moment before
    ++killed;
  }
  EXPECT_GT(killed, 0) << "it was never killed: the instants come too late";
  const auto last = stylescope(dir.path(), arguments, ranks);
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(tiling(dir / "run"), tiling(calm / "run"));
}

// Three tasks that start at once, slides and all; the run that follows publishes.
TEST(Histology, TilingSharedOutToTasksGivesTheSameBits) {
  const TempDir dir;
  {
    std::vector<std::unique_ptr<Program>> tasks;
    for (const char* share : {"0/3", "1/3", "2/3"})
      tasks.push_back(std::make_unique<Program>(
          dir.path(), histology({"--only", "tile", "--task", share}), share[0] == '2' ? 2 : 0));
    for (auto& task : tasks) {
      const auto outcome = task->wait();
      EXPECT_EQ(outcome.code, 0) << outcome.err;
    }
  }
  EXPECT_FALSE(fs::exists(dir / "run" / "tile"));
  for (const char* task : {"task-0.rank-0", "task-1.rank-0", "task-2.rank-0", "task-2.rank-1"})
    EXPECT_TRUE(fs::exists(dir / "run" / "logs" / ("tile." + std::string(task) + ".log"))) << task;
  for (const char* task : {"0", "1", "2"})
    EXPECT_THAT(read_text(dir / "run" / (".tile.task-" + std::string(task) + ".outcome.json")),
                HasSubstr("\"done\""));
  int64_t shards = 0;
  for (const auto& entry : fs::directory_iterator(dir / "run" / "tile.partial" / "shards"))
    shards += entry.path().extension() == ".h5";
  EXPECT_EQ(shards, 8);
  const auto whole = stylescope(dir.path(), histology({"--only", "tile"}));
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_EQ(tiling(dir / "run"), tiling(histology_run()));
  const auto record = nlohmann::json::parse(read_text(dir / "run" / "tile" / "stage.json"));
  for (const auto& [name, file] : record.at("outputs").items())
    EXPECT_FALSE(name.starts_with("progress") || name.starts_with("queue")) << name;
}

TEST(HistologyKilled, AloneAtThreeInstants) { survive(3, 11, 0); }
TEST(HistologyKilled, ARankAtThreeInstants) { survive(3, 12, 2); }
// Label soak: by name only.
TEST(SoakHistologyKilled, AtTwentyInstants) {
  for (uint32_t seed = 0; seed < 20; ++seed) survive(1, 100 + seed, seed % 2 ? 2 : 0);
}

}  // namespace
}  // namespace stylescope::end_to_end
