#include "io/base/error.hpp"
#include "stages/networks/layers.hpp"
#include "stages/networks/mapping.hpp"
#include "stages/networks/synthesis.hpp"
#include "stages/script/network_script.hpp"
#include "stages/script/script_module.hpp"

#include <cmath>

// StyleGAN2's generator in TorchScript (Karras et al. 2020, section 2 and appendix B), an operation
// at a time.
namespace stylescope {
namespace {

const char* const kFullyConnected = R"py(
def forward(self, x: Tensor) -> Tensor:
    # Equalised learning rate: weights are stored with unit variance and scaled when used.
    x = torch.linear(x * self.gain, self.weight, self.bias * self.learning_rate)
    if self.activated:
        x = torch.leaky_relu(x, 0.2) * 1.4142135623730951
    return x
)py";

const char* const kSynthesisLayer = R"py(
def upsampled(self, x: Tensor) -> Tensor:
    # A transposed convolution inserts the zeros; then the low-pass filter, channel by channel, with
    # a gain of 4 for the zeros.
    x = torch.conv_transpose2d(x, self.weight.transpose(0, 1), None, [2, 2], [0, 0])
    taps = (self.resample_filter * 4.0).flip([0, 1])
    taps = taps.expand([x.size(1), 1, taps.size(0), taps.size(1)])
    return torch.conv2d(x, taps, None, [1, 1], [1, 1], [1, 1], x.size(1))

def forward(self, x: Tensor, w: Tensor, noise: bool) -> Tensor:
    # Modulation scales the channels that go in, demodulation those that come out, so that they keep
    # unit variance.
    styles = self.affine.forward(w)
    energy = torch.mm(styles.square(), self.weight.square().sum([2, 3]).t())
    x = x * styles.unsqueeze(2).unsqueeze(3)
    if self.up == 2:
        x = self.upsampled(x)
    else:
        x = torch.conv2d(x, self.weight, None, [1, 1], [1, 1])
    x = x * torch.rsqrt(energy + 1e-8).unsqueeze(2).unsqueeze(3)
    if noise:
        x = x + self.noise_const * self.noise_strength
    x = torch.leaky_relu(x + self.bias.reshape([1, -1, 1, 1]), 0.2) * 1.4142135623730951
    if self.limit > 0.0:
        x = torch.clamp(x, -self.limit, self.limit)
    return x
)py";

const char* const kToRgb = R"py(
def forward(self, x: Tensor, w: Tensor) -> Tensor:
    # A modulated 1x1 convolution without demodulation: a product of matrices for each sample.
    styles = self.affine.forward(w) * self.gain
    weights = self.weight.flatten(1).unsqueeze(0) * styles.unsqueeze(1)
    y = torch.bmm(weights, x.flatten(2)).reshape([x.size(0), -1, x.size(2), x.size(3)])
    y = y + self.bias.reshape([1, -1, 1, 1])
    if self.limit > 0.0:
        y = torch.clamp(y, -self.limit, self.limit)
    return y
)py";

// The block of 4x4 starts from a learned constant; its last latent is the next block's first.
const char* const kFirstBlock = R"py(
def forward(self, ws: Tensor, noise: bool) -> Tuple[Tensor, Tensor]:
    x = self.const.unsqueeze(0).expand([ws.size(0), -1, -1, -1])
    x = self.conv1.forward(x, ws.select(1, 0), noise)
    return x, self.torgb.forward(x, ws.select(1, 1))
)py";

const char* const kBlock = R"py(
def twice_as_large(self, image: Tensor) -> Tensor:
    # Zero insertion and the low-pass filter in one: a transposed convolution, channel by channel.
    taps = (self.resample_filter * 4.0).to(image)
    taps = taps.expand([image.size(1), 1, taps.size(0), taps.size(1)])
    return torch.conv_transpose2d(image, taps, None, [2, 2], [1, 1], [0, 0], image.size(1))

def forward(self, x: Tensor, image: Tensor, ws: Tensor, noise: bool) -> Tuple[Tensor, Tensor]:
    x = self.conv0.forward(x, ws.select(1, self.first_w), noise)
    x = self.conv1.forward(x, ws.select(1, self.first_w + 1), noise)
    rgb = self.torgb.forward(x, ws.select(1, self.first_w + 2))
    return x, self.twice_as_large(image) + rgb
)py";

const char* const kGenerator = R"py(
def map(self, z: Tensor, c: Optional[Tensor] = None) -> Tensor:
    assert z.dim() == 2 and z.size(1) == self.z_dim, "z must be (N, {})".format(self.z_dim)
    return self.mapping.forward(z, c)

def synthesize(self, w: Tensor, psi: float = 1.0, noise: bool = True) -> Tensor:
    if w.dim() == 2:
        w = w.unsqueeze(1).expand([-1, self.num_ws, -1])
    fits = w.dim() == 3 and w.size(1) == self.num_ws and w.size(2) == self.w_dim
    assert fits, "w must be (N, {}) or (N, {}, {})".format(self.w_dim, self.num_ws, self.w_dim)
    if psi != 1.0:
        # Truncation: towards the mean of w.
        w = torch.lerp(self.mapping.w_avg, w, psi)
    return self.synthesis.forward(w, noise)

def forward(self, z: Tensor, c: Optional[Tensor] = None, psi: float = 1.0, noise: bool = True) -> Tensor:
    return self.synthesize(self.map(z, c), psi, noise)

def pixels(self, images: Tensor) -> Tensor:
    # To bytes (dtype 0 is uint8).
    return (images * 127.5 + 127.5).nan_to_num(0.0).round().clamp(0, 255).to(dtype=0)
)py";

LayerScript fully_connected(const FullyConnectedImpl& layer, const std::string& path) {
  const bool mapping = path.rfind("mapping.fc", 0) == 0;
  const double learning_rate = mapping ? MappingNetworkImpl::learning_rate : 1;
  const double gain = learning_rate / std::sqrt(static_cast<double>(layer.weight.size(1)));
  return {"FullyConnected",
          kFullyConnected,
          {{"gain", gain}, {"learning_rate", learning_rate}, {"activated", mapping}}};
}

// The label is embedded, normalised and appended to z; then layer after layer.
LayerScript mapping_network(const GeneratorOptions& options) {
  const auto unit = [&](const std::string& name) {
    return "    " + name + " = " + name + " * torch.rsqrt(" + name +
           ".square().mean([1], True) + 1e-8)\n";
  };
  std::string source =
      "def forward(self, z: Tensor, c: Optional[Tensor]) -> Tensor:\n"
      "    x = z\n" +
      unit("x");
  if (options.c_dim > 0)
    source +=
        "    assert c is not None, \"this network is conditional: give one-hot labels c\"\n"
        "    label = self.embed.forward(c)\n" +
        unit("label") + "    x = torch.cat([x, label], 1)\n";
  else
    source += "    assert c is None, \"this network is not conditional: leave c out\"\n";
  for (int64_t i = 0; i < options.mapping_layers; ++i)
    source += "    x = self.fc" + std::to_string(i) + ".forward(x)\n";
  return {"MappingNetwork", source + "    return x\n"};
}

LayerScript synthesis_network(const GeneratorOptions& options) {
  std::string source =
      "def forward(self, ws: Tensor, noise: bool) -> Tensor:\n"
      "    x, image = self.b4.forward(ws, noise)\n";
  for (int64_t r = 8; r <= options.resolution; r *= 2)
    source += "    x, image = self." + block_name(r) + ".forward(x, image, ws, noise)\n";
  return {"SynthesisNetwork", source + "    return image\n"};
}

LayerScript synthesis_block(const std::string& path) {
  const int64_t resolution = std::stoll(path.substr(path.rfind('b') + 1));
  if (resolution == 4) return {"FirstSynthesisBlock", kFirstBlock};
  const int64_t first_w = 2 * std::lround(std::log2(resolution)) - 5;
  return {"SynthesisBlock", kBlock, {{"first_w", first_w}}};
}

LayerScript describe(const GeneratorOptions& options, const torch::nn::Module& layer,
                     const std::string& path) {
  if (path.empty())
    return {"Generator",
            kGenerator,
            {{"z_dim", options.z_dim},
             {"c_dim", options.c_dim},
             {"w_dim", options.w_dim},
             {"num_ws", options.num_ws()},
             {"resolution", options.resolution},
             {"channels", options.image_channels}}};
  if (const auto* found = dynamic_cast<const FullyConnectedImpl*>(&layer))
    return fully_connected(*found, path);
  if (dynamic_cast<const SynthesisLayerImpl*>(&layer))
    return {"SynthesisLayer",
            kSynthesisLayer,
            {{"up", int64_t{path.ends_with("conv0") ? 2 : 1}}, {"limit", options.clamp}}};
  if (const auto* found = dynamic_cast<const ToRgbImpl*>(&layer))
    return {"ToRgb",
            kToRgb,
            {{"gain", 1 / std::sqrt(static_cast<double>(found->weight.size(1)))},
             {"limit", options.clamp}}};
  if (dynamic_cast<const SynthesisBlockImpl*>(&layer)) return synthesis_block(path);
  if (path == "synthesis") return synthesis_network(options);
  SS_CHECK(path == "mapping", path);
  return mapping_network(options);
}

}  // namespace

torch::jit::Module script_generator(Generator& generator) {
  return script_of(*generator, [&](const torch::nn::Module& layer, const std::string& path) {
    return describe(generator->options(), layer, path);
  });
}

}  // namespace stylescope
