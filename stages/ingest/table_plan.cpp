#include "stages/ingest/table_plan.hpp"

#include "io/base/error.hpp"
#include "io/base/nearest.hpp"
#include "io/picture.hpp"
#include "stages/ingest/given_split.hpp"
#include "stages/ingest/label_order.hpp"
#include "stages/ingest/table_columns.hpp"
#include "stages/ingest/table_rows.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

namespace stylescope {
namespace {

// Films whose other knee is asked for soon: a table has both in neighbouring rows, or is sorted by
// side, and then keeping them would take all memory.
size_t films_kept(const IngestConfig& config) {
  const auto threads =
      config.threads > 0 ? config.threads : int64_t{std::thread::hardware_concurrency()};
  return 2 * static_cast<size_t>(threads) + 2;
}

// Pictures that give one image or two, decoded once for both where these are asked for in a row.
class Films {
 public:
  // kept: at most so many are in memory between their images.
  Films(int64_t channels, PictureSettings settings, size_t kept)
      : channels_(channels), settings_(std::move(settings)), most_kept_(kept) {}

  void add(const std::filesystem::path& file) {
    const auto [place, is_new] =
        number_of_.emplace(file.lexically_normal().string(), films_.size());
    if (is_new) films_.emplace_back().file = file;
    ++films_[place->second].images;
    film_of_.push_back(place->second);
  }
  const std::filesystem::path& file(int64_t image) const {
    return films_[film_of_[static_cast<size_t>(image)]].file;
  }

  torch::Tensor read(int64_t image) {
    const size_t number = film_of_[static_cast<size_t>(image)];
    Film& film = films_[number];
    const std::lock_guard lock(film.mutex);
    torch::Tensor pixels = taken(number);
    if (!pixels.defined()) pixels = read_picture(film.file, channels_, settings_);
    if (++film.given < film.images)
      keep(number, pixels);
    else
      film.given = 0;
    return pixels;
  }

 private:
  struct Film {
    std::filesystem::path file;
    int64_t images = 0, given = 0;
    std::mutex mutex{};  // held while it is decoded
  };

  torch::Tensor taken(size_t film) {
    const std::lock_guard lock(kept_mutex_);
    const auto place = std::find_if(kept_.begin(), kept_.end(),
                                    [&](const auto& entry) { return entry.first == film; });
    if (place == kept_.end()) return {};
    torch::Tensor pixels = std::move(place->second);
    kept_.erase(place);
    return pixels;
  }
  void keep(size_t film, const torch::Tensor& pixels) {
    const std::lock_guard lock(kept_mutex_);
    kept_.emplace_back(film, pixels);
    if (kept_.size() > most_kept_) kept_.pop_front();
  }

  const int64_t channels_;
  const PictureSettings settings_;
  const size_t most_kept_;
  std::mutex kept_mutex_;
  std::deque<std::pair<size_t, torch::Tensor>> kept_;  // the oldest first
  std::deque<Film> films_;
  std::map<std::string, size_t> number_of_;
  std::vector<size_t> film_of_;
};

class TablePlanner {
 public:
  TablePlanner(const IngestConfig& config, uint64_t seed)
      : config_(config),
        seed_(seed),
        settings_(config.pictures()),
        films_(std::make_shared<Films>(config.channels, settings_, films_kept(config))),
        listed_(list_table(config)),
        columns_(listed_.table, config.table) {}

  ImagePlan plan() {
    plan_.listed = static_cast<int64_t>(listed_.images.size() + listed_.bad.size());
    plan_.bad = listed_.bad;
    const auto bad = static_cast<double>(plan_.bad.size());
    // Where most files are not there, that is the news, not what else follows from it.
    if (listed_.images.empty() ||
        bad > config_.max_bad_fraction * static_cast<double>(plan_.listed))
      return std::move(plan_);
    const auto labels = config_.knees.readings.on() ? labels_of_readings() : labels_of_column();
    number_labels(labels);
    const auto splits = settle_splits(config_.split, wishes(labels), seed_);
    add_records(labels, splits);
    add_load();
    return std::move(plan_);
  }

 private:
  std::string place(const TableImage& image) const {
    return detail::concatenate(config_.table.file, ":", row_of(image).line);
  }
  const CsvRow& row_of(const TableImage& image) const { return listed_.table.rows[image.row]; }

  std::vector<std::string> labels_of_column() const {
    std::vector<std::string> labels;
    for (const auto& image : listed_.images) labels.push_back(row_of(image)["label"]);
    const auto& names = config_.class_names;
    for (size_t i = 0; i < labels.size(); ++i)
      validate(names.empty() || std::find(names.begin(), names.end(), labels[i]) != names.end(),
               place(listed_.images[i]), ": label '", labels[i], "' is not in ingest.class_names",
               suggestion(labels[i], names), "; add it there, or correct the line");
    return labels;
  }

  // Images whose knee has no grade are left out.
  std::vector<std::string> labels_of_readings() {
    std::vector<KneeKey> knees;
    for (const auto& image : listed_.images)
      knees.push_back({image.subject, *image.side, image.visit});
    auto joined = join_readings(config_.knees, knees, config_.class_names);
    plan_.readings = std::move(joined.notes);
    plan_.counts = std::move(joined.counts);
    plan_.counts["images_without_label"] = 0;
    std::vector<TableImage> kept;
    std::vector<std::string> labels;
    for (size_t i = 0; i < knees.size(); ++i) {
      if (joined.labels[i].empty()) {
        ++plan_.counts["images_without_label"];
        continue;
      }
      kept.push_back(std::move(listed_.images[i]));
      labels.push_back(joined.labels[i]);
    }
    listed_.images = std::move(kept);
    plan_.listed -= plan_.counts["images_without_label"];
    return labels;
  }

  void number_labels(const std::vector<std::string>& labels) {
    plan_.label_names = config_.class_names;
    const std::set<std::string> found(labels.begin(), labels.end());
    if (plan_.label_names.empty()) {
      plan_.label_names.assign(found.begin(), found.end());
      std::sort(plan_.label_names.begin(), plan_.label_names.end(), label_before);
    }
    validate(plan_.label_names.size() > 1, config_.table.file, ": has only one label, '",
             plan_.label_names.front(), "' (a classifier needs two); add rows of another one");
    for (const auto& name : plan_.label_names)
      validate(found.contains(name), config_.table.file, ": label '", name,
               "' has no images; add rows of it, or take it out of ingest.class_names");
  }
  int64_t number_of(const std::string& label) const {
    const auto& names = plan_.label_names;
    return std::find(names.begin(), names.end(), label) - names.begin();
  }

  std::optional<Split> given_split(const TableImage& image) const {
    if (config_.split.mode != "table") return std::nullopt;
    const std::string& text = row_of(image)["split"];
    for (const Split split : {Split::train, Split::val, Split::test})
      if (text == to_string(split)) return split;
    throw Error(detail::concatenate(place(image), ": split '", text,
                                    "' is none of train, val, test",
                                    suggestion(text, {"train", "val", "test"})));
  }

  std::vector<SplitWish> wishes(const std::vector<std::string>& labels) const {
    std::vector<SplitWish> wishes;
    std::map<std::string, std::pair<Split, const TableImage*>> first;
    std::set<Split> given;
    for (size_t i = 0; i < labels.size(); ++i) {
      const auto& image = listed_.images[i];
      wishes.push_back({image.subject, number_of(labels[i]), given_split(image)});
      const auto own = wishes.back().given;
      if (!own) continue;
      given.insert(*own);
      const auto [known, is_new] = first.emplace(image.subject, std::pair{*own, &image});
      const auto& [split, other] = known->second;
      validate(split == *own, place(image), ": this subject is in split ", to_string(*own),
               ", and in split ", to_string(split), " by ", place(*other),
               " (what was trained on would be tested on); give all rows of a subject one split");
    }
    const bool halve = config_.split.halve_val;
    validate(given.empty() || given.contains(Split::test) != halve, config_.table.file,
             halve ? ": has rows of split test (and ingest.split.halve_val asks to make them from "
                     "val); set halve_val: false"
                   : ": has no rows of split test (evaluate needs images that nothing was trained "
                     "on); add some, or set ingest.split.halve_val: true");
    return wishes;
  }

  void add_records(const std::vector<std::string>& labels, const std::vector<Split>& splits) {
    plan_.value_names = columns_.names();
    const auto& images = listed_.images;
    const bool sides = std::any_of(images.begin(), images.end(),
                                   [](const TableImage& image) { return image.side.has_value(); });
    if (sides) plan_.value_names["side"] = side_values();
    for (size_t i = 0; i < images.size(); ++i) {
      const auto& image = images[i];
      ImageRecord record{number_of(labels[i]), splits[i], image.subject, image.path,
                         columns_.of(row_of(image))};
      if (sides) record.attributes["side"] = side_value(image.side);
      if (config_.knees.cuts()) record.path += " (" + to_string(*image.side) + ")";
      plan_.records.push_back(std::move(record));
      // A film that two rows name differently is read as the first of them has it.
      films_->add(image.file);
      plan_.sources.push_back(
          {image.path, films_->file(static_cast<int64_t>(i)).string(), image.told_as});
    }
  }

  void add_load() {
    struct Knee {
      std::optional<Side> side;
      std::optional<KneeBox> box;
    };
    plan_.tally = settings_.tally;
    std::vector<Knee> cuts;
    for (const auto& image : listed_.images) cuts.push_back({image.side, image.box});
    plan_.load = [films = films_, cuts = std::move(cuts), knees = config_.knees,
                  size = config_.resolution](int64_t i) {
      const auto& [side, box] = cuts[static_cast<size_t>(i)];
      const auto file = films->file(i).string();
      const auto knee = knee_of(films->read(i), file, side, box, knees);
      check_picture_size(file, knee, size);
      return resize_picture(knee, size).contiguous();
    };
  }

  const IngestConfig& config_;
  const uint64_t seed_;
  const PictureSettings settings_;
  const std::shared_ptr<Films> films_;
  TableImages listed_;
  const AttributeColumns columns_;
  ImagePlan plan_;
};

}  // namespace

ImagePlan plan_table(const IngestConfig& config, uint64_t seed) {
  return TablePlanner(config, seed).plan();
}

}  // namespace stylescope
