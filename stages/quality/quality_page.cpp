#include "stages/html/page.hpp"
#include "stages/html/text.hpp"
#include "stages/quality/quality_report.hpp"

#include <cmath>
#include <cstdio>

namespace stylescope {
namespace {

using html::escape;

// What a figure says, in a word.
std::string meaning(const std::string& metric) {
  if (metric == "frechet_distance" || metric == "fid")
    return "Distance of the two sets' means and covariances; 0: the same. Depends on the number of "
           "images";
  if (metric == "kernel_distance" || metric == "kid")
    return "Distance of the two sets by a kernel, without bias: about 0 for the same source";
  if (metric == "precision") return "Share of generated images among the real ones; 1: all";
  if (metric == "recall") return "Share of real images among the generated ones; 1: all";
  if (metric == "path_length")
    return "How abruptly images change along W; smaller is smoother, and says nothing of realism";
  return "";
}

std::string title_of(const QualityFigure& figure) {
  const auto& m = figure.metric;
  if (m == "fid") return "FID";
  if (m == "kid") return "KID";
  const std::string name = m == "frechet_distance"  ? "Fr\u00e9chet distance"
                           : m == "kernel_distance" ? "Kernel distance"
                           : m == "path_length"     ? "Path length in W"
                           : m == "precision"       ? "Precision"
                                                    : "Recall";
  return name + " (" + figure.features + ")";
}

std::string short_number(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.4g", value);
  return std::isfinite(value) ? text : "n/a";
}

std::string figures_section(const QualityReport& report) {
  std::string out =
      "<div class=\"wide\"><table><thead><tr><th>Figure</th><th class=\"n\">Value</th><th "
      "class=\"n\">Real</th><th class=\"n\">Generated</th><th class=\"n\">Seed</th><th "
      "class=\"n\">psi</th><th>What it says</th></tr></thead><tbody>\n";
  for (const auto& f : report.result.figures) {
    std::string value = short_number(f.value);
    if (std::isfinite(f.deviation)) value += " &plusmn; " + short_number(f.deviation);
    std::string says = meaning(f.metric);
    if (!f.remark.empty()) says += " (" + f.remark + ")";
    out += "<tr><td>" + escape(title_of(f)) + "</td><td class=\"n\">" + value +
           "</td><td class=\"n\">" + (f.real > 0 ? html::thousands(f.real) : "-") +
           "</td><td class=\"n\">" + html::thousands(f.generated) + "</td><td class=\"n\">" +
           std::to_string(report.seed) + "</td><td class=\"n\">" + short_number(report.config.psi) +
           "</td><td>" + escape(says) + ".</td></tr>\n";
  }
  out += "</tbody></table></div>\n";
  if (!report.result.warnings.empty()) {
    out += "<div class=\"limits\"><h3>Read with care</h3>\n";
    for (const auto& warning : report.result.warnings) out += "<p>" + escape(warning) + ".</p>\n";
    out += "</div>\n";
  }
  return html::section("figures", "Figures", out);
}

std::string picture(const torch::Tensor& pixels, const std::string& words) {
  return html::figure(html::png_uri(pixels), words, escape(words), "picture pixels");
}

std::string suspect_card(const MemorisationReport& report, size_t i) {
  const auto& s = report.found.suspects[i];
  const auto& record = report.records[i];
  const auto at = static_cast<int64_t>(i);
  std::string out = "<div class=\"walk\"><header><h3>Generated image " +
                    std::to_string(s.generated) + "</h3><span class=\"chip\">ratio <b>" +
                    short_number(s.ratio) + "</b></span><span class=\"chip\">" +
                    html::percent(s.quantile) +
                    " of the training images have another one nearer</span></header>\n";
  out += "<div style=\"display:grid;grid-template-columns:repeat(3,minmax(0,14rem));gap:1.1rem\">" +
         picture(report.generated[at], "generated, seed's image " + std::to_string(s.generated)) +
         picture(report.nearest[at],
                 "nearest training image, at " + short_number(s.distance) + ": " + record.path +
                     (record.subject.empty() ? "" : ", subject " + record.subject)) +
         picture(report.next[at],
                 "the training image nearest to that one, at " + short_number(s.usual)) +
         "</div>\n<p class=\"note\">Generated and nearest differ by " +
         html::fixed(report.pixel_difference[at].item<double>(), 1) +
         " grey levels (root mean square).</p></div>\n";
  return out;
}

std::string memorisation_section(const QualityReport& report) {
  if (!report.memorisation) return "";
  const auto& m = *report.memorisation;
  std::string out =
      "<p>Beside each generated image stands the training image that is nearest to it in the "
      "features. A copy lies much nearer than two training images lie to one another: the ratio of "
      "the two distances is far below 1. The most suspicious images come first.</p>\n<ul "
      "class=\"findings\"><li><b>" +
      html::percent(m.found.nearer_than_usual) +
      "</b> of the generated images lie nearer to their nearest training image than that one to "
      "its own nearest. For images as good as new ones from the same source it is about one half; "
      "towards 100 % they are copies.</li><li>Median distance of a generated image to the nearest "
      "training image <b>" +
      short_number(m.found.median_distance) + "</b>; of a training image to the nearest other <b>" +
      short_number(m.found.median_usual) + "</b>.</li></ul>\n";
  for (size_t i = 0; i < m.found.suspects.size(); ++i) out += suspect_card(m, i);
  return html::section("memorisation", "Does it repeat training images?", out);
}

std::string origin(const QualityReport& report) {
  const auto row = [](const std::string& what, const std::string& text) {
    return "<tr><td>" + what + "</td><td><code>" + escape(text) + "</code></td></tr>\n";
  };
  const auto& c = report.config;
  return html::section(
      "origin", "Where this comes from",
      "<div class=\"wide\"><table><tbody>\n" + row("Generator", report.generator) +
          row("its SHA-256", report.generator_sha256) +
          row("Images", report.images + " (training split)") + row("Features", report.features) +
          row("of the file", report.features_file) + row("its SHA-256", report.features_sha256) +
          row("Seed, psi, noise, precision", std::to_string(report.seed) + ", " +
                                                 short_number(c.psi) + ", " + c.noise + ", " +
                                                 report.precision) +
          "</tbody></table></div>\n");
}

}  // namespace

std::string quality_page(const QualityReport& report) {
  const std::string body =
      "<h1>How good is this generator?</h1>\n<p class=\"lead\">Generated images beside the "
      "training images, compared by " +
      escape(report.features) +
      ". Figures are comparable only where features, numbers of images and psi are the "
      "same.</p>\n" +
      figures_section(report) + memorisation_section(report) + origin(report);
  return html::page("stylescope: how good is this generator?", body);
}

}  // namespace stylescope
