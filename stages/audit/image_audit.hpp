#pragma once

#include "io/image_set.hpp"
#include "stages/audit/audit_config.hpp"
#include "stages/audit/near_duplicates.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

// The audit of a data set before it is published: no image may be nearly the same as one of
// another split, for what was trained on would be tested on. (That no subject stands in two splits
// ImageSetWriter and ImageSet see to.)
namespace stylescope {

struct AuditedSet {
  std::string where;  // what the images came from, for messages
  std::string key;    // "ingest.audit"
  const std::vector<ImageRecord>& records;
  const std::vector<std::string>& label_names;
  const std::vector<ImagePrint>& prints;  // one a record
  PixelReader read;
  bool can_leave_out = true;    // near_duplicates: drop is possible
  std::string names_file = {};  // that tells which pictures the records' pseudonyms are; or empty
};

struct AuditOutcome {
  std::vector<int64_t> left_out;  // rows, ascending; only where near_duplicates is drop
  // near_duplicates (pairs), near_duplicates_left_out (images), even_images; empty where it is off.
  nlohmann::json metrics = nlohmann::json::object();
};

// Writes audit.csv and audit.png into out_dir, also when it stops. Throws Error when there are
// near-duplicates and they stop the run, naming the first three and both files.
AuditOutcome audit_images(const AuditedSet& set, const AuditConfig& config,
                          const std::filesystem::path& out_dir);

}  // namespace stylescope
