#include "pipeline/page_parts.hpp"
#include "pipeline/scale_collection.hpp"
#include "pipeline/scale_parts.hpp"
#include "stages/html/chart.hpp"
#include "stages/html/page.hpp"
#include "stages/html/text.hpp"

#include <algorithm>

namespace stylescope {
namespace {

using html::Series;
using Training = ScaleSummary::Training;
using Figure = double NodeScaling::*;

std::string link(const std::string& place, const std::string& text) {
  return "<a href=\"" + html::escape(place) + "\">" + html::escape(text) + "</a>";
}

std::string list_of(const std::vector<std::string>& html) {
  std::string items;
  for (const auto& item : html) items += "<li>" + item + "</li>\n";
  return "<ul>\n" + items + "</ul>";
}

std::string missing_box(const ScaleCollection& collection) {
  if (collection.missing.empty()) return "";
  std::vector<std::string> items;
  for (const auto& missing : collection.missing)
    items.push_back(html::escape(nodes_text(missing.nodes) + ": " + missing.why) +
                    (missing.log.empty() ? "" : " (log: " + link(missing.log, missing.log) + ")"));
  return "<div class=\"limits\"><h3>Not measured</h3>\n" + list_of(items) + "</div>\n";
}

Series curve(const std::string& name, const std::vector<NodeScaling>& nodes, Figure figure) {
  Series series{name, {}, {}};
  for (const auto& at : nodes) {
    if (at.*figure <= 0) continue;
    series.x.push_back(static_cast<double>(at.nodes));
    series.y.push_back(at.*figure);
  }
  series.dots = true;
  return series;
}

// Few powers of ten would leave the axis without ticks.
void set_axis(html::ChartOptions& options, const std::vector<NodeScaling>& nodes) {
  options.x_title = "nodes";
  options.x_log = nodes.back().nodes >= 20 * nodes.front().nodes;
  options.x_whole = !options.x_log;
}

std::string efficiency_chart(const Training& training, const std::string& scaling, Figure measured,
                             Figure model) {
  html::ChartOptions options;
  options.label = training.name + ": " + scaling + " efficiency by number of nodes";
  set_axis(options, training.nodes);
  options.y_percent = true;
  options.y_low = 0, options.y_high = 1.1;
  options.y_rule = 1;
  return chart_box(training.name + ", " + scaling + " efficiency",
                   html::line_chart({curve("measured", training.nodes, measured),
                                     curve("model", training.nodes, model)},
                                    options));
}

std::string rate_chart(const Training& training) {
  html::ChartOptions options;
  options.label = training.name + ": images a second by number of nodes";
  set_axis(options, training.nodes);
  options.y_title = "images/s";
  for (const auto& at : training.nodes)
    options.y_high = std::max({options.y_high, 1.1 * at.weak_rate, 1.1 * at.strong_rate});
  return chart_box(training.name + ", images a second",
                   html::line_chart({curve("weak", training.nodes, &NodeScaling::weak_rate),
                                     curve("strong", training.nodes, &NodeScaling::strong_rate)},
                                    options));
}

std::string or_dash(double value, const std::string& text) { return value > 0 ? text : "-"; }

std::string scaling_section(const ScaleSummary& summary) {
  std::string charts;
  std::vector<std::vector<std::string>> rows;
  for (const auto& training : summary.trainings) {
    charts += efficiency_chart(training, "weak", &NodeScaling::weak_efficiency,
                               &NodeScaling::weak_model_efficiency) +
              efficiency_chart(training, "strong", &NodeScaling::strong_efficiency,
                               &NodeScaling::strong_model_efficiency) +
              rate_chart(training);
    for (const auto& at : training.nodes)
      rows.push_back({training.name, std::to_string(at.nodes), std::to_string(at.ranks),
                      ms(at.point.weak.step), html::fixed(at.weak_rate, 1),
                      share(at.weak_efficiency), or_dash(at.weak_model, ms(at.weak_model)),
                      ms(at.point.strong.step), html::fixed(at.strong_rate, 1),
                      share(at.strong_efficiency), or_dash(at.strong_model, ms(at.strong_model))});
  }
  return html::section(
      "scaling", "Scaling",
      "<p>Weak: every rank has a batch of its own, and a step should last as long as on the fewest "
      "nodes. Strong: one batch for all. Efficiency is against the fewest nodes, and the model is "
      "that of the all_reduces below.</p>\n" +
          boxes(charts) +
          table({"step", "nodes", "ranks", "weak [ms]", "images/s", "efficiency", "model [ms]",
                 "strong [ms]", "images/s", "efficiency", "model [ms]"},
                rows));
}

std::string breakdown_section(const ScaleSummary& summary) {
  std::string charts;
  for (const auto& training : summary.trainings) {
    std::vector<std::pair<std::string, StepTimes>> steps;
    for (const auto& at : training.nodes) {
      steps.emplace_back(nodes_text(at.nodes) + ", weak", at.point.weak);
      steps.emplace_back(nodes_text(at.nodes) + ", strong", at.point.strong);
    }
    charts += step_bars(training.name, steps);
  }
  return html::section("breakdown", "Where the time of a step goes", boxes(charts));
}

std::string all_reduce_section(const ScaleSummary& summary) {
  if (summary.all_reduces.empty())
    return html::section(
        "all_reduce", "all_reduce and its model",
        html::absent("One rank moves nothing; measure on more nodes, or with more ranks on each."));
  std::string charts;
  std::vector<std::vector<std::string>> rows;
  const auto us = [](double seconds) { return or_dash(seconds, html::fixed(seconds * 1e6, 1)); };
  const auto rate = [](double bytes) { return or_dash(bytes, html::fixed(bytes / 1e9, 2)); };
  for (const auto& at : summary.all_reduces) {
    const auto ranks = std::to_string(at.ranks);
    charts +=
        all_reduce_chart(nodes_text(at.nodes) + ", " + ranks + " ranks", at.points, summary.fit);
    rows.push_back({nodes_text(at.nodes), ranks, html::fixed(at.small_bytes, 0), us(at.latency),
                    us(at.latency_model), html::fixed(at.large_bytes, 0), us(at.seconds),
                    us(at.seconds_model), rate(at.bus_bandwidth), rate(at.bus_bandwidth_model)});
  }
  return html::section(
      "all_reduce", "all_reduce and its model",
      (summary.fit
           ? fit_sentence(*summary.fit, summary.across ? "of two nodes and more" : "of one node")
           : "") +
          boxes(charts) +
          table({"nodes", "ranks", "smallest [B]", "time [us]", "model [us]", "largest [B]",
                 "time [us]", "model [us]", "busbw [GB/s]", "model [GB/s]"},
                rows));
}

std::string runs_section(const ScaleCollection& collection, const ScaleSummary& summary) {
  std::vector<std::string> runs, notes;
  for (const auto& [nodes, run] : collection.runs) {
    std::string hosts;
    for (const auto& host : run.hosts) hosts += (hosts.empty() ? "" : ", ") + host;
    runs.push_back(link(node_count_name(nodes) + "/" + kScalePageFile, nodes_text(nodes)) +
                   html::escape(": " + std::to_string(run.ranks) +
                                (run.ranks == 1 ? " rank on " : " ranks on ") + hosts + ", " +
                                run.time));
  }
  for (const auto& note : summary.notes) notes.push_back(html::escape(note));
  return html::section("runs", "The runs",
                       list_of(runs) + "\n<h3>To bear in mind</h3>\n" + list_of(notes) + "\n");
}

}  // namespace

std::string scale_collection_page(const ScaleCollection& collection, const ScaleSummary& summary) {
  return html::page(
      "stylescope: scaling over nodes",
      "<h1>Scaling over nodes</h1>\n<p class=\"lead\">" + html::escape(summary.subtitle) +
          "</p>\n" + missing_box(collection) + scaling_section(summary) +
          breakdown_section(summary) + all_reduce_section(summary) +
          prediction_section(
              predictions_of(summary.trainings), summary.assumptions,
              "measure on more nodes, or with more ranks on each (--tasks-per-node)") +
          runs_section(collection, summary));
}

}  // namespace stylescope
