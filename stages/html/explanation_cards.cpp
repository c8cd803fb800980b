#include "stages/html/explanation_cards.hpp"

#include "stages/html/chart.hpp"
#include "stages/html/heat_picture.hpp"
#include "stages/html/page.hpp"
#include "stages/html/text.hpp"

#include <algorithm>
#include <cmath>

namespace stylescope::html {
namespace {

// Below this side, pictures are enlarged with sharp pixels.
constexpr int64_t kSmallImage = 96;

std::vector<double> numbers(const torch::Tensor& tensor) {
  const auto t = tensor.to(torch::kFloat64).contiguous();
  return {t.data_ptr<double>(), t.data_ptr<double>() + t.numel()};
}

struct Card {
  const ExplanationSet& set;
  const CardLegend& legend;
  int64_t row;
  std::vector<double> lambda = numbers(set.lambda);
  std::vector<double> f = numbers(set.f_strip[row]);
  std::vector<double> surrogate = numbers(set.surrogate_strip[row]);

  double sd(double at) const { return at / legend.lambda_of_one_sd; }
  size_t middle() const { return lambda.size() / 2; }
  std::string id() const { return "image-" + std::to_string(row); }
};

std::string heading(const Card& card) {
  const auto i = static_cast<size_t>(card.row);
  const auto label = card.set.label[card.row].item<int64_t>();
  const auto names = static_cast<int64_t>(card.legend.label_names.size());
  std::string out = "<header><h3>" + escape(card.set.name[i]) + "</h3>";
  if (!card.set.subject[i].empty())
    out += "<span class=\"chip\">subject " + escape(card.set.subject[i]) + "</span>";
  if (label >= 0 && label < names)
    out += "<span class=\"chip\">true label <b>" +
           escape(card.legend.label_names[static_cast<size_t>(label)]) + "</b></span>";
  out += "<span class=\"chip\">classifier <b>" +
         percent(card.set.f_original[card.row].item<double>()) + "</b></span>";
  out += "<span class=\"chip\">on its reconstruction <b>" + percent(card.f[card.middle()]) +
         "</b></span></header>\n";
  return out;
}

// Where the classifier looks: the map as it is laid over the image, and what it is.
struct HeatMap {
  torch::Tensor map;  // (H, W) in [0, 1]
  std::string name, meaning;
};

HeatMap heat_map(const Card& card) {
  const auto map = card.set.heat_map[card.row];
  if (card.set.heat_map_kind == "gradcam") return {map, "GradCAM", "where the classifier looks"};
  const double top = map.max().item<double>();
  return {map / std::max(top, 1e-6), "an occlusion map",
          "where covering a patch changes its answer; brightest: by " + fixed(100 * top, 1) +
              " percentage points"};
}

std::string original(const Card& card) {
  const auto image = card.set.original[card.row];
  const auto heat = heat_map(card);
  return "<figure><div class=\"stack\"><img src=\"" + png_uri(image) +
         "\" alt=\"Original image\"><img class=\"cam\" src=\"" +
         png_uri(overlay_picture(image, heat.map)) + "\" alt=\"Original image with " + heat.name +
         " laid over it\" "
         "hidden></div><figcaption>Original<br><label><input "
         "type=\"checkbox\" class=\"cam-toggle\" autocomplete=\"off\"> show " +
         heat.name + " (" + heat.meaning +
         ")</label>"
         "</figcaption></figure>\n";
}

std::string moving(const Card& card) {
  return "<figure class=\"picture\"><img class=\"moving\" src=\"" +
         png_uri(card.set.reconstruction[card.row]) +
         "\" alt=\"Generated image at lambda 0\"><figcaption>Generated image, moved along α by the "
         "slider</figcaption>"
         "</figure>\n";
}

std::string curve(const Card& card) {
  std::vector<double> x;
  for (const double at : card.lambda) x.push_back(card.sd(at));
  ChartOptions options;
  options.label = "Probability of the classifier f and of the surrogate along lambda";
  options.x_title = "λ (standard deviations along α)";
  options.y_low = 0, options.y_high = 1, options.y_percent = true, options.y_rule = 0.5;
  options.width = 440, options.height = 250;
  options.marker = true, options.marker_x = 0;
  return "<div class=\"curve\">" +
         line_chart({{"classifier f on the generated image", x, card.f},
                     {"surrogate f̃ from w", x, card.surrogate}},
                    options) +
         "</div>\n";
}

std::string control(const Card& card, const std::string& positive) {
  const size_t middle = card.middle();
  const auto last = std::to_string(card.lambda.size() - 1), at = std::to_string(middle);
  return "<div class=\"control\"><span>less " + escape(positive) +
         "</span><input type=\"range\" id=\"" + card.id() + "-slider\" min=\"0\" max=\"" + last +
         "\" step=\"1\" value=\"" + at +
         "\" autocomplete=\"off\" aria-label=\"λ: position along the direction, from less to "
         "more " +
         escape(positive) + "\"><span>more " + escape(positive) +
         "</span></div>\n<p class=\"now\" aria-live=\"polite\">λ = <b><span class=\"now-sd\">" +
         with_sign(card.sd(card.lambda[middle]), 2) +
         "</span> sd</b> (<span class=\"now-lambda\">" + with_sign(card.lambda[middle], 4) +
         "</span> α) · classifier f <b class=\"now-f\">" + percent(card.f[middle]) +
         "</b> · surrogate f̃ <span class=\"now-surrogate\">" + percent(card.surrogate[middle]) +
         "</span></p>\n";
}

std::string film(const Card& card) {
  std::string out = "<div class=\"film\" role=\"group\" aria-label=\"All steps along lambda\">";
  for (size_t i = 0; i < card.lambda.size(); ++i) {
    const auto sd = with_sign(card.sd(card.lambda[i]), 2), f = percent(card.f[i]);
    out += "<button type=\"button\" class=\"frame\" aria-pressed=\"" +
           std::string(i == card.middle() ? "true" : "false") + "\" data-sd=\"" + sd +
           "\" data-lambda=\"" + with_sign(card.lambda[i], 4) + "\" data-f=\"" + escape(f) +
           "\" data-surrogate=\"" + escape(percent(card.surrogate[i])) + "\"><img src=\"" +
           png_uri(card.set.strip[card.row][static_cast<int64_t>(i)]) + "\" alt=\"λ " + sd +
           " sd, classifier " + escape(f) + "\">" + escape(f) + "</button>";
  }
  return out + "</div>\n";
}

std::string difference(const Card& card) {
  const auto map = card.set.difference[card.row];
  const double top = map.max().item<double>();
  return figure(png_uri(heat_picture(map, top)),
                "Difference map: brightest where the image changes most along lambda",
                "What changes between the two ends of the slider; brightest: " + fixed(top, 0) +
                    " of 255 grey levels",
                "picture");
}

std::string targets(const Card& card) {
  std::string out;
  for (int64_t p = 0; p < card.set.target_probability.numel(); ++p) {
    const double lambda = card.set.target_lambda[card.row][p].item<double>();
    const auto asked = percent(card.set.target_probability[p].item<double>());
    if (!std::isfinite(lambda)) {
      out += "<figure><div class=\"missing\">not reached within ±" +
             fixed(card.sd(card.lambda.back()), 1) + " sd</div><figcaption>Classifier at " +
             escape(asked) + "</figcaption></figure>\n";
      continue;
    }
    out += figure(
        png_uri(card.set.targets[card.row][p]), "Image for which the classifier says " + asked,
        "Classifier at " + escape(asked) + ": λ = " + with_sign(card.sd(lambda), 2) +
            " sd, f = " + fixed(100 * card.set.f_targets[card.row][p].item<double>(), 1) + " %",
        "picture");
  }
  return out;
}

std::string card_of(const ExplanationSet& set, const CardLegend& legend, int64_t row,
                    const std::string& positive) {
  const Card card{set, legend, row};
  std::string out = "<article class=\"walk\" id=\"" + card.id() +
                    "\" aria-label=\"Explanation of " + escape(set.name[static_cast<size_t>(row)]) +
                    "\">\n" + heading(card);
  out += "<div class=\"stage\">" + original(card) + moving(card) + curve(card) + "</div>\n";
  out += control(card, positive) + film(card);
  out += "<div class=\"side\">" +
         figure(png_uri(set.reconstruction[row]), "Reconstruction of the original",
                "Reconstruction G(E(x)), λ = 0", "picture") +
         difference(card) + targets(card) + "</div>\n</article>\n";
  return out;
}

}  // namespace

std::string positive_name(const CardLegend& legend) {
  std::string name;
  for (const auto& one : legend.positive) name += (name.empty() ? "" : " or ") + one;
  return name;
}

std::string explanation_cards(const ExplanationSet& set, const CardLegend& legend) {
  const auto positive = positive_name(legend);
  std::string out = set.original.size(-1) < kSmallImage ? "<div class=\"pixels\">\n" : "<div>\n";
  for (int64_t row = 0; row < set.size(); ++row) out += card_of(set, legend, row, positive);
  return out + "</div>\n";
}

}  // namespace stylescope::html
