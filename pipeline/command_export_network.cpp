#include "io/base/error.hpp"
#include "io/log.hpp"
#include "pipeline/command_weights.hpp"
#include "pipeline/weights_file.hpp"
#include "stages/artifacts.hpp"
#include "stages/blackbox/description.hpp"
#include "stages/blackbox/load_black_box.hpp"

#include <filesystem>
#include <map>
#include <memory>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

struct ExportNetwork {
  std::string source, what, form = "safetensors", out;
  fs::path file;

  void prepare() {
    if (fs::exists(out)) throw UsageError(out + ": is there already; choose another --out");
    if (form == "torchscript" && what == "discriminator")
      throw UsageError(
          "--as torchscript: there are generator, encoder and classifier; a discriminator goes as "
          "safetensors");
    file = source;
    if (fs::is_directory(source)) file = file_in_run();
    if (!fs::exists(file))
      throw UsageError(file.string() +
                       ": is not there; name a run whose stages are done, or a .safetensors file");
  }

  fs::path file_in_run() const {
    static const std::map<std::string, const char*> kFiles = {
        {"generator", artifacts::generator},
        {"discriminator", artifacts::discriminator},
        {"encoder", artifacts::encoder},
        {"classifier", artifacts::classifier}};
    if (what.empty())
      throw UsageError(source +
                       ": is a folder; say which of its networks by --what generator, "
                       "discriminator, encoder or classifier");
    if (what == "classifier" && !is_own_network(source)) refuse_black_box();
    return fs::path(source) / kFiles.at(what);
  }

  // What is the user's own has no weights of ours.
  [[noreturn]] void refuse_black_box() const {
    const auto file = fs::path(source) / artifacts::black_box;
    const auto f = read_black_box(file);
    throw UsageError(file.string() + ": f of this run is your own, " + f.about() +
                     (f.kind == "torchscript"
                          ? "; its copy is " + (file.parent_path() / f.file).string()
                          : "; it works in " + f.folder + ", and is not kept in the run"));
  }
};

}  // namespace

void add_export_network(CLI::App& app, const std::shared_ptr<Task>& chosen) {
  auto command = std::make_shared<ExportNetwork>();
  CLI::App* sub = app.add_subcommand("network", "a trained network for other programs");
  sub->add_option("RUN_OR_FILE", command->source, "a run directory, or a .safetensors file of one")
      ->required();
  sub->add_option("--what", command->what, "which of the run's networks")
      ->check(CLI::IsMember({"generator", "discriminator", "encoder", "classifier"}));
  sub->add_option("--as", command->form,
                  "safetensors: tensors under torchvision's or StyleGAN2-ADA's names; torchscript: "
                  "a module that torch.jit.load runs without stylescope")
      ->check(CLI::IsMember({"safetensors", "torchscript"}))
      ->capture_default_str();
  sub->add_option("--out", command->out, "the file to make")->required();
  sub->callback([command, chosen] {
    *chosen = {[command] { command->prepare(); },
               [command](Communicator& world) {
                 on_root(world, [&] {
                   const auto what =
                       export_network(command->file, command->out, command->what, command->form);
                   log::info("exported as {}: {}: {}", command->form, command->out, what);
                 });
               }};
  });
}

}  // namespace stylescope
