#include "io/explanation_set.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/hdf5_file.hpp"

#include <map>

namespace stylescope {
namespace {

constexpr const char* kFormat = "stylescope.explanations";
constexpr int64_t kVersion = 1;

constexpr const char* kOcclusion = "occlusion";

struct Part {
  const char* name;
  torch::Tensor ExplanationSet::*tensor;
  torch::Dtype dtype;
  std::string axes;  // one letter an axis: N images, L lambdas, P targets, C H W of an image, w of
                     // the latent
};

const std::vector<Part>& parts() {
  using Set = ExplanationSet;
  static const std::vector<Part> list{
      {"original", &Set::original, torch::kUInt8, "NCHW"},
      {"reconstruction", &Set::reconstruction, torch::kUInt8, "NCHW"},
      {"strip", &Set::strip, torch::kUInt8, "NLCHW"},
      {"targets", &Set::targets, torch::kUInt8, "NPCHW"},
      {"gradcam", &Set::heat_map, torch::kFloat32, "NHW"},
      {"difference", &Set::difference, torch::kFloat32, "NHW"},
      {"w", &Set::w, torch::kFloat64, "Nw"},
      {"lambda", &Set::lambda, torch::kFloat64, "L"},
      {"f_original", &Set::f_original, torch::kFloat64, "N"},
      {"f_strip", &Set::f_strip, torch::kFloat64, "NL"},
      {"surrogate_strip", &Set::surrogate_strip, torch::kFloat64, "NL"},
      {"target_lambda", &Set::target_lambda, torch::kFloat64, "NP"},
      {"f_targets", &Set::f_targets, torch::kFloat64, "NP"},
      {"target_probability", &Set::target_probability, torch::kFloat64, "P"},
      {"index", &Set::index, torch::kInt64, "N"},
      {"label", &Set::label, torch::kInt64, "N"},
  };
  return list;
}

// A heat map has the name of what made it.
std::string name_of(const Part& part, const ExplanationSet& set) {
  return part.tensor == &ExplanationSet::heat_map ? set.heat_map_kind : part.name;
}

// What is wrong with the shapes, or nothing: every letter must stand for one extent throughout.
std::string mismatch(const ExplanationSet& set) {
  std::map<char, int64_t> extent;
  for (const auto& part : parts()) {
    const torch::Tensor& tensor = set.*part.tensor;
    if (!tensor.defined() || tensor.dim() != static_cast<int64_t>(part.axes.size()))
      return detail::concatenate("'", part.name, "' must have the axes ", part.axes);
    for (size_t axis = 0; axis < part.axes.size(); ++axis) {
      const int64_t found = tensor.size(static_cast<int64_t>(axis));
      const auto [known, is_new] = extent.emplace(part.axes[axis], found);
      if (known->second != found)
        return detail::concatenate("'", part.name, "' has ", found, " along ", part.axes[axis],
                                   ", others have ", known->second);
    }
  }
  const auto count = static_cast<size_t>(set.size());
  if (set.name.size() != count || set.subject.size() != count)
    return "'name' and 'subject' must have one text for every image";
  return "";
}

}  // namespace

void write_explanations(const std::filesystem::path& file, const ExplanationSet& set) {
  const std::string problem = mismatch(set);
  SS_CHECK(problem.empty(), problem);
  publish_file(file, [&](const std::filesystem::path& temporary) {
    hdf5::File out = hdf5::File::create(temporary, "check the disk's space and permissions");
    out.write_format(kFormat, kVersion);
    for (const auto& part : parts())
      out.write(name_of(part, set), (set.*part.tensor).to(torch::kCPU, part.dtype));
    out.write_strings("name", set.name);
    out.write_strings("subject", set.subject);
    out.close();
  });
}

ExplanationSet read_explanations(const std::filesystem::path& file) {
  const char* advice = "run the explain stage again";
  const hdf5::File in = hdf5::File::open(file, advice);
  in.check_format(kFormat, kVersion);
  ExplanationSet set;
  if (in.contains(kOcclusion)) set.heat_map_kind = kOcclusion;
  for (const auto& part : parts())
    set.*part.tensor =
        in.read(name_of(part, set), part.dtype, std::vector<int64_t>(part.axes.size(), -1));
  set.name = in.read_strings("name");
  set.subject = in.read_strings("subject");
  const std::string problem = mismatch(set);
  validate(problem.empty(), file.string(), ": ", problem, "; ", advice);
  return set;
}

}  // namespace stylescope
