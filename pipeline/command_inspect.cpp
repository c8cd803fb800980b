#include "pipeline/command_weights.hpp"
#include "pipeline/inspect.hpp"
#include "pipeline/launch.hpp"

#include <iostream>
#include <memory>

namespace stylescope {
namespace {

struct InspectCommand {
  std::string file;
  bool json = false;

  void answer() const {
    if (launched_as_rank() && launched_rank() > 0) return;
    const auto found = inspect(file);
    if (json)
      std::cout << found.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << std::endl;
    else
      std::cout << inspection_text(found) << std::flush;
  }
};

}  // namespace

Task add_inspect(CLI::App& app) {
  auto command = std::make_shared<InspectCommand>();
  app.add_option(
         "FILE", command->file,
         "images.h5, weights, checkpoint, TorchScript, zip, picture, DICOM, slide, or a run "
         "directory")
      ->required();
  app.add_flag("--json", command->json, "as one JSON object");
  app.footer(
      "Says what a file is, its shapes and types, and whether it is whole; of patients it tells "
      "counts only.");
  return {[command] { command->answer(); }, {}};
}

}  // namespace stylescope
