#include "pipeline/scale_page.hpp"

#include "stages/html/chart.hpp"
#include "stages/html/page.hpp"
#include "stages/html/text.hpp"

#include <cmath>
#include <map>

namespace stylescope {
namespace {

using html::Series;
using Training = ScaleFindings::Training;

std::string chart_box(const std::string& title, const std::string& chart) {
  return "<div><h4>" + html::escape(title) + "</h4>" + chart + "</div>\n";
}

std::string boxes(const std::string& inner) {
  return "<div class=\"pair\" "
         "style=\"grid-template-columns:repeat(auto-fill,minmax(min(100%,26rem),"
         "1fr));margin:1.2rem 0\">\n" +
         inner + "</div>\n";
}

std::string table(const std::vector<std::string>& heads,
                  const std::vector<std::vector<std::string>>& rows) {
  std::string out = "<div class=\"wide\"><table><thead><tr>";
  for (size_t i = 0; i < heads.size(); ++i)
    out += std::string(i ? "<th class=\"n\">" : "<th>") + html::escape(heads[i]) + "</th>";
  out += "</tr></thead><tbody>\n";
  for (const auto& row : rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i)
      out += std::string(i ? "<td class=\"n\">" : "<td>") + html::escape(row[i]) + "</td>";
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string share(double value) { return html::fixed(100 * value, 1) + " %"; }
std::string ms(double seconds) { return html::fixed(seconds * 1e3, seconds < 0.01 ? 3 : 1); }

template <class Point, class Value>
Series curve(const std::string& name, const std::vector<Point>& points, const Value& value) {
  Series series{name, {}, {}};
  series.dots = true;
  for (const auto& point : points) {
    series.x.push_back(static_cast<double>(point.ranks));
    series.y.push_back(value(point));
  }
  return series;
}

std::string efficiency_chart(const Training& training, bool weak) {
  const double one = training.points.front().weak.step;
  std::vector<Series> series;
  if (weak) {
    series.push_back(curve("against one rank", training.points,
                           [&](const ScalePoint& p) { return one / p.weak.step; }));
    series.push_back(curve("against independent ranks", training.points,
                           [](const ScalePoint& p) { return p.independent / p.weak.step; }));
  } else {
    series.push_back(curve("against one rank", training.points, [&](const ScalePoint& p) {
      return one / (static_cast<double>(p.ranks) * p.strong.step);
    }));
  }
  html::ChartOptions options;
  options.label = training.name + (weak ? ": weak" : ": strong") + " scaling by number of ranks";
  options.x_title = "ranks";
  options.x_whole = true;
  options.y_percent = true;
  options.y_low = 0, options.y_high = 1.1;
  options.y_rule = 1;
  return html::line_chart(series, options);
}

std::string efficiency_section(const ScaleFindings& findings) {
  std::string body =
      "<p>Weak: every rank has a batch of its own, and a step should last as long as on one rank. "
      "Ranks of a host share its memory and its clock: <em>independent ranks</em>, which train "
      "side "
      "by side without a word to each other, show what is left to win. Strong: one batch for "
      "all.</p>\n";
  std::string charts;
  for (const auto& training : findings.trainings)
    charts += chart_box(training.name + ", weak efficiency", efficiency_chart(training, true)) +
              chart_box(training.name + ", strong efficiency", efficiency_chart(training, false));
  std::vector<std::vector<std::string>> rows;
  for (const auto& training : findings.trainings) {
    const double one = training.points.front().weak.step;
    for (const auto& p : training.points) {
      const auto n = static_cast<double>(p.ranks);
      const auto batch = static_cast<double>(training.batch);
      rows.push_back({training.name, std::to_string(p.ranks), ms(p.weak.step),
                      html::fixed(n * batch / p.weak.step, 1), share(one / p.weak.step),
                      share(p.independent / p.weak.step), ms(p.strong.step),
                      html::fixed(batch / p.strong.step, 1), share(one / (n * p.strong.step))});
    }
  }
  return html::section("efficiency", "Scaling",
                       body + boxes(charts) +
                           table({"step", "ranks", "weak [ms]", "images/s", "efficiency",
                                  "of independent", "strong [ms]", "images/s", "efficiency"},
                                 rows));
}

std::string breakdown_section(const ScaleFindings& findings) {
  std::string charts;
  std::vector<std::vector<std::string>> rows;
  for (const auto& training : findings.trainings) {
    std::vector<html::Bar> bars;
    const auto add = [&](const std::string& name, const StepTimes& t) {
      bars.push_back({name, {t.compute * 1e3, t.exposed * 1e3, t.waiting * 1e3}});
      rows.push_back({training.name + ", " + name, ms(t.compute), ms(t.exposed), ms(t.waiting),
                      share(t.blocked() / t.step), ms(t.hidden), share(t.hidden_share()),
                      "rank " + std::to_string(t.slowest), ms(t.lag)});
    };
    for (const auto& p : training.points) {
      const auto ranks = std::to_string(p.ranks);
      add(ranks + (p.ranks == 1 ? " rank" : " ranks, weak"), p.weak);
      if (p.ranks > 1) add(ranks + " ranks, strong", p.strong);
    }
    html::BarOptions options;
    options.label = training.name + ": what the time of a step goes into";
    options.part_names = {"computing", "transfer, exposed", "waiting for late ranks"};
    options.x_title = "milliseconds a step";
    charts += chart_box(training.name, html::stacked_bars(bars, options));
  }
  return html::section(
      "breakdown", "Where the time of a step goes",
      "<p>Exposed: what the rank that waits least spends in a collective. Hidden: transfers while "
      "gradients were still being computed. Late is who computes longest before it enters a "
      "collective; lag is against the median rank.</p>\n" +
          boxes(charts) +
          table({"step", "computing [ms]", "exposed [ms]", "waiting [ms]", "of step", "hidden [ms]",
                 "hidden", "slowest", "lag [ms]"},
                rows));
}

std::string model_section(const ScaleFindings& findings) {
  if (findings.all_reduces.empty())
    return html::section("model", "all_reduce and its model",
                         html::absent("One rank moves nothing; start with mpirun -n N."));
  std::map<int64_t, Series> measured, fitted;
  for (const auto& point : findings.all_reduces) {
    const auto ranks = std::to_string(point.ranks);
    auto& series = measured[point.ranks];
    series.name = ranks + " ranks, measured";
    series.line = false, series.dots = true;
    series.x.push_back(point.bytes);
    series.y.push_back(point.seconds * 1e6);
    if (!findings.fit) continue;
    auto& line = fitted[point.ranks];
    line.name = ranks + " ranks, model";
    line.x.push_back(point.bytes);
    line.y.push_back(all_reduce_seconds(findings.fit->model, point.bytes, point.ranks) * 1e6);
  }
  html::ChartOptions options;
  options.label = "Time of an all_reduce by its size, measured and from the model";
  options.x_title = "bytes";
  options.y_title = "microseconds";
  options.x_log = options.y_log = true;
  std::string charts;
  for (const auto& [ranks, series] : measured) {
    std::vector<Series> both{series};
    if (fitted.contains(ranks)) both.push_back(fitted[ranks]);
    charts += chart_box(std::to_string(ranks) + " ranks", html::line_chart(both, options));
  }
  std::string text;
  if (findings.fit) {
    const auto& fit = *findings.fit;
    text = "<p>Fitted to " + std::to_string(fit.points) + " all_reduces of this run: latency " +
           html::fixed(fit.model.latency * 1e6, 2) + " us, bandwidth " +
           html::fixed(1e-9 / fit.model.seconds_per_byte, 2) +
           " GB/s. Two numbers do not say everything: the model is typically off by a factor of " +
           html::fixed(std::exp(fit.typical_error), 2) + ", at worst by " +
           html::fixed(fit.worst_factor, 2) + ".</p>\n";
  }
  return html::section("model", "all_reduce and its model", text + boxes(charts));
}

std::string prediction_section(const ScaleFindings& findings) {
  std::string charts, list;
  std::vector<std::vector<std::string>> rows;
  for (const auto& training : findings.trainings) {
    if (training.predictions.empty()) continue;
    Series weak{"weak", {}, {}}, strong{"strong", {}, {}};
    for (const auto& p : training.predictions) {
      weak.x.push_back(static_cast<double>(p.nodes));
      strong.x.push_back(static_cast<double>(p.nodes));
      weak.y.push_back(p.weak_efficiency);
      strong.y.push_back(p.strong_efficiency);
      rows.push_back({training.name, std::to_string(p.nodes), std::to_string(p.ranks),
                      ms(p.transfer), ms(p.weak_step), share(p.weak_efficiency), ms(p.strong_step),
                      share(p.strong_efficiency)});
    }
    weak.dots = strong.dots = true;
    html::ChartOptions options;
    options.label = training.name + ": predicted efficiency by number of nodes";
    options.x_title = "nodes";
    options.x_log = true;
    options.y_percent = true;
    options.y_low = 0, options.y_high = 1.1;
    options.y_rule = 1;
    charts += chart_box(training.name + ", predicted efficiency",
                        html::line_chart({weak, strong}, options));
  }
  if (rows.empty())
    return html::section("prediction", "Up to 1024 nodes",
                         html::absent("Nothing is known of the network; start with mpirun -n N, or "
                                      "give --latency-us and --bandwidth-gbs."));
  for (const auto& sentence : findings.assumptions)
    list += "<li>" + html::escape(sentence) + "</li>\n";
  return html::section(
      "prediction", "Up to 1024 nodes",
      boxes(charts) + "<div class=\"limits\"><h3>This is a calculation, and assumes</h3><ul>\n" +
          list + "</ul></div>\n" +
          table({"step", "nodes", "ranks", "transfers [ms]", "weak [ms]", "efficiency",
                 "strong [ms]", "efficiency"},
                rows));
}

}  // namespace

std::string scale_page(const ScaleFindings& findings) {
  return html::page("stylescope: scaling of the training step",
                    "<h1>Scaling of the training step</h1>\n<p class=\"lead\">" +
                        html::escape(findings.subtitle) + "</p>\n" + efficiency_section(findings) +
                        breakdown_section(findings) + model_section(findings) +
                        prediction_section(findings));
}

}  // namespace stylescope
