#include "io/base/error.hpp"
#include "stages/script/network_script.hpp"
#include "stages/script/script_module.hpp"

#include <algorithm>
#include <string>

// The ResNets of E and f in TorchScript (He et al. 2016), with what stands before and behind them.
namespace stylescope {
namespace {

const char* const kConvolution = R"py(
def forward(self, x: Tensor) -> Tensor:
    s, p = self.stride, self.padding
    return torch.conv2d(x, self.weight, None, [s, s], [p, p])
)py";

const char* const kBatchNorm = R"py(
def forward(self, x: Tensor) -> Tensor:
    # By the running statistics: this network is for evaluation.
    return torch.batch_norm(x, self.weight, self.bias, self.running_mean, self.running_var, False, 0.1, 1e-05, True)
)py";

const char* const kLinear = R"py(
def forward(self, x: Tensor) -> Tensor:
    return torch.linear(x, self.weight, self.bias)
)py";

// Two 3x3 convolutions, or 1x1, 3x3, 1x1; {shortcut} is x, or x through the downsampling.
const char* const kBasicBlock = R"py(
def forward(self, x: Tensor) -> Tensor:
    y = torch.relu(self.bn1.forward(self.conv1.forward(x)))
    y = self.bn2.forward(self.conv2.forward(y))
    return torch.relu(y + {shortcut})
)py";
const char* const kBottleneck = R"py(
def forward(self, x: Tensor) -> Tensor:
    y = torch.relu(self.bn1.forward(self.conv1.forward(x)))
    y = torch.relu(self.bn2.forward(self.conv2.forward(y)))
    y = self.bn3.forward(self.conv3.forward(y))
    return torch.relu(y + {shortcut})
)py";

const char* const kResNet = R"py(
def check(self, images: Tensor):
    c, r = self.channels, self.resolution
    fits = images.dim() == 4 and images.size(1) == c and images.size(2) == r and images.size(3) == r
    assert fits, "images must be (N, {}, {}, {})".format(c, r, r)

def regress(self, x: Tensor) -> Tensor:
    # On a CPU convolutions are fastest with the channels last (memory format 2).
    x = self.conv1.forward(x.contiguous(memory_format=2))
    x = torch.relu(self.bn1.forward(x))
    if self.pooled:
        x = torch.max_pool2d(x, [3, 3], [2, 2], [1, 1])
    x = self.layer1.forward(x)
    x = self.layer2.forward(x)
    x = self.layer3.forward(x)
    x = self.layer4.forward(x)
    return self.fc.forward(x.mean([2, 3]))
)py";

const char* const kEncoder = R"py(
def forward(self, images: Tensor) -> Tensor:
    self.check(images)
    # Bytes come to the generator's range [-1, 1]; the outputs are standardised w.
    x = images.to(self.w_mean)
    if not images.is_floating_point():
        x = x / 127.5 - 1.0
    return self.w_mean + self.w_scale * self.regress(x)
)py";

const char* const kClassifier = R"py(
def logits(self, images: Tensor) -> Tensor:
    self.check(images)
    x = images.to(self.mean)
    if not images.is_floating_point():
        x = x / 255.0
    elif images.numel() > 0:
        fits = float(x.min()) >= 0.0 and float(x.max()) <= 1.0
        assert fits, "images must be bytes, or numbers from 0 to 1 (of G: first G.pixels(images))"
    return self.regress((x - self.mean) / self.stddev)

def forward(self, images: Tensor) -> Tensor:
    return torch.softmax(self.logits(images), 1)

def score(self, images: Tensor) -> Tensor:
    return self.forward(images).index_select(1, self.positive).sum([1])
)py";

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  return text.replace(text.find(what), what.size(), by);
}

// Modules that are called one after the other.
LayerScript chain(const torch::nn::Module& layer) {
  std::string source = "def forward(self, x: Tensor) -> Tensor:\n";
  for (const auto& child : layer.named_children())
    source += "    x = getattr(self, \"" + child.key() + "\").forward(x)\n";
  return {"Sequential", source + "    return x\n"};
}

LayerScript block(const torch::nn::Module& layer) {
  const auto children = layer.named_children();
  const auto* source = children.contains("conv3") ? kBottleneck : kBasicBlock;
  const auto* shortcut = children.contains("downsample") ? "self.downsample.forward(x)" : "x";
  return {"Block", replaced(source, "{shortcut}", shortcut)};
}

LayerScript describe_layer(const torch::nn::Module& layer, const std::string& path) {
  if (const auto* found = dynamic_cast<const torch::nn::Conv2dImpl*>(&layer))
    return {"Convolution",
            kConvolution,
            {{"stride", (*found->options.stride())[0]}, {"padding", found->weight.size(2) / 2}}};
  if (dynamic_cast<const BatchNormImpl*>(&layer)) return {"BatchNorm", kBatchNorm};
  if (dynamic_cast<const torch::nn::LinearImpl*>(&layer)) return {"Linear", kLinear};
  const bool sequential = path.find('.') == std::string::npos || path.ends_with("downsample");
  return sequential ? chain(layer) : block(layer);
}

// The ResNet as a whole, called `class_name`, with functions and values of what it is used for.
torch::jit::Module script_resnet(ResNet& network, int64_t resolution, LayerScript use) {
  const auto& options = network->options();
  use.source = kResNet + use.source;
  use.values.emplace_back("resolution", resolution);
  use.values.emplace_back("channels", options.input_channels);
  use.values.emplace_back("pooled", options.stem != "small");
  return script_of(*network, [&](const torch::nn::Module& layer, const std::string& path) {
    return path.empty() ? use : describe_layer(layer, path);
  });
}

torch::Tensor per_channel(const std::vector<double>& values, const torch::TensorOptions& options) {
  return torch::tensor(values, torch::kDouble).to(options).view({1, -1, 1, 1});
}

}  // namespace

torch::jit::Module script_encoder(Encoder& encoder) {
  const auto like = encoder.network->parameters().front().options();
  return script_resnet(
      encoder.network, encoder.resolution,
      {"Encoder",
       kEncoder,
       {{"w_mean", encoder.w_mean.to(like)}, {"w_scale", encoder.w_scale.to(like)}}});
}

torch::jit::Module script_classifier(Classifier& classifier) {
  const auto like = classifier.network->parameters().front().options();
  c10::List<std::string> names;
  for (const auto& name : classifier.class_names) names.push_back(name);
  return script_resnet(classifier.network, classifier.resolution,
                       {"Classifier",
                        kClassifier,
                        {{"mean", per_channel(classifier.mean, like)},
                         {"stddev", per_channel(classifier.stddev, like)},
                         {"positive", torch::tensor(classifier.positive, torch::kLong)},
                         {"class_names", names}}});
}

}  // namespace stylescope
