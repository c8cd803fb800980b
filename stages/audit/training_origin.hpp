#pragma once

#include "io/image_set.hpp"

#include <filesystem>
#include <string>

// Have the networks of a run seen its test images? Read from the records (stage.json) that the
// stages left, before any test image is shown or measured.
namespace stylescope {

// Throws Error
//   - when classifier, gan, synthesize or encoder was made from another images.h5 than the one that
//     is there now (another seed or other splits: a training image of then may be a test image
//     now);
//   - when one of them started from weights of another run (classifier.init, gan.init_generator,
//     gan.init_discriminator, encoder.init, or what those had started from in turn) whose training
//     images are nearly the same as test images here, or of the same subjects in the same source.
// Warns where subjects of another source only have the same names, where they cannot be compared
// because their pseudonyms are of different keys, and of weights that lie in no run directory or
// whose run has other images by now: nobody knows what those have seen. `images`: the run's, opened
// for all. Where records are absent (stages made by hand) there is nothing to check. Not
// collective.
void check_training_origin(const std::filesystem::path& run_dir,
                           const std::filesystem::path& images_file, const ImageSet& images);

}  // namespace stylescope
