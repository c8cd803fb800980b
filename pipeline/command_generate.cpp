#include "distributed/random.hpp"
#include "distributed/work_partition.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/picture.hpp"
#include "io/safetensors.hpp"
#include "pipeline/command.hpp"
#include "pipeline/launch.hpp"
#include "pipeline/number_list.hpp"
#include "stages/networks/generator.hpp"

#include <filesystem>
#include <memory>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// The images asked for, before they are made: row i of `latents`, or seed i.
struct Request {
  std::vector<int64_t> seeds;
  torch::Tensor latents;  // z (N, z_dim), or ws (N, num_ws, w_dim)
  std::vector<int64_t> labels;
  int64_t size() const {
    return latents.defined() ? latents.size(0) : static_cast<int64_t>(seeds.size());
  }
};

struct GenerateCommand {
  std::string weights, latents, seeds, labels, out;
  std::string noise = "const", device = "auto", precision = "float32";
  double psi = 1;
  int64_t batch = 16, threads = 0;
  Request request;

  bool to_folder() const { return fs::path(out).extension() != ".safetensors"; }

  void prepare() {
    if (latents.empty() == seeds.empty())
      throw UsageError(
          "generate needs either --seeds 0-15 or --latents FILE.safetensors; see stylescope "
          "generate --help");
    if (!seeds.empty()) request.seeds = parse_numbers("--seeds", seeds);
    if (!labels.empty()) request.labels = parse_numbers("--labels", labels);
  }

  void run(Communicator& world) {
    StopSignal stop;
    const Launch at = launch(world, stop, device, precision, threads);
    Generator generator = load_generator(weights, at.device, at.dtype);
    if (!latents.empty()) request.latents = read_latents(generator->options());
    check_labels(generator->options());

    const IndexRange share = share_of(request.size(), world.rank(), world.size());
    if (to_folder()) on_root(world, [&] { make_folder(); });
    std::vector<torch::Tensor> made;
    const torch::NoGradGuard no_grad;
    for (int64_t first = share.begin; first < share.end; first += batch) {
      if (stop.requested())
        throw Error("generate was stopped; nothing can be resumed, run it again");
      const IndexRange rows{first, std::min(first + batch, share.end)};
      const auto images = make(generator, rows, at).to(torch::kCPU, torch::kFloat32);
      if (to_folder())
        write_pictures(images, rows);
      else
        made.push_back(images);
    }
    if (!to_folder()) write_file(world, generator->options(), made);
    world.barrier();
    log::info("{} images of {} x {}: {}", request.size(), generator->options().resolution,
              generator->options().resolution, out);
  }

  torch::Tensor read_latents(const GeneratorOptions& options) const {
    const TensorFile file = read_safetensors(latents);
    const bool mapped = file.contains("ws");
    validate(mapped != file.contains("z"), latents, ": holds ",
             mapped ? "both 'z' and 'ws'" : "neither 'z' nor 'ws'", "; give 'z' (N, ",
             options.z_dim, ") or 'ws' (N, ", options.num_ws(), ", ", options.w_dim, ")");
    const torch::Tensor rows = file.at(mapped ? "ws" : "z");
    const bool fits = mapped ? rows.dim() == 3 && rows.size(1) == options.num_ws() &&
                                   rows.size(2) == options.w_dim
                             : rows.dim() == 2 && rows.size(1) == options.z_dim;
    validate(fits, latents, ": '", mapped ? "ws" : "z", "' has the shape ", rows.sizes(),
             ", but these weights take ",
             mapped ? detail::concatenate("(N, ", options.num_ws(), ", ", options.w_dim, ")")
                    : detail::concatenate("(N, ", options.z_dim, ")"));
    return rows;
  }

  void check_labels(const GeneratorOptions& options) {
    auto& classes = request.labels;
    const bool mapped = request.latents.defined() && request.latents.dim() == 3;
    if (options.c_dim == 0 || mapped) {
      if (!classes.empty())
        throw UsageError(
            weights +
            (mapped ? ": latents 'ws' have their class in them already" : ": is not conditional") +
            "; drop --labels");
      return;
    }
    if (classes.size() == 1) classes.resize(static_cast<size_t>(request.size()), classes.front());
    if (static_cast<int64_t>(classes.size()) != request.size())
      throw UsageError(detail::concatenate(weights, ": is conditional (", options.c_dim,
                                           " classes), so --labels needs one class for ",
                                           "all or one for each of the ", request.size(),
                                           " images, but has ", classes.size()));
    for (const int64_t label : classes)
      if (label >= options.c_dim)
        throw UsageError(detail::concatenate("--labels ", labels, ": ", label,
                                             " is no class of these weights (0 to ",
                                             options.c_dim - 1, ")"));
  }

  // What the random numbers of an image hang on: its seed, or its row.
  std::vector<int64_t> keys(IndexRange rows) const {
    std::vector<int64_t> keys;
    for (int64_t i = rows.begin; i < rows.end; ++i)
      keys.push_back(request.latents.defined() ? i : request.seeds[static_cast<size_t>(i)]);
    return keys;
  }

  torch::Tensor make(Generator& generator, IndexRange rows, const Launch& at) const {
    const auto options = torch::dtype(at.dtype).device(at.device);
    const GeneratorOptions& shape = generator->options();
    torch::Tensor given =
        request.latents.defined()
            ? request.latents.narrow(0, rows.begin, rows.size()).to(options)
            : keyed_normal({0, "generate.z", 0}, keys(rows), {shape.z_dim}, options);
    torch::Tensor ws = given;
    if (given.dim() == 2) {
      torch::Tensor classes;
      if (shape.c_dim > 0)
        classes = torch::one_hot(torch::tensor(request.labels).narrow(0, rows.begin, rows.size()),
                                 shape.c_dim)
                      .to(options);
      ws = generator->broadcast(generator->map(given, classes));
    }
    Noise maps;
    maps.mode = noise == "none"    ? Noise::Mode::none
                : noise == "const" ? Noise::Mode::constant
                                   : Noise::Mode::given;
    if (maps.mode == Noise::Mode::given)
      maps.given =
          keyed_normal({0, "generate.noise", 0}, keys(rows), {shape.noise_size()}, options);
    return generator->synthesize(generator->truncate(ws, psi), maps);
  }

  void make_folder() const {
    std::error_code failure;
    fs::create_directories(out, failure);
    validate(!failure, out, ": cannot be made (", failure.message(), "); choose another --out");
  }

  void write_pictures(const torch::Tensor& images, IndexRange rows) const {
    const auto pixels = to_uint8(images);
    const auto names = keys(rows);
    for (int64_t i = 0; i < rows.size(); ++i) {
      const std::string number = std::to_string(names[static_cast<size_t>(i)]);
      const std::string padded =
          std::string(number.size() < 6 ? 6 - number.size() : 0, '0') + number;
      write_png(
          fs::path(out) / ((request.latents.defined() ? "image-" : "seed-") + padded + ".png"),
          pixels[i]);
    }
  }

  void write_file(Communicator& world, const GeneratorOptions& shape,
                  const std::vector<torch::Tensor>& made) const {
    const auto mine =
        made.empty() ? torch::empty({0, shape.image_channels, shape.resolution, shape.resolution},
                                    torch::kFloat32)
                     : torch::cat(made).contiguous();
    const auto all = world.all_gather(mine);
    on_root(world, [&] { write_safetensors(out, {{{"images", torch::cat(all)}}, {}}); });
  }
};

}  // namespace

Task add_generate(CLI::App& app) {
  auto command = std::make_shared<GenerateCommand>();
  app.add_option("--weights", command->weights, "generator (.safetensors, StyleGAN2-ADA's names)")
      ->required();
  app.add_option("--seeds", command->seeds, "one image a seed, such as 0-15,20");
  app.add_option("--latents", command->latents,
                 ".safetensors with 'z' (N, z_dim) or 'ws' (N, num_ws, w_dim)");
  app.add_option("--labels", command->labels,
                 "conditional weights: the class of all images, or one each, such as 0,0,1");
  app.add_option("--psi", command->psi, "truncation: 1 none, 0 the average image")
      ->capture_default_str();
  app.add_option("--noise", command->noise, "const: as stored; none; random: by seed or row")
      ->check(CLI::IsMember({"const", "none", "random"}))
      ->capture_default_str();
  app.add_option("--out", command->out,
                 "FILE.safetensors ('images', float32 (N, C, H, W), nominally -1 to 1), or a "
                 "folder for PNGs")
      ->required();
  app.add_option("--batch", command->batch, "images at a time on a rank")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  app.add_option("--device", command->device)
      ->check(CLI::IsMember({"auto", "cpu", "cuda"}))
      ->capture_default_str();
  app.add_option("--precision", command->precision)
      ->check(CLI::IsMember({"float32", "float64"}))
      ->capture_default_str();
  app.add_option("--threads", command->threads, "CPU threads a rank; 0: shared out")
      ->check(CLI::Range(0, 4096));
  return {[command] { command->prepare(); },
          [command](Communicator& world) { command->run(world); }};
}

}  // namespace stylescope
