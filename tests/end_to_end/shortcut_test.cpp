// What the product exists for: a classifier that was trained where a nuisance gives the label away
// is found out. The whole graph through the real program, long enough to learn something.
#include "io/atomic_file.hpp"
#include "tests/end_to_end/program.hpp"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace stylescope::end_to_end {
namespace {

using testing::HasSubstr;
using namespace std::chrono_literals;

// In the training split, and only there, the marker's brightness follows the joint's width.
constexpr const char* kShortcut = R"(
seed: 1
run_dir: run
threads: 1
device: cpu
ingest:
  source: phantom
  resolution: 16
  phantom: {subjects: 300, images_per_subject: 2, nuisance_correlation: -0.98}
classifier: {depth: 18, stem: small, width: 8, epochs: 3, batch: 32}
gan:
  kimg: 60
  batch: 64
  z_dim: 16
  w_dim: 16
  channel_base: 256
  channel_max: 16
  augment: {mode: off}
synthesize: {samples: 2000}
encoder: {depth: 18, stem: small, width: 8, epochs: 2, batch: 32}
explain: {images: 4, steps: 7}
evaluate: {bootstrap: 300, phantom_images: 40}
)";

TEST(Shortcut, IsFoundOut) {
  const TempDir dir;
  publish_text(dir / "shortcut.yaml", kShortcut);
  const auto outcome = Program(dir.path(), {"run", "shortcut.yaml"}).wait(600s);
  ASSERT_EQ(outcome.code, 0) << outcome.err;

  const auto e = nlohmann::json::parse(read_text(dir / "run" / "evaluate" / "evaluation.json"));
  const auto& phantom = e.at("phantom");
  // The direction brightens the marker in every image, far beyond half a standard deviation.
  EXPECT_THAT(phantom.at("moves"), testing::AnyOf("nuisance", "both")) << phantom.dump(2);
  EXPECT_GT(phantom.at("nuisance_signed").at("low").get<double>(), 0.5);
  // And it is the classifier that answers to it: on test images it tells nothing.
  const auto& first = e.at("associations").at(0);
  EXPECT_EQ(first.at("attribute"), "nuisance") << e.at("associations").dump(2);
  EXPECT_GT(first.at("within_label").at("low").get<double>(), 0.2);

  const auto report = read_text(dir / "run" / "report" / "index.html");
  EXPECT_THAT(report, HasSubstr("has learned a shortcut:</b>"));
  EXPECT_THAT(report, HasSubstr("goes along with <b>nuisance</b>"));
}

}  // namespace
}  // namespace stylescope::end_to_end
