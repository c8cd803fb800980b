#pragma once

#include "stages/gan/gan_config.hpp"

namespace stylescope {

// Sets every key of the section to what config.preset means: the base configurations of
// StyleGAN2-ADA (Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data",
// table of hyperparameters), and two for medical images, whose sizes are those of "auto". The
// published batch of each rank (batch_per_rank) is kept, so that fewer ranks than the paper's
// accumulate gradients and group sizes stay what they were.
void fill_from_preset(GanConfig& config);

}  // namespace stylescope
