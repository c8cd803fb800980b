#include "pipeline/stage_work.hpp"

#include "io/base/error.hpp"
#include "stages/ingest/image_plan.hpp"
#include "stages/tile/slide_list.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace stylescope {
namespace {

using detail::concatenate;

constexpr const char* kUntilImages = "unknown until images.h5 is there";

Count exactly(double value, std::string how = "") { return {value, false, std::move(how)}; }
Count unknown(std::string why = kUntilImages) { return {std::nullopt, false, std::move(why)}; }
// f of a count: unknown stays unknown, and a bound stays one.
template <class F>
Count mapped(const Count& count, const F& f, std::string how) {
  if (!count.value) return count;
  return {f(*count.value), count.at_most, std::move(how)};
}
std::string words(const Count& count) {
  if (!count.value) return "an unknown number of";
  return (count.at_most ? "at most " : "") + number_words(*count.value);
}

int64_t parts(double amount, int64_t size) {
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(amount / static_cast<double>(size))));
}

KnownImages from_record(const nlohmann::json& metrics) {
  const auto count = [&](const char* key) {
    const auto found = metrics.find(key);
    return found != metrics.end() && found->is_number()
               ? exactly(found->get<double>(), "in images.h5")
               : unknown();
  };
  KnownImages images{count("images"), count("train_images"), count("val_images"),
                     count("test_images"), count("slides")};
  return images;
}

// Of pictures, as ingest will list them.
KnownImages listed_images(const Config& config) {
  const auto plan = plan_images(config.ingest, static_cast<uint64_t>(config.seed));
  std::array<int64_t, 3> splits{};
  for (const auto& record : plan.records) ++splits[static_cast<size_t>(record.split)];
  const std::string how = config.ingest.source == "phantom" ? "to be drawn" : "listed";
  const auto of = [&](Split split) {
    return exactly(static_cast<double>(splits[static_cast<size_t>(split)]), how);
  };
  return {exactly(static_cast<double>(plan.records.size()), how),
          of(Split::train),
          of(Split::val),
          of(Split::test),
          {}};
}

// Of slides: how many tiles they give is not known, but where their number is limited.
KnownImages listed_slides(const Config& config) {
  const auto& tile = config.tile;
  KnownImages images{unknown(), unknown(), unknown(), unknown(), unknown()};
  if (tile.source == "phantom") {
    images.slides = exactly(static_cast<double>(tile.phantom.slides), "to be drawn");
    return images;
  }
  const auto list = list_slides(tile, tile.path, static_cast<uint64_t>(config.seed));
  images.slides = exactly(static_cast<double>(list.slides.size()), "listed");
  if (tile.sample.positive == 0 || tile.sample.negative == 0) return images;
  std::array<double, 3> most{}, slides{};
  for (const auto& slide : list.slides) {
    ++slides[static_cast<size_t>(slide.split)];
    const bool negative = slide.label == 0 && slide.annotation.empty();
    most[static_cast<size_t>(slide.split)] += static_cast<double>(
        (negative ? 0 : tile.sample.positive) + (slide.negatives ? tile.sample.negative : 0));
  }
  const auto bound = [&](double number, double tiles) {
    return Count{
        tiles, true,
        concatenate(number_words(number), " slides, of each at most ", tile.sample.positive,
                    " positive and ", tile.sample.negative, " negative tiles (tile.sample)")};
  };
  images.all = bound(slides[0] + slides[1] + slides[2], most[0] + most[1] + most[2]);
  images.train = bound(slides[0], most[0]);
  images.val = bound(slides[1], most[1]);
  images.test = bound(slides[2], most[2]);
  return images;
}

// Steps of classifier or encoder on so many images or pairs.
Count trained_images(const SupervisedConfig& config, const Count& images, const char* of) {
  const auto batch = static_cast<double>(config.batch);
  if (config.steps > 0)
    return exactly(static_cast<double>(config.steps) * batch,
                   concatenate(number_words(static_cast<double>(config.steps)), " steps of ",
                               config.batch, " images"));
  return mapped(
      images,
      [&](double n) {
        return static_cast<double>(config.total_steps(static_cast<int64_t>(n))) * batch;
      },
      concatenate(number_words(config.epochs), " epochs of ", words(images), " ", of,
                  ", in steps of ", config.batch));
}

// How often SupervisedConfig::ends_epoch() says yes in so many images, where `images` are an epoch.
double epochs_of(const Count& trained, int64_t batch, double images) {
  const auto all = static_cast<int64_t>(std::llround(trained.value.value_or(0)));
  const auto epoch = std::max<int64_t>(1, std::llround(images));
  const bool whole = all / epoch > (all - batch) / epoch;  // the last step ends one anyway
  return static_cast<double>(std::min(all / batch, all / epoch + (whole ? 0 : 1)));
}

double held_out(const Config& config) {
  return std::round(config.encoder.held_out * static_cast<double>(config.synthesize.samples));
}

class Counter {
 public:
  Counter(const Config& config, const KnownImages& images) : config_(config), images_(images) {}

  StageWork of(const std::string& stage) const {
    StageWork work;
    work.stage = stage;
    work.unit = "images";
    if (stage == "ingest") work.amount = images_.all;
    if (stage == "tile") tile(work);
    if (stage == "classifier") classifier(work);
    if (stage == "gan") gan(work);
    if (stage == "synthesize") each(work, Pass::generator, config_.synthesize.batch);
    if (stage == "encoder") encoder(work);
    if (stage == "direction") {
      each(work, Pass::classifier, config_.direction.batch);
      work.of_root = "the fit";
    }
    if (stage == "explain") explain(work);
    if (stage == "evaluate") evaluate(work);
    if (stage == "report") {
      work.amount = exactly(1);
      work.unit = "pages";
    }
    if (!config_.classifier.black_box.trained_here()) without_black_box(work);
    return work;
  }

 private:
  // What f costs, if it is no network of ours, is not to be counted here.
  static void without_black_box(StageWork& work) {
    const auto of_f = [](const PassCount& p) { return p.pass == Pass::classifier; };
    const auto removed = std::erase_if(work.passes, of_f) + std::erase_if(work.beside, of_f);
    if (removed > 0) work.in_no_pass = work.in_no_pass.empty() ? "f" : "f, " + work.in_no_pass;
  }

  void tile(StageWork& work) const {
    work.amount = images_.slides;
    work.unit = "slides";
    work.pieces = static_cast<int64_t>(images_.slides.value.value_or(1));
    work.goes_on = true;
  }

  void classifier(StageWork& work) const {
    const auto& c = config_.classifier;
    if (!c.black_box.trained_here()) {
      work.amount = images_.val;
      work.passes = {{Pass::classifier, images_.val}};
      work.pieces = parts(images_.val.value.value_or(1), c.batch);
      return;
    }
    work.amount = trained_images(c, images_.train, "training images");
    work.passes = {{Pass::classifier_step, work.amount}};
    const double epochs = epochs_of(work.amount, c.batch, images_.train.value.value_or(1));
    work.beside = {{Pass::classifier, mapped(
                                          images_.val, [&](double n) { return n * epochs; },
                                          "the validation images, every epoch")}};
    trains(work, c.batch, c.bn_group);
    if (c.patience > 0 && (c.steps > 0 || static_cast<double>(c.patience) < c.epochs))
      work.remark = concatenate("may end earlier: after ", c.patience,
                                " epochs without a better AUC (classifier.patience)");
  }

  void gan(StageWork& work) const {
    const auto& g = config_.gan;
    const auto batch = static_cast<double>(g.batch);
    work.amount = exactly(std::ceil(g.kimg * 1000 / batch) * batch,
                          concatenate(number_words(g.kimg), " kimg, in steps of ", g.batch));
    work.passes = {{Pass::gan_step, work.amount}};
    trains(work, g.batch, g.mbstd_group);
  }

  void encoder(StageWork& work) const {
    const auto& e = config_.encoder;
    const double pairs = static_cast<double>(config_.synthesize.samples) - held_out(config_);
    work.amount = trained_images(e, exactly(pairs), "pairs");
    work.passes = {{Pass::encoder_step, work.amount}};
    work.beside = {
        {Pass::encoder, exactly(held_out(config_) * (1 + epochs_of(work.amount, e.batch, pairs)),
                                "the pairs held out, every epoch and at the end")},
        {Pass::encoder, images_.val},
        {Pass::generator, images_.val}};
    trains(work, e.batch, e.bn_group);
  }

  static void trains(StageWork& work, int64_t batch, int64_t group) {
    work.batch = batch;
    work.pieces = batch / group;
    work.goes_on = true;
  }

  // Every synthetic image through one network.
  void each(StageWork& work, Pass pass, int64_t batch) const {
    const auto samples = static_cast<double>(config_.synthesize.samples);
    work.amount = exactly(samples, "synthesize.samples");
    work.passes = {{pass, work.amount}};
    work.pieces = parts(samples, batch);
  }

  void explain(StageWork& work) const {
    const auto& e = config_.explain;
    const Count& split = e.split == "val" ? images_.val : images_.test;
    const double asked =
        e.indices.empty() ? static_cast<double>(e.images) : static_cast<double>(e.indices.size());
    const double images = std::min(asked, split.value && !split.at_most ? *split.value : asked);
    const double strip = images * static_cast<double>(e.steps);
    work.amount = exactly(images, e.indices.empty() ? "explain.images" : "explain.indices");
    work.passes = {{Pass::generator, exactly(strip)},
                   {Pass::classifier, exactly(strip + images)},
                   {Pass::encoder, exactly(images)}};
    if (e.indices.empty()) work.passes.push_back({Pass::classifier, split});
    work.pieces = static_cast<int64_t>(images);
    const std::string map =
        config_.classifier.black_box.trained_here() ? "GradCAM" : "occlusion maps";
    work.in_no_pass = e.targets.empty() ? map : "the search for explain.targets and " + map;
  }

  void evaluate(StageWork& work) const {
    work.amount = images_.test;
    work.unit = "test images";
    const auto twice = mapped(
        images_.test, [](double n) { return 2 * n; }, "");
    work.passes = {
        {Pass::encoder, images_.test}, {Pass::generator, images_.test}, {Pass::classifier, twice}};
    work.pieces = parts(images_.test.value.value_or(1), config_.evaluate.batch);
    work.of_root = "the bootstraps";
  }

  const Config& config_;
  const KnownImages& images_;
};

}  // namespace

KnownImages known_images(const Config& config, const RunDirectory& directory, bool planned) {
  if (!planned) {
    const auto record = directory.record(config.images);
    return record ? from_record(record->value("metrics", nlohmann::json::object()))
                  : KnownImages{unknown(), unknown(), unknown(), unknown(), unknown()};
  }
  try {
    return config.images == "tile" ? listed_slides(config) : listed_images(config);
  } catch (const Error& error) {
    const auto none = unknown(concatenate(kUntilImages, " (", error.what(), ")"));
    return {none, none, none, none, none};
  }
}

StageWork stage_work(const Config& config, const std::string& stage, const KnownImages& images) {
  return Counter(config, images).of(stage);
}

std::string number_words(double value) {
  char text[64];
  if (std::abs(value) < 100 && value != std::round(value)) {
    std::snprintf(text, sizeof text, "%.3g", value);
    return text;
  }
  std::snprintf(text, sizeof text, "%.0f", value);
  std::string digits = text;
  const size_t first = digits.front() == '-' ? 1 : 0;
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3;
       at > static_cast<std::ptrdiff_t>(first); at -= 3)
    digits.insert(static_cast<size_t>(at), ",");
  return digits;
}

std::string amount_words(double value, const std::string& unit) {
  const bool one = value == 1 && unit.ends_with('s');
  return number_words(value) + " " + (one ? unit.substr(0, unit.size() - 1) : unit);
}

std::string bytes_words(double bytes) {
  constexpr std::array<const char*, 6> units{"B", "KB", "MB", "GB", "TB", "PB"};
  size_t unit = 0;
  for (; bytes >= 999.5 && unit + 1 < units.size(); ++unit) bytes /= 1000;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 || bytes >= 99.95 ? "%.0f %s" : "%.3g %s", bytes,
                units[unit]);
  return text;
}

}  // namespace stylescope
