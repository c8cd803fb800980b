#include "stages/tile/slide_list.hpp"

#include "io/base/error.hpp"
#include "io/base/nearest.hpp"
#include "io/csv.hpp"
#include "io/lower_case.hpp"
#include "io/sha256.hpp"
#include "stages/images/subject_split.hpp"
#include "stages/tile/camelyon16.hpp"

#include <algorithm>
#include <optional>
#include <set>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// Files below a folder, sorted; hidden ones and the folders in `without` are passed over.
std::vector<fs::path> files_below(const fs::path& folder, const std::vector<fs::path>& without) {
  std::vector<fs::path> files;
  std::error_code failure;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::follow_directory_symlink,
                                         failure);
  for (; !failure && entry != fs::recursive_directory_iterator(); entry.increment(failure)) {
    const bool hidden = entry->path().filename().string().front() == '.';
    const bool other = std::any_of(without.begin(), without.end(), [&](const fs::path& p) {
      std::error_code ignored;
      return !p.empty() && fs::equivalent(p, entry->path(), ignored);
    });
    if (hidden || other)
      entry.disable_recursion_pending();
    else if (entry->is_regular_file())
      files.push_back(entry->path());
  }
  validate(!failure, folder.string(), ": cannot be read (", failure.message(),
           "); check the path and its permissions");
  std::sort(files.begin(), files.end());
  return files;
}

void check_folder(const std::string& key, const std::string& folder) {
  validate(folder.empty() || fs::is_directory(folder), folder,
           ": is no folder (or is not there); check ", key);
}

// Files with one of the endings, by stem; a mask may be called <slide>_mask.tif.
std::map<std::string, fs::path> by_stem(const fs::path& folder,
                                        const std::set<std::string>& endings,
                                        const std::vector<std::string>& suffixes = {""}) {
  std::map<std::string, fs::path> found;
  if (folder.empty()) return found;
  for (const auto& file : files_below(folder, {})) {
    if (!endings.contains(lower_ending(file))) continue;
    const std::string stem = file.stem().string();
    for (const auto& suffix : suffixes) {
      if (stem.size() <= suffix.size() || !stem.ends_with(suffix)) continue;
      const auto [first, is_new] = found.emplace(stem.substr(0, stem.size() - suffix.size()), file);
      validate(is_new, file.string(), ": is for the same slide as ", first->second.string(),
               "; keep one of them");
      break;
    }
  }
  return found;
}

fs::path find_or_none(const std::map<std::string, fs::path>& files, const std::string& stem) {
  const auto found = files.find(stem);
  return found == files.end() ? fs::path() : found->second;
}

// The files that an MRXS slide keeps in the folder of its name; none for other formats.
std::vector<fs::path> parts_of(const fs::path& file) {
  const fs::path folder = fs::path(file).replace_extension();
  return lower_ending(file) == ".mrxs" && fs::is_directory(folder) ? files_below(folder, {})
                                                                   : std::vector<fs::path>();
}

int64_t bytes_of(const fs::path& file) {
  auto bytes = static_cast<int64_t>(fs::file_size(file));
  for (const auto& part : parts_of(file)) bytes += static_cast<int64_t>(fs::file_size(part));
  return bytes;
}

// Paths, sizes and times of change.
std::string fingerprint_of(const std::vector<fs::path>& files) {
  Sha256 hash;
  const auto add = [&](const fs::path& file) {
    std::error_code ignored;
    const auto size = file.empty() ? 0 : fs::file_size(file, ignored);
    const auto time =
        file.empty() ? 0 : fs::last_write_time(file, ignored).time_since_epoch().count();
    hash.update(detail::concatenate(file.string(), '\0', size, '\0', time, '\0'));
  };
  for (const auto& file : files) {
    add(file);
    for (const auto& part : parts_of(file)) add(part);
  }
  return hash.finish();
}

class Lister {
 public:
  Lister(const TileConfig& config, const fs::path& dir) : config_(config), dir_(dir) {}

  SlideList list() {
    for (const auto& [key, folder] :
         {std::pair{"tile.labels.annotations", config_.labels.annotations},
          {"tile.coords", config_.coords},
          {"tile.tissue_outlines", config_.tissue_outlines}})
      check_folder(key, folder);
    validate(fs::is_directory(dir_) || (dir_.empty() && !config_.list.empty()), dir_.string(),
             ": is no folder (or is not there); check tile.path");
    if (!config_.mpp_csv.empty()) list_.mpp = read_mpp_csv(config_.mpp_csv);
    index_companions();
    if (config_.list.empty())
      take_folder();
    else
      take_table(
          read_csv(config_.list, {"slide"}, {"subject", "class", "split", "annotation", "mpp"}));
    list_.listed = static_cast<int64_t>(list_.slides.size() + list_.bad.size());
    validate(list_.listed > 0, config_.list.empty() ? dir_.string() : config_.list,
             ": holds no slides; check tile.path");
    check_names();
    return std::move(list_);
  }

 private:
  void index_companions() {
    const auto& labels = config_.labels;
    const fs::path folder = labels.annotations.empty() ? dir_ : fs::path(labels.annotations);
    if (labels.from == "outlines") annotations_ = by_stem(folder, {".xml", ".geojson"});
    if (labels.from == "masks") {
      validate(
          !labels.annotations.empty() || !config_.list.empty(),
          "tile.labels.annotations: is empty (labels.from is masks); give the folder of masks");
      std::error_code ignored;
      validate(
          labels.annotations.empty() || !fs::equivalent(folder, dir_, ignored), folder.string(),
          ": holds the slides and their masks (a name does not tell which is a mask); move the "
          "masks to a folder of their own and name it in tile.labels.annotations");
      if (!labels.annotations.empty())
        annotations_ = by_stem(folder, {".tif", ".tiff"}, {"_mask", "_Mask", ""});
    }
    coords_ = by_stem(config_.coords, {".h5"}, {"_patches", ""});
    tissue_ = by_stem(config_.tissue_outlines, {".geojson", ".json"});
  }

  void take_folder() {
    for (const auto& file :
         files_below(dir_, {config_.labels.annotations, config_.coords, config_.tissue_outlines}))
      if (is_slide_name(file)) add(file, {});
  }

  void take_table(const CsvTable& table) {
    validate(config_.split.mode != "list" || table.has("split"), config_.list,
             ":1: has no column 'split' (tile.split.mode is list); add it");
    validate(config_.labels.from != "slides" || table.has("class"), config_.list,
             ":1: has no column 'class' (tile.labels.from is slides); add it");
    for (const auto& row : table.rows) {
      const fs::path base = dir_.empty() ? fs::path(config_.list).parent_path() : dir_;
      add(base / row["slide"], row);
    }
  }

  void add(const fs::path& file, const CsvRow& row) {
    ListedSlide slide;
    slide.file = file;
    const std::string stem = file.stem().string();
    slide.name = stem;
    const std::string where = row.line ? config_.list + ":" + std::to_string(row.line) : "";
    const auto bad = [&](const std::string& reason) {
      list_.bad.push_back({file.string(), reason});
    };
    if (!fs::is_regular_file(file)) return bad("is not there; check the list and tile.path");
    slide.subject = row["subject"].empty()
                        ? subject_of(file.filename().string(), config_.subject_regex)
                        : row["subject"];
    if (slide.subject.empty())
      return bad("the file name does not match tile.subject_regex '" + config_.subject_regex + "'");
    slide.annotation = row["annotation"].empty()
                           ? find_or_none(annotations_, stem)
                           : fs::path(config_.list).parent_path() / row["annotation"];
    validate(row["annotation"].empty() || fs::is_regular_file(slide.annotation), where,
             ": annotation ", slide.annotation.string(), " is not there; correct the list");
    slide.coords = find_or_none(coords_, stem);
    if (!config_.coords.empty() && slide.coords.empty())
      return bad("has no coordinates in " + config_.coords + "; add " + stem + ".h5 there");
    slide.tissue = find_or_none(tissue_, stem);
    read_row(slide, row, where);
    if (config_.dataset == "camelyon16" && !know_camelyon16(slide)) return;
    if (config_.source == "phantom") slide.label = stem.starts_with("tumor") ? 1 : 0;
    if (const auto reason = missing_label(slide); !reason.empty()) {
      if (config_.labels.unannotated != "skip") return bad(reason);
      list_.notes.push_back(slide.name + " is left out: " + reason);
      return;
    }
    slide.bytes = bytes_of(file);
    slide.fingerprint = detail::concatenate(
        fingerprint_of({slide.file, slide.annotation, slide.coords, slide.tissue}), '/',
        slide.label, '/', slide.negatives);
    list_.slides.push_back(std::move(slide));
  }

  void read_row(ListedSlide& slide, const CsvRow& row, const std::string& where) {
    if (const auto& name = row["class"]; !name.empty()) {
      const auto& names = config_.class_names;
      const auto found = std::find(names.begin(), names.end(), name);
      validate(found != names.end(), where, ": class '", name, "' is not in tile.class_names",
               suggestion(name, names));
      slide.label = found - names.begin();
    }
    if (config_.split.mode == "list") {
      const std::vector<std::string> names{"train", "val", "test"};
      const auto found = std::find(names.begin(), names.end(), row["split"]);
      validate(found != names.end(), where, ": split '", row["split"],
               "' is none of train, val, test", suggestion(row["split"], names));
      slide.split = static_cast<Split>(found - names.begin());
    }
    if (const auto& text = row["mpp"]; !text.empty()) {
      char* end = nullptr;
      const double mpp = std::strtod(text.c_str(), &end);
      validate(*end == '\0' && mpp >= 0.05 && mpp <= 20, where, ": mpp '", text,
               "' is no number from 0.05 to 20 (micrometres a pixel); correct it");
      list_.mpp[slide.file.filename().string()] = {mpp, mpp, config_.list};
    }
  }

  // False: left out for an erratum.
  bool know_camelyon16(ListedSlide& slide) {
    const auto known = camelyon16_slide(slide.file.filename().string());
    if (!known) {
      list_.bad.push_back({slide.file.string(),
                           "is not named as in Camelyon16 (normal_001, tumor_001, test_001); move "
                           "it away, or set tile.dataset: none"});
      return false;
    }
    if (const auto* erratum = camelyon16_erratum(*known)) {
      slide.negatives = erratum->use != Camelyon16Erratum::Use::no_negatives;
      list_.notes.push_back(slide.name +
                            (slide.negatives ? " is left out: " : " gives no negative tiles: ") +
                            erratum->reason);
      if (slide.negatives) return false;
    }
    slide.label = known->tumour();
    if (known->role == Camelyon16Slide::Role::test && config_.split.mode == "camelyon16")
      slide.split = Split::test;
    return true;
  }

  // Why nobody can say which class its tiles have; "" when somebody can.
  std::string missing_label(const ListedSlide& slide) const {
    if (config_.labels.from == "slides")
      return slide.label >= 0 ? "" : "has no class; give one in the list's column class";
    if (!slide.annotation.empty()) return "";
    if (slide.label > 0)
      return "is of class " + config_.class_names[static_cast<size_t>(slide.label)] +
             " and has no outlines; add " + slide.name + ".xml or .geojson";
    const auto& rule = config_.labels.unannotated;
    if (rule == "negative" || (rule == "auto" && slide.label == 0)) return "";
    return "has no outlines, and nothing says that it is negative; add outlines, or set "
           "tile.labels.unannotated: negative";
  }

  void check_names() {
    std::map<std::string, fs::path> seen;
    for (const auto& slide : list_.slides) {
      const auto [first, is_new] = seen.emplace(slide.name, slide.file);
      validate(is_new, slide.file.string(), ": has the same name as ", first->second.string(),
               " (tiles are kept by the slide's name); rename one of them");
    }
  }

  const TileConfig& config_;
  const fs::path dir_;
  std::map<std::string, fs::path> annotations_, coords_, tissue_;
  SlideList list_;
};

// Subjects that the official test set does not claim are dealt by their shares.
void split_slides(const TileConfig& config, std::vector<ListedSlide>& slides, uint64_t seed) {
  if (config.split.mode == "list") return;
  const auto fixed = [&](const ListedSlide& slide) {
    return config.split.mode == "camelyon16" && slide.split == Split::test;
  };
  // By name: the order of sizes must not decide.
  std::vector<ListedSlide*> dealt;
  for (auto& slide : slides)
    if (!fixed(slide)) dealt.push_back(&slide);
  std::sort(dealt.begin(), dealt.end(),
            [](const auto* a, const auto* b) { return a->name < b->name; });
  std::vector<SubjectImage> subjects;
  for (const auto* slide : dealt)
    subjects.push_back(
        {slide->subject, slide->label >= 0 ? slide->label : int64_t{!slide->annotation.empty()}});
  const auto& shares = config.split;
  const double sum = shares.train + shares.val;
  const auto drawn = split_by_subject(subjects,
                                      shares.mode == "random"
                                          ? SplitShares{shares.train, shares.val, shares.test}
                                          : SplitShares{shares.train / sum, shares.val / sum, 0},
                                      seed);
  for (size_t i = 0; i < dealt.size(); ++i) dealt[i]->split = drawn[i];
}

void check_subjects(const std::vector<ListedSlide>& slides) {
  std::map<std::string, const ListedSlide*> first;
  for (const auto& slide : slides) {
    const auto* known = first.emplace(slide.subject, &slide).first->second;
    validate(known->split == slide.split, slide.file.string(), ": subject '", slide.subject,
             "' lies in two splits, with ", known->file.string(),
             " in the other (what was trained on would be tested on); keep all slides of a subject "
             "in one split");
  }
}

}  // namespace

SlideList list_slides(const TileConfig& config, const fs::path& slides_dir, uint64_t seed) {
  SlideList list = Lister(config, slides_dir).list();
  split_slides(config, list.slides, seed);
  check_subjects(list.slides);
  std::sort(list.slides.begin(), list.slides.end(), [](const auto& a, const auto& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.name < b.name;
  });
  return list;
}

int64_t count_slides(const TileConfig& config, uint64_t seed) {
  if (config.source == "phantom") return config.phantom.slides;
  return static_cast<int64_t>(list_slides(config, config.path, seed).slides.size());
}

std::string tile_fingerprint(const TileConfig& config) {
  if (config.source == "phantom") return "phantom";
  const auto list = list_slides(config, config.path, 0);
  Sha256 hash;
  for (const auto& slide : list.slides)
    hash.update(detail::concatenate(slide.fingerprint, '\0', slide.subject, '\0',
                                    config.split.mode == "list" ? to_string(slide.split) : "",
                                    '\0'));
  for (const auto& bad : list.bad) hash.update(detail::concatenate(bad.path, '\0'));
  if (!config.stain.target.empty()) hash.update(fingerprint_of({config.stain.target}));
  for (const auto& [name, mpp] : list.mpp)
    hash.update(detail::concatenate(name, '\0', mpp.x, '\0', mpp.y, '\0'));
  return hash.finish();
}

}  // namespace stylescope
