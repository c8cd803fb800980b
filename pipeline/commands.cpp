#include "pipeline/command_weights.hpp"

namespace stylescope {

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {
      {"run", "the whole graph of a configuration, or some of its stages", add_run},
      {"submit", "the same graph as Slurm jobs that wait for one another", add_submit},
      {"status", "how a run stands: what is done, at work, queued, or failed", add_status},
      {"logs", "what a stage of a run printed", add_logs},
      {"cancel", "takes a run's jobs out of Slurm's queue", add_cancel},
      {"sweep", "what the runs of a sweep came to, as a table", add_sweep},
      {"generate", "images from a generator, of seeds or of given latents", add_generate},
      {"explain", "new images on a finished run", add_explain},
      {"metrics", "how good a run's generator is, and whether it repeats training images",
       add_metrics},
      {"export", "images, tiles and networks of a run for other programs", add_export},
      {"import", "weights of other programs, checked, as files that runs start from", add_import},
      {"inspect", "what a file holds: images, weights, checkpoints, slides, DICOM and more",
       add_inspect},
      {"verify-resume",
       "proves that a killed and resumed run ends in the same bits on this machine",
       add_verify_resume},
      {"doctor", "is this machine, or this allocation, fit to run? says what to do if not",
       add_doctor},
      {"bench", "how fast this machine is, and how near to its limits", add_bench},
      {"job", "what the batch scripts of submit call before and after their ranks", add_job},
  };
  return table;
}

}  // namespace stylescope
