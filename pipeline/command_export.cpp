#include "pipeline/command_weights.hpp"
#include "pipeline/export_images.hpp"
#include "pipeline/export_source.hpp"
#include "pipeline/export_tiles.hpp"

#include <memory>

namespace stylescope {
namespace {

struct Export {
  ExportSource source;
  std::string form;
};

void add_source_options(CLI::App* sub, const std::shared_ptr<Export>& what) {
  sub->add_option("RUN_DIR", what->source.source, "a run directory, or an images.h5")->required();
  sub->add_option("--split", what->source.split, "only these")
      ->check(CLI::IsMember({"train", "val", "test"}));
}

using ExportFunction = void (*)(const ExportSource&, const std::string&, Communicator&);

void choose_by(CLI::App* sub, const std::shared_ptr<Export>& what, ExportFunction run,
               const std::shared_ptr<Task>& chosen) {
  sub->callback([what, run, chosen] {
    *chosen = {[what] { what->source.prepare(); },
               [what, run](Communicator& world) { run(what->source, what->form, world); }};
  });
}

void add_export_tiles(CLI::App& app, const std::shared_ptr<Task>& chosen) {
  auto what = std::make_shared<Export>();
  what->form = "png";
  CLI::App* sub = app.add_subcommand("tiles", "the tiles of a run for other programs");
  add_source_options(sub, what);
  sub->add_option("--as", what->form,
                  "png: pictures in folders by split and class; clam, trident: one coordinate file "
                  "a slide")
      ->check(CLI::IsMember({"png", "clam", "trident"}))
      ->capture_default_str();
  sub->add_option("--out", what->source.out, "the folder to make")->required();
  choose_by(sub, what, export_tiles, chosen);
}

void add_export_images(CLI::App& app, const std::shared_ptr<Task>& chosen) {
  auto what = std::make_shared<Export>();
  CLI::App* sub =
      app.add_subcommand("images", "the images of a run as a data set of another program");
  add_source_options(sub, what);
  sub->add_option("--as", what->form,
                  "stylegan2: a StyleGAN2-ADA data set, with labels; pcam: PatchCamelyon's HDF5 "
                  "files")
      ->required()
      ->check(CLI::IsMember({"stylegan2", "pcam"}));
  sub->add_option("--out", what->source.out,
                  "the folder to make; stylegan2: a zip archive where it ends in .zip")
      ->required();
  choose_by(sub, what, export_images, chosen);
}

}  // namespace

Task add_export(CLI::App& app) {
  auto chosen = std::make_shared<Task>();
  app.require_subcommand(1);
  add_export_tiles(app, chosen);
  add_export_images(app, chosen);
  add_export_network(app, chosen);
  return {[chosen] {
            if (chosen->prepare) chosen->prepare();
          },
          [chosen](Communicator& world) { chosen->run(world); }};
}

}  // namespace stylescope
