#include "stages/html/page.hpp"
#include "stages/html/text.hpp"
#include "stages/report/sections.hpp"

#include <cmath>

namespace stylescope {
namespace {

using html::fixed;
using html::percent;

std::string row(const std::string& what, const std::string& value, const std::string& meaning) {
  return "<tr><th scope=\"row\">" + what + "</th><td class=\"n\">" + html::escape(value) +
         "</td><td class=\"note\">" + meaning + "</td></tr>\n";
}

std::string table(const std::string& caption, const std::string& rows) {
  return "<h3>" + caption +
         "</h3>\n<div class=\"wide\"><table><thead><tr><th scope=\"col\">Figure</th><th "
         "scope=\"col\" "
         "class=\"n\">Value (95 % interval)</th><th scope=\"col\">What it "
         "says</th></tr></thead><tbody>\n" +
         rows + "</tbody></table></div>\n";
}

std::string ranking(const ReportInputs& in) {
  std::string rows;
  rows += row("AUC of f against the true label", interval_text(in, "/f_true_label/auc", 3),
              "test images; bootstrap over subjects");
  rows += row("the same, DeLong", interval_text(in, "/f_true_label/delong", 3),
              "takes images of one subject as independent");
  rows += row("AUC of f̃(E(x)) against the true label",
              interval_text(in, "/surrogate_true_label/auc", 3),
              "test images: how much of the label survives encoder and direction");
  rows += row("the same, DeLong", interval_text(in, "/surrogate_true_label/delong", 3), "");
  rows += row("AUC of f̃(w) against f's own answer", interval_text(in, "/surrogate_f_label/auc", 3),
              "held-out synthetic images: how well a straight direction imitates f");
  const double p = in.figure("/comparison/p");
  if (std::isfinite(p))
    rows +=
        row("f less f̃, AUC against the true label",
            html::with_sign(in.figure("/comparison/difference"), 3),
            "paired DeLong test, p " + std::string(p < 0.001 ? "&lt; 0.001" : "= " + fixed(p, 3)));
  return table("Telling the classes apart", rows);
}

std::string trust(const ReportInputs& in) {
  std::string rows;
  rows += row("f and f̃ give the same answer", percent(in.figure("/agreement/same_answer")),
              "test images");
  rows += row("Cohen's κ of f and f̃", fixed(in.figure("/agreement/kappa"), 2),
              "0: no more than by chance, 1: always");
  rows += row("correlation of their logits", fixed(in.figure("/agreement/pearson_logits"), 2),
              "Pearson; rank (Spearman): " + fixed(in.figure("/agreement/spearman"), 2));
  rows += row("reconstruction error", fixed(in.figure("/reconstruction/mean_absolute_error"), 1),
              "mean difference of original and reconstruction, of 255 grey levels; PSNR " +
                  fixed(in.figure("/reconstruction/psnr"), 1) + " dB");
  rows += row("f gives the reconstruction the same answer",
              percent(in.figure("/reconstruction/same_answer")), "test images");
  rows += row("f rises along the whole strip", percent(in.figure("/strips/rising")),
              "explained images");
  return table("Do the explanations explain f?", rows);
}

std::string calibration(const ReportInputs& in) {
  std::string rows;
  for (const auto& [path, name] : {std::pair<std::string, std::string>{"/f_true_label", "f"},
                                   {"/surrogate_true_label", "f̃"}}) {
    rows += row("accuracy of " + name + " at 50 %", percent(in.figure(path + "/accuracy")),
                "test images");
    rows += row("calibration error of " + name, fixed(in.figure(path + "/calibration_error"), 3),
                "0: a stated 80 % is right in 80 of 100 cases; Brier score " +
                    fixed(in.figure(path + "/brier"), 3));
  }
  return table("Can the probabilities be taken at their word?", rows);
}

// "" where nothing but pixels is known of the images.
std::string attributes(const ReportInputs& in) {
  std::string rows;
  const auto count = in.evaluation.value("associations", nlohmann::json::array()).size();
  for (size_t i = 0; i < count; ++i) {
    const auto path = "/associations/" + std::to_string(i);
    const auto& one = in.evaluation["associations"][i];
    rows += row(html::escape(one.at("attribute").get<std::string>()),
                interval_text(in, path + "/within_label", 2),
                html::thousands(one.at("images").get<int64_t>()) +
                    " test images; without regard to the label: " +
                    interval_text(in, path + "/overall", 2));
  }
  if (rows.empty()) return "";
  return table("What goes along with f among images of the same label? (rank correlation)", rows);
}

}  // namespace

std::string metrics_section(const ReportInputs& inputs) {
  return html::section("metrics", "Figures",
                       ranking(inputs) + trust(inputs) + calibration(inputs) + attributes(inputs));
}

}  // namespace stylescope
