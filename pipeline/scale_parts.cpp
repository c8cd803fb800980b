#include "pipeline/scale_parts.hpp"

#include "pipeline/page_parts.hpp"
#include "stages/html/chart.hpp"
#include "stages/html/page.hpp"
#include "stages/html/text.hpp"

#include <cmath>

namespace stylescope {

BenchTable model_table(const NetworkFit& fit) {
  BenchTable table{
      "model", "Model: latency and bandwidth, fitted to the all_reduces below", {}, {}};
  table.columns = {{"latency", "latency", "us"},
                   {"bandwidth", "bandwidth", "GB/s"},
                   {"typical_error", "typically off by", "%"},
                   {"worst_factor", "at worst by a factor of", ""},
                   {"points", "points", ""}};
  table.rows.push_back({{"latency", fit.model.latency * 1e6},
                        {"bandwidth", 1e-9 / fit.model.seconds_per_byte},
                        {"typical_error", 100 * (std::exp(fit.typical_error) - 1)},
                        {"worst_factor", fit.worst_factor},
                        {"points", fit.points}});
  return table;
}

BenchTable prediction_table(const NamedPredictions& all) {
  BenchTable table{"prediction", "Prediction", {}, {}};
  table.columns = {{"name", "step", ""},
                   {"nodes", "nodes", ""},
                   {"ranks", "ranks", ""},
                   {"transfer", "transfers", "ms"},
                   {"weak_time", "weak", "ms"},
                   {"weak_efficiency", "efficiency", "%"},
                   {"strong_time", "strong", "ms"},
                   {"strong_efficiency", "efficiency", "%"}};
  for (const auto& [name, predictions] : all)
    for (const auto& p : predictions)
      table.rows.push_back({{"name", name},
                            {"nodes", p.nodes},
                            {"ranks", p.ranks},
                            {"transfer", p.transfer * 1e3},
                            {"weak_time", p.weak_step * 1e3},
                            {"weak_efficiency", 100 * p.weak_efficiency},
                            {"strong_time", p.strong_step * 1e3},
                            {"strong_efficiency", 100 * p.strong_efficiency}});
  return table;
}

std::string prediction_section(const NamedPredictions& all, const std::vector<std::string>& assumed,
                               const std::string& advice) {
  std::string charts, list;
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, predictions] : all) {
    if (predictions.empty()) continue;
    html::Series weak{"weak", {}, {}}, strong{"strong", {}, {}};
    for (const auto& p : predictions) {
      weak.x.push_back(static_cast<double>(p.nodes));
      strong.x.push_back(static_cast<double>(p.nodes));
      weak.y.push_back(p.weak_efficiency);
      strong.y.push_back(p.strong_efficiency);
      rows.push_back({name, std::to_string(p.nodes), std::to_string(p.ranks), ms(p.transfer),
                      ms(p.weak_step), share(p.weak_efficiency), ms(p.strong_step),
                      share(p.strong_efficiency)});
    }
    weak.dots = strong.dots = true;
    html::ChartOptions options;
    options.label = name + ": predicted efficiency by number of nodes";
    options.x_title = "nodes";
    options.x_log = true;
    options.y_percent = true;
    options.y_low = 0, options.y_high = 1.1;
    options.y_rule = 1;
    charts += chart_box(name + ", predicted efficiency", html::line_chart({weak, strong}, options));
  }
  if (rows.empty())
    return html::section("prediction", "Up to 1024 nodes",
                         html::absent("One rank exchanges nothing, and what a step would send is "
                                      "not known; " +
                                      advice + "."));
  for (const auto& sentence : assumed) list += "<li>" + html::escape(sentence) + "</li>\n";
  return html::section(
      "prediction", "Up to 1024 nodes",
      boxes(charts) + "<div class=\"limits\"><h3>This is a calculation, and assumes</h3><ul>\n" +
          list + "</ul></div>\n" +
          table({"step", "nodes", "ranks", "transfers [ms]", "weak [ms]", "efficiency",
                 "strong [ms]", "efficiency"},
                rows));
}

std::string step_bars(const std::string& title,
                      const std::vector<std::pair<std::string, StepTimes>>& steps) {
  std::vector<html::Bar> bars;
  for (const auto& [name, t] : steps)
    bars.push_back({name, {t.compute * 1e3, t.exposed * 1e3, t.waiting * 1e3}});
  html::BarOptions options;
  options.label = title + ": what the time of a step goes into";
  options.part_names = {"computing", "transfer, exposed", "waiting for late ranks"};
  options.x_title = "milliseconds a step";
  return chart_box(title, html::stacked_bars(bars, options));
}

std::string all_reduce_chart(const std::string& title, const std::vector<CommPoint>& points,
                             const std::optional<NetworkFit>& fit) {
  const auto ranks = std::to_string(points.at(0).ranks);
  html::Series measured{ranks + " ranks, measured", {}, {}};
  html::Series model{ranks + " ranks, model", {}, {}};
  measured.line = false, measured.dots = true;
  for (const auto& point : points) {
    measured.x.push_back(point.bytes);
    measured.y.push_back(point.seconds * 1e6);
    if (!fit) continue;
    model.x.push_back(point.bytes);
    model.y.push_back(all_reduce_seconds(fit->model, point.bytes, point.ranks) * 1e6);
  }
  html::ChartOptions options;
  options.label = "Time of an all_reduce by its size, measured and from the model";
  options.x_title = "bytes";
  options.y_title = "microseconds";
  options.x_log = options.y_log = true;
  return chart_box(title, html::line_chart({measured, model}, options));
}

std::string fit_sentence(const NetworkFit& fit, const std::string& source) {
  return "<p>Fitted to " + std::to_string(fit.points) + " all_reduces " + source + ": latency " +
         html::fixed(fit.model.latency * 1e6, 2) + " us, bandwidth " +
         html::fixed(1e-9 / fit.model.seconds_per_byte, 2) +
         " GB/s. Two numbers do not say everything: the model is typically off by a factor of " +
         html::fixed(std::exp(fit.typical_error), 2) + ", at worst by " +
         html::fixed(fit.worst_factor, 2) + ".</p>\n";
}

}  // namespace stylescope
