// The number of ranks does not change the result: the whole graph in float64, on one to four ranks,
// with batches that do not divide evenly.
#include "io/explanation_set.hpp"
#include "io/pair_set.hpp"
#include "io/safetensors.hpp"
#include "tests/end_to_end/program.hpp"

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope::end_to_end {
namespace {

constexpr double kBound = 1e-8;

fs::path run_on(const TempDir& dir, int ranks) {
  const fs::path folder = dir / std::to_string(ranks);
  fs::create_directories(folder);
  const auto outcome =
      stylescope(folder,
                 smoke({"--set", "precision=float64", "--set", "classifier.epochs=2", "--set",
                        "gan.kimg=0.32", "--set", "encoder.epochs=1", "--set",
                        "synthesize.samples=330", "--set", "explain.images=5", "--only",
                        "ingest,classifier,gan,synthesize,encoder,direction,explain"}),
                 ranks);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return folder / "run";
}

void expect_near(const torch::Tensor& a, const torch::Tensor& b, const std::string& what) {
  ASSERT_EQ(a.sizes(), b.sizes()) << what;
  if (a.numel() == 0) return;
  const auto scale = std::max(1.0, a.abs().max().item<double>());
  EXPECT_LE((a.to(torch::kFloat64) - b.to(torch::kFloat64)).abs().max().item<double>(),
            kBound * scale)
      << what;
}

void expect_same_weights(const fs::path& one, const fs::path& other, const std::string& file) {
  const auto a = read_safetensors(one / file), b = read_safetensors(other / file);
  ASSERT_EQ(a.tensors.size(), b.tensors.size()) << file;
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    ASSERT_EQ(a.tensors[i].first, b.tensors[i].first) << file;
    expect_near(a.tensors[i].second, b.tensors[i].second, file + ": " + a.tensors[i].first);
  }
}

TEST(Ranks, TheWholeGraphGivesTheSameOnOneToFour) {
  TempDir dir;
  const auto one = run_on(dir, 1);
  const PairSet pairs(one / "synthesize/pairs.h5");
  EXPECT_EQ(pairs.w().scalar_type(), torch::kFloat64);
  const auto explained = read_explanations(one / "explain/explanations.h5");
  for (const int ranks : {2, 3, 4}) {
    SCOPED_TRACE(std::to_string(ranks) + " ranks");
    const auto other = run_on(dir, ranks);
    for (const char* file : {"classifier/classifier.safetensors", "gan/generator.safetensors",
                             "gan/discriminator.safetensors", "encoder/encoder.safetensors",
                             "direction/direction.safetensors"})
      expect_same_weights(one, other, file);
    const PairSet theirs(other / "synthesize/pairs.h5");
    expect_near(pairs.w(), theirs.w(), "w");
    std::vector<int64_t> rows(static_cast<size_t>(pairs.size()));
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
    EXPECT_TRUE(torch::equal(pairs.read_images(rows), theirs.read_images(rows)));
    const auto they = read_explanations(other / "explain/explanations.h5");
    expect_near(explained.w, they.w, "w of explanations");
    expect_near(explained.f_strip, they.f_strip, "f along lambda");
    expect_near(explained.heat_map, they.heat_map, "GradCAM");
    EXPECT_TRUE(torch::equal(explained.index, they.index));
  }
}

}  // namespace
}  // namespace stylescope::end_to_end
