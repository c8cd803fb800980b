#include "stages/blackbox/load_black_box.hpp"

#include "stages/artifacts.hpp"
#include "stages/blackbox/command_box.hpp"
#include "stages/blackbox/script_box.hpp"
#include "stages/blackbox/tried_program.hpp"

namespace fs = std::filesystem;

namespace stylescope {

bool is_own_network(const fs::path& run_dir) { return !fs::exists(run_dir / artifacts::black_box); }

namespace {

std::unique_ptr<BlackBox> own_network(const RunContext& context) {
  return make_resnet_box(load_classifier((context.run_dir / artifacts::classifier).string(),
                                         context.device, context.dtype));
}

std::unique_ptr<BlackBox> box_of(BlackBoxDescription description, const fs::path& folder,
                                 const RunContext& context) {
  if (description.kind == "torchscript")
    return make_script_box(description, folder, context.device);
  take_patience(description, context.run_dir);
  return make_command_box(description, context.world, context.device);
}

}  // namespace

std::unique_ptr<BlackBox> open_black_box(const BlackBoxDescription& description,
                                         const fs::path& folder, const RunContext& context) {
  on_root(context.world, [&] { check_unchanged(description, folder); });
  return box_of(description, folder, context);
}

std::unique_ptr<BlackBox> load_black_box(const RunContext& context) {
  if (is_own_network(context.run_dir)) return own_network(context);
  const auto file = context.run_dir / artifacts::black_box;
  return open_black_box(read_black_box(file), file.parent_path(), context);
}

std::unique_ptr<BlackBox> load_black_box_alone(const RunContext& context) {
  if (is_own_network(context.run_dir)) return own_network(context);
  const auto file = context.run_dir / artifacts::black_box;
  const auto description = read_black_box(file);
  check_unchanged(description, file.parent_path());
  return box_of(description, file.parent_path(), context);
}

}  // namespace stylescope
