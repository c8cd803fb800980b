#pragma once

#include "io/base/fields.hpp"
#include "stages/audit/audit_config.hpp"
#include "stages/ingest/table_config.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace stylescope {

struct PictureSettings;

struct PhantomConfig {
  int64_t subjects = 600;
  int64_t images_per_subject = 3;
  double nuisance_correlation = 0;  // training split only
  void describe(Fields& f);
};

struct SplitConfig {
  std::string mode = "random";  // random | folders | table
  double train = 0.7, val = 0.15, test = 0.15;
  bool halve_val = false;
  void describe(Fields& f);
};

// How grey DICOM pictures become 8 bits; io/dicom.hpp has the rules.
struct DicomConfig {
  std::string stretch = "window";  // window | percentile | full
  double low = 0.5, high = 99.5;   // percentiles
  void describe(Fields& f);
};

struct IngestConfig {
  std::string source = "phantom";  // phantom | folder | table | pcam | zip
  std::string path;
  int64_t resolution = 32;
  int64_t channels = 1;
  PhantomConfig phantom;
  std::vector<std::string> class_names;
  TableConfig table;
  KneesConfig knees;
  std::string subject_regex;
  bool keep_ids = false;
  std::string id_key_file;
  SplitConfig split;
  DicomConfig dicom;
  std::string bit_depth = "auto";  // of 16-bit PNG and TIFF: auto | 8 | 10 | 12 | 14 | 16
  AuditConfig audit;
  double max_bad_fraction = 0.01;
  int64_t threads = 0;

  // How pictures are to be read, here and by explain; with a tally of its own.
  PictureSettings pictures() const;
  // Do keyed hashes stand for subjects and file names in all that is written? (Drawn knees and
  // PatchCamelyon's slides are nobody.)
  bool pseudonyms() const { return !keep_ids && source != "phantom" && source != "pcam"; }

  void describe(Fields& f);
  // What ranges alone cannot say. Throws UsageError naming the key.
  void check() const;
};

}  // namespace stylescope
