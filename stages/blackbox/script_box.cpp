#include "stages/blackbox/script_box.hpp"

#include "io/base/error.hpp"
#include "stages/blackbox/answers.hpp"
#include "stages/blackbox/load_script.hpp"
#include "stages/blackbox/outside_box.hpp"

#include <string>

namespace stylescope {
namespace {

class ScriptBox final : public OutsideBox {
 public:
  ScriptBox(const BlackBoxDescription& d, const std::filesystem::path& folder, torch::Device device)
      : OutsideBox(d),
        device_(device),
        module_(load_script((folder / d.file).string(), device)),
        mean_(per_channel(d.mean)),
        stddev_(per_channel(d.stddev)) {
    // One type throughout, whatever it was saved in; counters stay whole numbers.
    for (auto tensor : module_.parameters()) to_float(tensor);
    for (auto tensor : module_.buffers()) to_float(tensor);
  }

 protected:
  torch::Tensor answer(const torch::Tensor& images) override {
    const torch::NoGradGuard no_grad;
    torch::jit::IValue given;
    try {
      // In the order of Classifier::prepare, which is the same to the last bit.
      const auto x = images.to(device_, torch::kFloat32).div(255).sub_(mean_).div_(stddev_);
      given = module_.forward({x});
    } catch (const std::exception& error) {
      throw Error(detail::concatenate(
          who(), ": fails on images of the shape (", images.size(0), ", ", images.size(1), ", ",
          images.size(2), ", ", images.size(3), ") (", script_cause(error),
          "); say what it takes: classifier.resolution and classifier.channels"));
    }
    validate(given.isTensor(), who(), ": gives a ", given.tagKind(),
             ", not one tensor of scores (N, K); wrap it in a module whose forward() returns that "
             "tensor, and save that");
    return given.toTensor();
  }

 private:
  torch::Tensor per_channel(const std::vector<double>& values) const {
    return torch::tensor(values, torch::kDouble).to(device_, torch::kFloat32).view({1, -1, 1, 1});
  }
  static void to_float(torch::Tensor& tensor) {
    if (tensor.is_floating_point() && tensor.scalar_type() != torch::kFloat32)
      tensor.set_data(tensor.to(torch::kFloat32));
  }

  torch::Device device_;
  torch::jit::Module module_;
  torch::Tensor mean_, stddev_;
};

}  // namespace

std::unique_ptr<BlackBox> make_script_box(const BlackBoxDescription& description,
                                          const std::filesystem::path& folder,
                                          torch::Device device) {
  return std::make_unique<ScriptBox>(description, folder, device);
}

void check_script(const std::string& file) { load_script(file, torch::kCPU); }

}  // namespace stylescope
