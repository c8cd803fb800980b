#pragma once

#include "io/safetensors.hpp"
#include "stages/networks/resnet.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

// ResNets in safetensors files, under torchvision's names, with what the names do not say in the
// metadata.
namespace stylescope {

// Parameters and buffers in torchvision's order. The tensors are the network's own, not copies.
std::vector<std::pair<std::string, torch::Tensor>> state_dict(ResNet& network);

// Loads torchvision-named weights in place. `head`: fc.* as well; without it (transfer) the file's
// fc.* is passed over, and a network with one input channel takes the sum of conv1's weights over
// the file's channels: its answer to a grey picture stays what it was. num_batches_tracked may be
// missing. Throws Error naming tensors that are missing, unknown or of another shape.
void load_resnet_weights(ResNet& network, const std::string& file, bool head);

// The metadata that resnet_from() needs, and the network back on `device`, in `dtype`, in
// evaluation mode.
void describe_resnet(const ResNetOptions& options, TensorFile& file);
ResNet resnet_from(const TensorFile& file, const std::string& name, torch::Device device,
                   torch::Dtype dtype);

// What a metadata entry holds; throws Error naming the file and the entry when it is missing or no
// such value. Numbers are written so that the same bits are read back; texts may hold any
// character.
std::string metadata_text(const TensorFile& file, const std::string& name, const std::string& key);
int64_t metadata_integer(const TensorFile& file, const std::string& name, const std::string& key);
std::vector<int64_t> metadata_integers(const TensorFile& file, const std::string& name,
                                       const std::string& key);
std::vector<double> metadata_reals(const TensorFile& file, const std::string& name,
                                   const std::string& key);
std::vector<std::string> metadata_texts(const TensorFile& file, const std::string& name,
                                        const std::string& key);
std::string encode(const std::vector<int64_t>& values);
std::string encode(const std::vector<double>& values);
std::string encode(const std::vector<std::string>& values);

// Evaluation mode and no gradients while it lives; the mode from before afterwards.
class Evaluation {
 public:
  explicit Evaluation(ResNet& network) : network_(network), training_(network->is_training()) {
    network_->eval();
  }
  ~Evaluation() { network_->train(training_); }
  Evaluation(const Evaluation&) = delete;
  Evaluation& operator=(const Evaluation&) = delete;

 private:
  ResNet network_;
  bool training_;
  torch::NoGradGuard no_grad_;
};

// uint8 (N, C, H, W) -> N rows of network(prepare(batch)), in batches, in evaluation mode, without
// gradients, on the network's device. Throws Error when the images are no uint8 (N, input_channels,
// resolution, resolution).
torch::Tensor evaluate_in_batches(
    ResNet& network, const torch::Tensor& images, int64_t resolution, int64_t batch,
    const std::function<torch::Tensor(const torch::Tensor&)>& prepare);

}  // namespace stylescope
