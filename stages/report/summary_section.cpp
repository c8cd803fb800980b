#include "stages/html/page.hpp"
#include "stages/html/text.hpp"
#include "stages/report/sections.hpp"

#include <cmath>

namespace stylescope {
namespace {

using html::escape;
using html::fixed;
using html::percent;

std::string item(const std::string& sentence) { return "<li>" + sentence + "</li>\n"; }

std::string how_well(double auc) {
  if (auc >= 0.95) return "very well";
  if (auc >= 0.85) return "well";
  if (auc >= 0.7) return "moderately well";
  if (auc >= 0.6) return "weakly";
  return auc > 0.5 ? "hardly better than by chance" : "no better than by chance";
}

// Landis and Koch 1977.
std::string how_much(double kappa) {
  if (kappa > 0.8) return "almost perfect";
  if (kappa > 0.6) return "substantial";
  if (kappa > 0.4) return "moderate";
  if (kappa > 0.2) return "fair";
  return "slight at best";
}

// What can be said of an f that was not made here.
std::string black_box_note(const ReportInputs& in) {
  if (in.f_is_own) return "";
  return "<p class=\"note\">The classifier is " + escape(in.about_f) +
         ", which this run has not trained: it is known by its answers alone. So where it looks is "
         "shown by covering patches of the image and asking it again (an occlusion map, not "
         "GradCAM), and images are not compared by its features.</p>\n";
}

std::string question(const std::string& positive) {
  return "<p>A classifier looks at an image and gives the probability of <b>" + positive +
         "</b>. A heat map shows <em>where</em> it looks. This report shows <em>what would have to "
         "change</em> in an image "
         "for the classifier to say something else: a generator, trained on the same kind of "
         "images, redraws the image with "
         "more or less of what the classifier responds to.</p>\n";
}

std::string findings(const ReportInputs& in, const std::string& positive) {
  std::string out = "<h3>What was found</h3>\n<ul class=\"findings\">\n";
  const double auc = in.figure("/f_true_label/auc/value");
  out += item("On " + html::thousands(static_cast<int64_t>(in.figure("/images"))) +
              " test images of " + html::thousands(static_cast<int64_t>(in.figure("/subjects"))) +
              (in.f_is_own ? " subjects, none of which any training has seen, the classifier tells "
                           : " subjects, which no training of this run has seen (what the "
                             "classifier was trained on is not known here), it tells ") +
              positive + " from the rest <b>" + how_well(auc) + "</b>: AUC " +
              interval_text(in, "/f_true_label/auc", 2) +
              ". (1 is perfect, 0.5 is guessing; in brackets the 95 % interval.)");
  out += item(
      "Moving an image along the direction that was found, from the lowest to the highest step, "
      "ended with a higher "
      "probability of " +
      positive + " for <b>" + percent(in.figure("/strips/ends_higher")) + "</b> of the " +
      fixed(in.figure("/strips/images"), 0) +
      " images shown below, and raised it at every step for " +
      percent(in.figure("/strips/rising")) + " of them. On average it went from " +
      percent(in.figure("/strips/mean_lowest")) + " to <b>" +
      percent(in.figure("/strips/mean_highest")) + "</b>" +
      (std::abs(in.figure("/strips/mean_highest") - in.figure("/strips/mean_lowest")) < 0.1
           ? ", which is little: the direction hardly moves this classifier."
           : "."));
  const auto crossing = [&](const char* path, const char* from, const char* to) {
    if (!in.has(path)) return;
    out += item("Of the images whose reconstruction the classifier called " + std::string(from) +
                ", " + percent(in.figure(path)) + " turned " + to + " within the slider's range.");
  };
  crossing("/strips/crossing_up", "negative", "positive");
  crossing("/strips/crossing_down", "positive", "negative");
  if (in.has("/phantom/ratio")) out += item(phantom_verdict(in));
  return out + "</ul>\n";
}

// "" where nothing that is known of the images goes along with the answer beyond chance.
std::string companion(const ReportInputs& in) {
  const std::string path = "/associations/0/within_label";
  const double value = in.figure(path + "/value");
  const bool beyond_chance = in.figure(path + "/low") > 0 || in.figure(path + "/high") < 0;
  if (!beyond_chance || std::abs(value) < 0.2) return "";
  return item("Among test images of the same label, its answer goes along with <b>" +
              escape(in.evaluation["associations"][0].at("attribute").get<std::string>()) +
              "</b> more than with anything else that was recorded (rank correlation " +
              interval_text(in, path, 2) +
              "). If that has nothing to do with the disease, the classifier has learned what it "
              "should not.");
}

std::string limits(const ReportInputs& in) {
  std::string out = "<div class=\"limits\"><h3>How far to trust it</h3>\n<ul class=\"findings\">\n";
  const double same = in.figure("/reconstruction/same_answer");
  const double follows = in.figure("/reconstruction/pearson_logits");
  std::string reconstruction =
      "The generated images start from a reconstruction, which differs from the original by " +
      fixed(in.figure("/reconstruction/mean_absolute_error"), 1) +
      " of 255 grey levels on average. The classifier gives it the same answer as the original "
      "for " +
      percent(same) + " of the test images, and its scores for the two correlate at " +
      fixed(follows, 2) + ". ";
  reconstruction +=
      same >= 0.9 && follows >= 0.8
          ? "What a moved image shows can mostly be read as a change of this very image."
      : same >= 0.75 && follows >= 0.5
          ? "Compare original and reconstruction before reading anything into a moved image."
          : "<b>That is low:</b> read the moved images as what the classifier responds to in "
            "general, not as "
            "this subject's findings.";
  out += item(reconstruction);
  const double kappa = in.figure("/agreement/kappa");
  std::string surrogate =
      "The direction comes from a simple stand-in (a surrogate, f̃) for the classifier. On real "
      "test images the two give the "
      "same answer for " +
      percent(in.figure("/agreement/same_answer"));
  surrogate += std::isfinite(kappa) ? "; beyond chance, the agreement is " + how_much(kappa) +
                                          " (κ = " + fixed(kappa, 2) + ")"
                                    : ", but both call every image the same, so that says nothing";
  out += item(surrogate + ". Against the true label the surrogate reaches an AUC of " +
              interval_text(in, "/surrogate_true_label/auc", 2) + ".");
  if (in.figure("/subjects") < 50)
    out += item("There are only " + fixed(in.figure("/subjects"), 0) +
                " test subjects: the intervals are wide, and chance may still decide.");
  out += companion(in);
  out += item(
      "All of this describes the classifier, not the disease: if the classifier has learned a "
      "shortcut, the images "
      "show the shortcut. That is what they are for.");
  return out + "</ul></div>\n";
}

}  // namespace

std::string interval_text(const ReportInputs& inputs, const std::string& path, int digits) {
  const double value = inputs.figure(path + "/value");
  if (!std::isfinite(value)) return "n/a";
  const double low = inputs.figure(path + "/low"), high = inputs.figure(path + "/high");
  if (!std::isfinite(low) || !std::isfinite(high)) return fixed(value, digits);
  return fixed(value, digits) + " (" + fixed(low, digits) + " to " + fixed(high, digits) + ")";
}

std::string summary_section(const ReportInputs& inputs) {
  const auto positive = escape(html::positive_name(inputs.legend));
  return html::section(
      "summary", "In short",
      question(positive) + black_box_note(inputs) + findings(inputs, positive) + limits(inputs));
}

}  // namespace stylescope
