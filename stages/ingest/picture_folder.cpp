#include "stages/ingest/picture_folder.hpp"

#include "io/base/error.hpp"
#include "io/dicom.hpp"
#include "io/lower_case.hpp"
#include "io/sha256.hpp"
#include "io/stylegan_set.hpp"
#include "io/subject_key.hpp"
#include "stages/images/subject_split.hpp"
#include "stages/ingest/file_state.hpp"
#include "stages/ingest/label_order.hpp"
#include "stages/ingest/pcam_plan.hpp"
#include "stages/ingest/table_rows.hpp"
#include "stages/ingest/zip_plan.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

namespace stylescope {
namespace {

namespace fs = std::filesystem;

// Pictures by their endings. DICOM often has none, or a number that ends a UID: such a file is
// looked into. A DICOMDIR is the table of contents of a disc.
bool is_picture(const fs::path& file) {
  const auto ending = lower_ending(file);
  if (has_picture_ending(file) || ending == ".dcm" || ending == ".dicom" || ending == ".ima")
    return true;
  const bool no_ending = std::all_of(ending.begin(), ending.end(),
                                     [](unsigned char c) { return c == '.' || std::isdigit(c); });
  return no_ending && file.filename() != "DICOMDIR" && is_dicom(file);
}

// Names of the entries that `keep` accepts, sorted. Throws Error when the folder cannot be read.
template <class Keep>
std::vector<std::string> names_in(const fs::path& folder, Keep keep) {
  std::vector<std::string> names;
  std::error_code failure;
  fs::directory_iterator entry(folder, failure), end;
  for (; !failure && entry != end; entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (name.front() != '.' && keep(*entry)) names.push_back(name);
  }
  validate(!failure, folder.string(), ": cannot be read (", failure.message(),
           "); check ingest.path and its permissions");
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<std::string> folders_in(const fs::path& folder) {
  return names_in(folder, [](const fs::directory_entry& e) { return e.is_directory(); });
}

// One folder of label folders; `below` is its path under the root: "" or "train/".
struct LabelTree {
  std::string below;
  std::optional<Split> split;
};

// By what a folder is called; nullopt: no split's.
std::optional<Split> split_of_folder(const std::string& name) {
  if (name == "train") return Split::train;
  if (name == "val" || name == "valid" || name == "validation") return Split::val;
  if (name == "test") return Split::test;
  return std::nullopt;
}

std::vector<LabelTree> trees_of(const fs::path& root, const SplitConfig& split) {
  if (split.mode == "random") return {{"", std::nullopt}};
  std::vector<LabelTree> trees;
  for (const auto& name : folders_in(root)) {
    const auto s = split_of_folder(name);
    if (!s) continue;
    for (const auto& tree : trees)
      validate(tree.split != s, root.string(), ": has the folders '",
               fs::path(tree.below).parent_path().string(), "' and '", name, "' (both are the ",
               to_string(*s), " split); move one away");
    trees.push_back({name + "/", s});
  }
  std::sort(trees.begin(), trees.end(),
            [](const LabelTree& a, const LabelTree& b) { return a.split < b.split; });
  const auto has = [&](Split s) {
    return std::any_of(trees.begin(), trees.end(), [&](const auto& t) { return t.split == s; });
  };
  for (const Split s : {Split::train, Split::val})
    validate(has(s), root.string(), ": has no folder '", to_string(s),
             "' (ingest.split.mode is folders); add it, or use mode random");
  validate(
      has(Split::test) || split.halve_val, root.string(),
      ": has no folder 'test' (evaluate needs images that nothing was trained on); add it, or set "
      "ingest.split.halve_val: true");
  validate(!has(Split::test) || !split.halve_val, root.string(),
           ": has a folder 'test' (and ingest.split.halve_val asks to make one from val); set "
           "halve_val: "
           "false");
  return trees;
}

std::vector<std::string> label_names_of(const fs::path& root, const std::vector<LabelTree>& trees,
                                        const std::vector<std::string>& wanted) {
  std::set<std::string> found;
  for (const auto& tree : trees) {
    for (const auto& name : folders_in(root / tree.below)) {
      validate(wanted.empty() || std::find(wanted.begin(), wanted.end(), name) != wanted.end(),
               (root / tree.below / name).string(),
               ": is not in ingest.class_names; add it there, or move the folder away");
      found.insert(name);
    }
  }
  if (!wanted.empty()) return wanted;
  std::vector<std::string> names(found.begin(), found.end());
  std::sort(names.begin(), names.end(), label_before);
  return names;
}

void check_classes(const fs::path& root, const PictureFolder& folder, const SplitConfig& split) {
  const bool split_folders =
      std::all_of(folder.label_names.begin(), folder.label_names.end(),
                  [](const std::string& name) { return split_of_folder(name).has_value(); });
  validate(split.mode != "random" || folder.label_names.empty() || !split_folders, root.string(),
           ": holds the folders of a split, not of labels; set ingest.split.mode: folders");
  validate(
      !folder.pictures.empty(), root.string(),
      ": holds no pictures (*.png, *.jpg, *.jpeg, *.tif, *.tiff, *.dcm in one folder a label); "
      "check ingest.path");
  validate(folder.label_names.size() > 1, root.string(), ": holds only one class, '",
           folder.label_names.front(),
           "' (a classifier needs two); add a folder for another label");
  std::vector<int64_t> count(folder.label_names.size(), 0);
  for (const auto& picture : folder.pictures) ++count[static_cast<size_t>(picture.label)];
  for (size_t i = 0; i < count.size(); ++i)
    validate(count[i] > 0, root.string(), ": class '", folder.label_names[i],
             "' has no pictures; add some, or take the class away");
}

}  // namespace

PictureFolder list_pictures(const IngestConfig& config) {
  const fs::path root = config.path;
  validate(fs::is_directory(root), root.string(),
           ": is no folder (or is not there); check ingest.path");
  const auto trees = trees_of(root, config.split);
  PictureFolder folder;
  folder.label_names = label_names_of(root, trees, config.class_names);
  for (const auto& tree : trees) {
    for (size_t label = 0; label < folder.label_names.size(); ++label) {
      const std::string below = tree.below + folder.label_names[label];
      if (!fs::is_directory(root / below)) continue;
      const auto names = names_in(root / below, [](const fs::directory_entry& e) {
        return !e.is_directory() && is_picture(e.path());
      });
      for (const auto& name : names)
        folder.pictures.push_back({below + "/" + name, static_cast<int64_t>(label), tree.split,
                                   subject_of(name, config.subject_regex)});
    }
  }
  check_classes(root, folder, config.split);
  std::sort(folder.pictures.begin(), folder.pictures.end(),
            [](const ListedPicture& a, const ListedPicture& b) { return a.path < b.path; });
  return folder;
}

namespace {

std::string pictures_fingerprint(const IngestConfig& config) {
  if (config.source == "phantom") return "phantom";
  if (config.source == "pcam") return pcam_fingerprint(config);
  if (config.source == "zip") return zip_fingerprint(config);
  if (config.source == "table") return table_fingerprint(config);
  Sha256 hash;
  const auto folder = list_pictures(config);
  for (const auto& picture : folder.pictures)
    add_file_state(hash, picture.path, fs::path(config.path) / picture.path);
  return hash.finish();
}

}  // namespace

std::string ingest_fingerprint(const IngestConfig& config) {
  const std::string pictures = pictures_fingerprint(config);
  if (!config.pseudonyms() || config.id_key_file.empty()) return pictures;
  // Nothing of the key itself: a short one could be guessed from its hash.
  SubjectKey::load(config.id_key_file);
  const auto changed = fs::last_write_time(config.id_key_file).time_since_epoch().count();
  return sha256_of(
      detail::concatenate(pictures, '\0', fs::file_size(config.id_key_file), '\0', changed));
}

}  // namespace stylescope
