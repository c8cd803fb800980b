#include "stages/images/census.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"

#include <numeric>
#include <utility>

namespace stylescope {
namespace {

constexpr std::array kSplits{Split::train, Split::val, Split::test};

}  // namespace

Census::Census(std::vector<std::string> label_names) : label_names_(std::move(label_names)) {
  for (auto& labels : labels_) labels.assign(label_names_.size(), 0);
}

void Census::add(const ImageRecord& record) {
  const auto split = static_cast<size_t>(record.split);
  ++labels_[split][static_cast<size_t>(record.label)];
  subjects_[split].insert(record.subject);
  ++images_;
}

int64_t Census::images(Split split, int64_t label) const {
  return labels_[static_cast<size_t>(split)][static_cast<size_t>(label)];
}

nlohmann::json Census::metrics() const {
  nlohmann::json result{{"images", images_}};
  for (const Split s : kSplits) {
    const auto& counts = labels_[static_cast<size_t>(s)];
    for (size_t k = 0; k < counts.size(); ++k)
      result[to_string(s) + "_images_" + label_names_[k]] = counts[k];
    result[to_string(s) + "_images"] = std::accumulate(counts.begin(), counts.end(), int64_t{0});
    result[to_string(s) + "_subjects"] = subjects_[static_cast<size_t>(s)].size();
  }
  return result;
}

void Census::check(const std::string& section) const {
  for (const Split split : kSplits) {
    const auto& counts = labels_[static_cast<size_t>(split)];
    validate(std::accumulate(counts.begin(), counts.end(), int64_t{0}) > 0, section, ".split: the ",
             to_string(split),
             " split gets no images (too few subjects, or a share of 0); give more images or other "
             "shares");
    for (size_t label = 0; label < label_names_.size(); ++label) {
      if (counts[label] > 0) continue;
      validate(split != Split::train, section, ".split: class '", label_names_[label],
               "' has no subject in the training split (too few of them); add images, or leave the "
               "class out");
      log::warn("{}: class '{}' has no subject in the {} split", section, label_names_[label],
                to_string(split));
    }
  }
}

}  // namespace stylescope
