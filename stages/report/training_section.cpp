#include "io/atomic_file.hpp"
#include "io/metrics_log.hpp"
#include "stages/artifacts.hpp"
#include "stages/html/chart.hpp"
#include "stages/html/page.hpp"
#include "stages/html/text.hpp"
#include "stages/report/sections.hpp"

#include <map>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// What the generator's figures hang on (stages/gan/gan_quality.hpp): no curves, but one sentence.
std::string quality_note(const std::map<std::string, double>& of) {
  if (!of.contains("quality_generated")) return "";
  const auto number = [&](const char* name) {
    return html::thousands(of.contains(name) ? static_cast<int64_t>(of.at(name)) : 0);
  };
  return "<p class=\"note\">Figures with features in brackets, and FID and KID, compare " +
         number("quality_generated") + " generated with " + number("quality_real") +
         " training images (seed " +
         html::fixed(of.contains("quality_seed") ? of.at("quality_seed") : 0, 0) + ").</p>\n";
}

// One chart for each figure in a stage's metrics.jsonl, in the order in which they first come up.
std::string curves(const fs::path& run_dir, const std::string& stage, const std::string& title) {
  const auto file = run_dir / stage / artifacts::metrics_log;
  if (!fs::exists(file))
    return html::absent(title + ": there is no " + std::string(artifacts::metrics_log) +
                        " to draw.");
  std::vector<html::Series> figures;
  std::map<std::string, size_t> known;
  std::map<std::string, double> quality;
  for (const auto& line : read_metrics(file)) {
    const double step = line.value("step", 0.0);
    for (const auto& [name, value] : line.items()) {
      if (name == "step" || !value.is_number()) continue;
      if (name.starts_with("quality_")) {
        quality[name] = value.get<double>();
        continue;
      }
      const auto [at, is_new] = known.emplace(name, figures.size());
      if (is_new) figures.push_back({name, {}, {}});
      figures[at->second].x.push_back(step);
      figures[at->second].y.push_back(value.get<double>());
    }
  }
  std::string out =
      "<details open><summary>" + html::escape(title) + "</summary>\n<div class=\"charts\">\n";
  for (const auto& figure : figures) {
    html::ChartOptions options;
    options.label = title + ": " + figure.name + " by training step";
    options.x_title = "step";
    options.width = 340, options.height = 190;
    out += "<div><h4>" + html::escape(figure.name) + "</h4>" + html::line_chart({figure}, options) +
           "</div>\n";
  }
  return out + "</div>\n" + quality_note(quality) + "</details>\n";
}

std::string grid(const fs::path& file, const std::string& caption) {
  if (!fs::exists(file))
    return html::absent(caption + ": there is no " + file.filename().string() + ".");
  return html::figure(html::png_uri(read_text(file)), caption, html::escape(caption),
                      "picture pixels");
}

std::string not_trained(const ReportInputs& inputs) {
  return html::absent("Classifier f is " + html::escape(inputs.about_f) +
                      " and was not trained here: there are no curves to draw.");
}

}  // namespace

std::string training_section(const ReportInputs& inputs) {
  const auto& run = inputs.run_dir;
  const std::string grids =
      "<h3>Can the generator draw such images?</h3>\n<p>If the generated images do not look like "
      "the real ones, nothing "
      "else in this report can be trusted.</p>\n<div class=\"pair\">" +
      grid(run / artifacts::real_grid, "Real training images") +
      grid(run / artifacts::sample_grid, "Images that the generator makes up") + "</div>\n";
  return html::section(
      "training", "Training",
      grids + (inputs.f_is_own ? curves(run, "classifier", "Classifier f") : not_trained(inputs)) +
          curves(run, "gan", "Generator (StyleGAN2)") + curves(run, "encoder", "Encoder E"));
}

}  // namespace stylescope
