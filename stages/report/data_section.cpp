#include "stages/html/page.hpp"
#include "stages/html/text.hpp"
#include "stages/report/sections.hpp"

#include <array>
#include <set>

namespace stylescope {
namespace {

struct SplitCounts {
  std::vector<int64_t> by_label;
  std::set<std::string> subjects;
  int64_t images = 0;
};

std::string row(const std::string& name, const SplitCounts& counts) {
  std::string out = "<tr><th scope=\"row\">" + html::escape(name) + "</th><td class=\"n\">" +
                    html::thousands(static_cast<int64_t>(counts.subjects.size())) +
                    "</td><td class=\"n\">" + html::thousands(counts.images) + "</td>";
  for (const auto n : counts.by_label) out += "<td class=\"n\">" + html::thousands(n) + "</td>";
  return out + "</tr>\n";
}

// Where tiles come from, and how much of a slide they show; "" for pictures.
std::string slides_sentence(const ImageSet& images) {
  std::set<std::string> slides;
  for (int64_t i = 0; i < images.size(); ++i)
    if (!images.record(i).slide.empty()) slides.insert(images.record(i).slide);
  if (slides.empty()) return "";
  std::string text = " They are tiles of " + html::thousands(static_cast<int64_t>(slides.size())) +
                     " whole-slide images";
  const auto& attributes = images.record(0).attributes;
  if (attributes.contains("mpp_x")) {
    const double mpp = attributes.at("mpp_x");
    text += ", " + html::fixed(mpp, 3) + " µm a pixel, " +
            html::fixed(mpp * static_cast<double>(images.width()), 1) + " µm across";
  }
  return text + ".";
}

// What reading the inputs and comparing the splits found.
std::string audit_sentence(const nlohmann::json& metrics) {
  const auto count = [&](const char* key) {
    return metrics.contains(key) && metrics.at(key).is_number() ? metrics.at(key).get<int64_t>()
                                                                : int64_t{0};
  };
  std::string text;
  if (const auto bad = count("bad_files"); bad > 0)
    text += " " + html::thousands(bad) + (bad == 1 ? " picture" : " pictures") +
            " could not be used (bad_files.csv lists them).";
  if (!metrics.contains("near_duplicates"))
    return text + " Images of different splits were not compared with one another.";
  const auto pairs = count("near_duplicates"), gone = count("near_duplicates_left_out");
  if (pairs == 0) return text + " No image is nearly the same as one of another split.";
  text += " " + html::thousands(pairs) + (pairs == 1 ? " pair" : " pairs") +
          " of images of different splits were nearly the same";
  return text + (gone > 0 ? ": " + html::thousands(gone) +
                                (gone == 1 ? " image was left out." : " images were left out.")
                          : ", and stayed in: <b>figures may be too good</b> (audit.csv lists "
                            "them).");
}

}  // namespace

std::string data_section(const ReportInputs& inputs) {
  const auto& images = inputs.images;
  const size_t labels = images.label_names().size();
  std::array<SplitCounts, 3> splits;
  SplitCounts total;
  total.by_label.resize(labels);
  for (auto& split : splits) split.by_label.resize(labels);
  for (int64_t i = 0; i < images.size(); ++i) {
    const auto& record = images.record(i);
    for (auto* counts : {&splits[static_cast<size_t>(record.split)], &total}) {
      ++counts->images;
      ++counts->by_label[static_cast<size_t>(record.label)];
      counts->subjects.insert(record.subject);
    }
  }
  std::string table =
      "<div class=\"wide\"><table><thead><tr><th scope=\"col\">Split</th><th scope=\"col\" "
      "class=\"n\">Subjects"
      "</th><th scope=\"col\" class=\"n\">Images</th>";
  for (const auto& name : images.label_names())
    table += "<th scope=\"col\" class=\"n\">" + html::escape(name) + "</th>";
  table += "</tr></thead><tbody>\n" + row("Training", splits[0]) + row("Validation", splits[1]) +
           row("Test", splits[2]) + row("All", total) + "</tbody></table></div>\n";
  const auto size = std::to_string(images.width()) + " × " + std::to_string(images.height());
  return html::section("data", "Data set",
                       "<p>Images of " + size + " pixels, " +
                           (images.channels() == 1 ? "grey" : "colour") + "." +
                           slides_sentence(images) +
                           " A subject's images are all in one split; the test split was used for "
                           "this report alone." +
                           audit_sentence(inputs.images_metrics) + "</p>\n" + table);
}

}  // namespace stylescope
