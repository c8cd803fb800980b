#include "tests/support/golden.hpp"

#include "io/base/error.hpp"
#include "io/safetensors.hpp"

#include <cmath>
#include <cstdlib>
#include <mutex>

#include <gtest/gtest.h>

namespace stylescope::golden {
namespace {

constexpr double kSqrt3 = 1.7320508075688772;

uint64_t fnv1a64(const std::string& text) {
  uint64_t h = 0xcbf29ce484222325ULL;
  for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return h;
}

double unit(const std::string& name, int64_t seed, int64_t i) {
  constexpr uint64_t kGolden = 0x9E3779B97F4A7C15ULL;
  uint64_t z = fnv1a64(name) + static_cast<uint64_t>(seed) * kGolden +
               (static_cast<uint64_t>(i) + 1) * kGolden;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * 0x1.0p-53;
}

template <class Value>
torch::Tensor filled(at::IntArrayRef shape, Value value) {
  auto tensor = torch::empty(shape, torch::kFloat64);
  auto* data = tensor.data_ptr<double>();
  for (int64_t i = 0; i < tensor.numel(); ++i) data[i] = value(i);
  return tensor;
}

std::string default_name(const std::string& key) { return key.substr(key.find('/') + 1); }

void expect_values(const std::string& key, const torch::Tensor& actual, const torch::Tensor& stored,
                   double rel) {
  ASSERT_EQ(actual.numel(), stored.numel()) << key;
  const auto expected = stored.to(torch::kFloat64).reshape(-1);
  const double scale =
      std::max(expected.numel() ? expected.abs().max().item<double>() : 0.0, 1e-30);
  const double difference = expected.numel()
                                ? (actual.to(torch::kCPU, torch::kFloat64).reshape(-1) - expected)
                                      .abs()
                                      .max()
                                      .item<double>()
                                : 0.0;
  const double bound = stored.scalar_type() == torch::kFloat32 ? std::max(rel, 1e-7) : rel;
  EXPECT_LE(difference / scale, bound) << key << ": values";
}

}  // namespace

const std::map<std::string, torch::Tensor>& load(const std::string& set) {
  static std::mutex mutex;
  static std::map<std::string, std::map<std::string, torch::Tensor>> sets;
  const std::lock_guard lock(mutex);
  if (const auto found = sets.find(set); found != sets.end()) return found->second;
  const char* folder = std::getenv("STYLESCOPE_GOLDEN");
  validate(folder != nullptr, "STYLESCOPE_GOLDEN is not set (ctest sets it to tests/golden)");
  auto& tensors = sets[set];
  for (auto& [name, tensor] :
       read_safetensors(std::string(folder) + "/" + set + ".safetensors").tensors)
    tensors.emplace(name, tensor);
  return tensors;
}

torch::Tensor values(const std::string& name, int64_t seed, at::IntArrayRef shape, double mean,
                     double std) {
  return filled(shape, [&](int64_t i) {
    const double scaled = std * (kSqrt3 * (2.0 * unit(name, seed, i) - 1.0));
    return static_cast<double>(static_cast<float>(mean + scaled));
  });
}

torch::Tensor uniform(const std::string& name, int64_t seed, at::IntArrayRef shape, bool rounded) {
  return filled(shape, [&](int64_t i) {
    const double u = unit(name, seed, i);
    return rounded ? static_cast<double>(static_cast<float>(u)) : u;
  });
}

torch::Tensor probe(const std::string& name, at::IntArrayRef shape) {
  return filled(shape,
                [&](int64_t i) { return kSqrt3 * (2.0 * unit("probe:" + name, 0, i) - 1.0); });
}

void expect_equal(const std::string& set, const std::string& key, const torch::Tensor& actual,
                  double rel, std::string name) {
  const auto& stored = load(set);
  if (name.empty()) name = default_name(key);
  bool compared = false;
  if (const auto full = stored.find(key); full != stored.end()) {
    expect_values(key, actual, full->second, rel);
    compared = true;
  }
  const auto flat = actual.detach().to(torch::kCPU, torch::kFloat64).contiguous().reshape(-1);
  if (const auto samples = stored.find(key + ".s"); samples != stored.end()) {
    auto index = torch::empty({samples->second.numel()}, torch::kInt64);
    for (int64_t j = 0; j < index.numel(); ++j)
      index[j] = static_cast<int64_t>(
          std::floor(unit("idx:" + name, 0, j) * static_cast<double>(flat.numel())));
    expect_values(key + ".s", flat.index_select(0, index), samples->second, rel);
    compared = true;
  }
  if (const auto chk = stored.find(key + ".chk"); chk != stored.end()) {
    const auto expected = chk->second.to(torch::kFloat64);
    const auto* e = expected.data_ptr<double>();
    ASSERT_EQ(flat.numel(), static_cast<int64_t>(e[4])) << key;
    const double norm = std::max(e[1], 1e-30);
    const double root = std::sqrt(static_cast<double>(flat.numel()));
    // A sum (or a product with the probe, whose entries are below sqrt 3) may move by the norm of
    // the difference times the norm of what it is multiplied with.
    EXPECT_LE(std::abs(flat.sum().item<double>() - e[0]), rel * norm * root) << key << ": sum";
    EXPECT_LE(std::abs(flat.norm().item<double>() - e[1]), rel * norm) << key << ": norm";
    if (key.rfind("in/", 0) != 0) {
      EXPECT_LE(std::abs(flat.dot(probe(name, {flat.numel()})).item<double>() - e[2]),
                rel * norm * root)
          << key << ": probe";
    }
    EXPECT_LE(std::abs(flat.abs().max().item<double>() - e[3]), rel * norm) << key << ": max";
    compared = true;
  }
  EXPECT_TRUE(compared) << set << " holds nothing under " << key;
}

double relative_error(const torch::Tensor& actual, const torch::Tensor& expected, double floor) {
  const auto a = actual.detach().to(torch::kCPU, torch::kFloat64);
  const auto e = expected.detach().to(torch::kCPU, torch::kFloat64);
  SS_CHECK(a.sizes() == e.sizes(), a.sizes(), " against ", e.sizes());
  return (a - e).abs().max().item<double>() / std::max(e.abs().max().item<double>(), floor);
}

}  // namespace stylescope::golden
