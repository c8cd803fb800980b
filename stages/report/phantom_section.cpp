#include "stages/html/page.hpp"
#include "stages/html/text.hpp"
#include "stages/report/sections.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope {
namespace {

using html::fixed;

struct Bar {
  std::string name, path;
};

// Horizontal bars with whiskers for the intervals.
std::string bars(const ReportInputs& in, const std::vector<Bar>& list) {
  double top = 0;
  for (const auto& bar : list) {
    top = std::max(top, in.figure(bar.path + "/value"));
    if (std::isfinite(in.figure(bar.path + "/high")))
      top = std::max(top, in.figure(bar.path + "/high"));
  }
  if (!(top > 0)) top = 1;
  const double left = 190, width = 640, row_height = 46;
  const auto px = [&](double v) { return fixed(left + v / top * (width - left - 90), 1); };
  std::string svg =
      "<svg class=\"chart\" style=\"max-width:640px\" role=\"img\" aria-label=\"Change of the "
      "cause and of the "
      "nuisance along alpha\" viewBox=\"0 0 640 " +
      fixed(row_height * static_cast<double>(list.size()) + 10, 0) + "\">";
  for (size_t i = 0; i < list.size(); ++i) {
    const double y = 8 + row_height * static_cast<double>(i), middle = y + 15;
    const double value = in.figure(list[i].path + "/value"), low = in.figure(list[i].path + "/low"),
                 high = in.figure(list[i].path + "/high");
    if (!std::isfinite(value)) continue;
    const auto colour = "var(--c" + std::to_string(i) + ")";
    svg += "<text x=\"" + fixed(left - 12, 0) + "\" y=\"" + fixed(middle + 4, 0) +
           "\" text-anchor=\"end\">" + list[i].name + "</text><rect x=\"" + fixed(left, 0) +
           "\" y=\"" + fixed(y, 0) + "\" height=\"30\" rx=\"4\" width=\"" +
           fixed(value / top * (width - left - 90), 1) + "\" style=\"fill:" + colour + "\"/>";
    if (std::isfinite(low) && std::isfinite(high))
      svg += "<line style=\"stroke:var(--ink)\" stroke-width=\"2\" x1=\"" + px(low) + "\" x2=\"" +
             px(high) + "\" y1=\"" + fixed(middle, 0) + "\" y2=\"" + fixed(middle, 0) + "\"/>";
    svg +=
        "<text x=\"" +
        fixed(left +
                  std::max(value, std::isfinite(high) ? high : value) / top * (width - left - 90) +
                  8,
              1) +
        "\" y=\"" + fixed(middle + 4, 0) + "\">" + fixed(value, 2) + " sd</text>";
  }
  return svg + "</svg>\n";
}

// Of evaluation.json's associations; "" where this one is not known.
std::string association_path(const ReportInputs& in, const std::string& attribute) {
  const auto list = in.evaluation.value("associations", nlohmann::json::array());
  for (size_t i = 0; i < list.size(); ++i)
    if (list[i].at("attribute") == attribute)
      return "/associations/" + std::to_string(i) + "/within_label";
  return "";
}

// The marker moves: is it the classifier that answers to it?
std::string about_the_marker(const ReportInputs& in) {
  const auto marker = association_path(in, "nuisance"), joint = association_path(in, "joint_width");
  const double value = in.figure(marker + "/value");
  const bool answers =
      std::abs(value) >= 0.2 && (in.figure(marker + "/low") > 0 || in.figure(marker + "/high") < 0);
  const std::string figures =
      "among test images of the same label, in which the two are independent, its answer goes "
      "along "
      "with the marker at a rank correlation of " +
      interval_text(in, marker, 2) + ", and with the joint space at " + interval_text(in, joint, 2);
  return answers ? "<b>The classifier has learned a shortcut:</b> " + figures + "."
                 : "The classifier does not answer to it (" + figures +
                       "): the generator's training images couple the two.";
}

}  // namespace

std::string phantom_verdict(const ReportInputs& in) {
  const auto moves = in.evaluation.at("phantom").at("moves").get<std::string>();
  const std::string known =
      "These images are drawn, so the true cause is known: the width of the joint space. Along the "
      "direction ";
  const auto by = [&](const char* path) {
    return "<b>" + interval_text(in, path, 2) + "</b> standard deviations";
  };
  if (moves == "neither")
    return known +
           "neither it nor the marker changes by as much as half a standard deviation: the "
           "moved images explain nothing.";
  if (moves == "cause")
    return known + "it changes <b>" + interval_text(in, "/phantom/ratio", 1) +
           " times</b> as much as the marker, which has nothing to do with the label.";
  return known + "the marker in the corner, which has nothing to do with the label, changes by " +
         by("/phantom/nuisance_signed") + " and the joint space by " +
         by("/phantom/causing_signed") + ". " + about_the_marker(in);
}

std::string phantom_section(const ReportInputs& in) {
  if (!in.has("/phantom")) return "";
  std::string body =
      "<p>These images are drawn by a program, so the truth is known: the width of the joint space "
      "causes the "
      "label; the brightness of the marker in the corner does not. Both were measured in the "
      "generated pictures of " +
      fixed(in.figure("/phantom/images"), 0) + " test images, " +
      fixed(in.figure("/phantom/sd"), 1) +
      " standard deviations to either side along the direction. Each change is given in standard "
      "deviations of "
      "that measurement over the real test images.</p>\n";
  body += bars(in, {{"joint space (the cause)", "/phantom/causing"},
                    {"marker (no cause)", "/phantom/nuisance"}});
  body +=
      "<p>" + phantom_verdict(in) + "</p>\n<p>The cause changes " +
      interval_text(in, "/phantom/ratio", 1) +
      " times as much as the marker (mean absolute changes, 95 % interval by bootstrap over "
      "subjects). With its sign, the joint space changes by " +
      html::with_sign(in.figure("/phantom/causing_signed/value"), 2) + " and the marker by " +
      html::with_sign(in.figure("/phantom/nuisance_signed/value"), 2) +
      " standard deviations. In real images the measured width correlates with the drawn one at " +
      fixed(in.figure("/phantom/measured_width_pearson"), 2) + ".</p>\n";
  return html::section("phantom", "Does the direction move the true cause?", body);
}

}  // namespace stylescope
