#include "pipeline/command.hpp"

namespace stylescope {

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {
      {"run", "the whole graph of a configuration, or some of its stages", add_run},
      {"generate", "images from a generator, of seeds or of given latents", add_generate},
      {"explain", "new images on a finished run", add_explain},
      {"export", "tiles as pictures, or their places in CLAM's or TRIDENT's layout", add_export},
      {"verify-resume",
       "proves that a killed and resumed run ends in the same bits on this machine",
       add_verify_resume},
      {"bench", "how fast this machine is, and how near to its limits", add_bench},
  };
  return table;
}

}  // namespace stylescope
