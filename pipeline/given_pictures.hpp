#pragma once

#include "io/picture.hpp"
#include "pipeline/config.hpp"
#include "stages/explain/explain_stage.hpp"
#include "stages/ingest/knee_side.hpp"

#include <optional>
#include <string>
#include <vector>

// Pictures for a finished run, made ready as the run's ingest made its own.
namespace stylescope {

struct PictureOptions {
  std::string side;  // "L", "R" or "": not said
  std::string box;   // "x,y,width,height" or ""
};

class GivenPictures {
 public:
  // Throws UsageError for a box that is none, and for a side where the run makes no use of it.
  GivenPictures(const Config& config, const PictureOptions& options,
                const PictureSettings& settings = {});

  // A film is cut by the box, or the half of the side; mirrored where knees of its side are.
  // Without a side the file's name is asked as the run did (knees.side_regex), then DICOM's header;
  // else the picture is taken for one of a knee that need neither be cut nor mirrored.
  GivenImage of(const std::string& file) const;
  // What is taken for granted, as a sentence; "" when nothing is.
  std::string assumption() const;

 private:
  PictureSettings settings_;
  KneesConfig knees_;
  std::optional<Side> side_;
  std::optional<KneeBox> box_;
};

}  // namespace stylescope
