#include "stages/audit/image_audit.hpp"

#include "io/base/error.hpp"
#include "io/log.hpp"
#include "stages/audit/audit_files.hpp"

#include <algorithm>
#include <set>

namespace stylescope {
namespace {

std::string pair_words(const NearPair& pair, const std::vector<ImageRecord>& records) {
  const auto& a = records.at(static_cast<size_t>(pair.a));
  const auto& b = records.at(static_cast<size_t>(pair.b));
  return place_of(a) + " (" + to_string(a.split) + ") and " + place_of(b) + " (" +
         to_string(b.split) + "), correlation " + correlation_text(pair);
}

std::string problem(const AuditedSet& set, const NearDuplicates& found,
                    const std::filesystem::path& out_dir) {
  std::string pairs;
  for (size_t i = 0; i < std::min<size_t>(3, found.pairs.size()); ++i)
    pairs += (i ? "; " : "") + pair_words(found.pairs[i], set.records);
  if (found.pairs.size() > 3) pairs += "; ...";
  return detail::concatenate(
      set.where, ": ", found.cut ? "at least " : "", found.pairs.size(),
      found.pairs.size() == 1 ? " pair" : " pairs",
      " of images of different splits are nearly the same (what was trained on would be tested "
      "on): ",
      pairs, "; ", (out_dir / "audit.png").string(), " shows them and audit.csv lists them all",
      set.names_file.empty() ? "" : " (" + set.names_file + " says which pictures these are)");
}

// Of train the image of train, of val and test the one of val: test stays as it is.
std::vector<int64_t> rows_to_leave_out(const NearDuplicates& found) {
  std::set<int64_t> rows;
  for (const auto& pair : found.pairs) rows.insert(pair.a);
  return {rows.begin(), rows.end()};
}

}  // namespace

AuditOutcome audit_images(const AuditedSet& set, const AuditConfig& config,
                          const std::filesystem::path& out_dir) {
  SS_CHECK(set.prints.size() == set.records.size());
  AuditOutcome outcome;
  if (!config.on()) return outcome;
  std::vector<Split> splits;
  for (const auto& record : set.records) splits.push_back(record.split);
  const auto found = find_near_duplicates(set.prints, splits, set.read, config);
  if (config.near_duplicates == "drop") outcome.left_out = rows_to_leave_out(found);
  write_audit_csv(out_dir / "audit.csv", found, set.records, set.label_names,
                  {outcome.left_out.begin(), outcome.left_out.end()});
  write_audit_picture(out_dir / "audit.png", found, set.read);
  outcome.metrics = {{"near_duplicates", found.pairs.size()},
                     {"near_duplicates_left_out", outcome.left_out.size()},
                     {"even_images", found.even}};
  if (found.even > 0)
    log::info("{}: {} images have nothing on them ({}.min_contrast) and were not compared",
              set.where, found.even, set.key);
  const bool gone_on = config.near_duplicates == "drop" && !found.cut;
  if (found.pairs.empty()) return outcome;
  const std::string text = problem(set, found, out_dir);
  validate(config.near_duplicates == "warn" || gone_on, text,
           "; give all copies of an image one split, or set ", set.key, ".near_duplicates: ",
           set.can_leave_out ? "drop (leaves the training image out), warn or off" : "warn or off");
  if (gone_on)
    log::warn("{}; {} training images (of val and test: val's) were left out", text,
              outcome.left_out.size());
  else
    log::warn("{}", text);
  return outcome;
}

}  // namespace stylescope
