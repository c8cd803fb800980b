#include "stages/blackbox/outside_box.hpp"

#include "io/base/error.hpp"
#include "stages/blackbox/answers.hpp"

#include <vector>

namespace stylescope {

OutsideBox::OutsideBox(const BlackBoxDescription& description)
    : BlackBox(description.class_names, description.positive, description.run_channels,
               description.run_resolution),
      description_(description) {}

torch::Tensor OutsideBox::probabilities(const torch::Tensor& images, int64_t batch) {
  const auto classes = static_cast<int64_t>(class_names().size());
  validate(images.dim() == 4 && images.scalar_type() == torch::kUInt8 &&
               images.size(1) == channels() && images.size(2) == resolution() &&
               images.size(3) == resolution(),
           "images of the shape ", images.sizes(), " and type ", images.scalar_type(),
           " do not fit f (bytes of the shape N x ", channels(), " x ", resolution(), " x ",
           resolution(), " do); ingest them with the same resolution and channels");
  SS_CHECK(batch > 0);
  std::vector<torch::Tensor> rows{torch::empty({0, classes}, torch::kFloat64)};
  for (int64_t begin = 0; begin < images.size(0); begin += batch) {
    const auto part = images.slice(0, begin, begin + batch);
    const auto scores = answer(images_for(part, description_.channels, description_.resolution));
    rows.push_back(probabilities_of(scores, description_.scores, part.size(0), classes, who()));
  }
  return torch::cat(rows);
}

std::string OutsideBox::who() const { return "f, " + about(); }

}  // namespace stylescope
