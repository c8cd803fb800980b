#include "pipeline/scale_page.hpp"

#include "pipeline/page_parts.hpp"
#include "pipeline/scale_parts.hpp"
#include "stages/html/chart.hpp"
#include "stages/html/page.hpp"
#include "stages/html/text.hpp"

#include <cmath>
#include <map>

namespace stylescope {
namespace {

using html::Series;
using Training = ScaleFindings::Training;

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
    std::vector<std::pair<std::string, StepTimes>> bars;
    const auto add = [&](const std::string& name, const StepTimes& t) {
      bars.emplace_back(name, t);
      rows.push_back({training.name + ", " + name, ms(t.compute), ms(t.exposed), ms(t.waiting),
                      share(t.blocked() / t.step), ms(t.hidden), share(t.hidden_share()),
                      "rank " + std::to_string(t.slowest), ms(t.lag)});
    };
    for (const auto& p : training.points) {
      const auto ranks = std::to_string(p.ranks);
      add(ranks + (p.ranks == 1 ? " rank" : " ranks, weak"), p.weak);
      if (p.ranks > 1) add(ranks + " ranks, strong", p.strong);
    }
    charts += step_bars(training.name, bars);
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
    return html::section(
        "model", "all_reduce and its model",
        html::absent("One rank moves nothing; start more ranks (mpirun -n N, srun)."));
  std::map<int64_t, std::vector<CommPoint>> measured;
  for (const auto& point : findings.all_reduces) measured[point.ranks].push_back(point);
  std::string charts;
  for (const auto& [ranks, points] : measured)
    charts += all_reduce_chart(std::to_string(ranks) + " ranks", points, findings.fit);
  const auto text = findings.fit ? fit_sentence(*findings.fit, "of this run") : "";
  return html::section("model", "all_reduce and its model", text + boxes(charts));
}

}  // namespace

std::string scale_page(const ScaleFindings& findings) {
  return html::page("stylescope: scaling of the training step",
                    "<h1>Scaling of the training step</h1>\n<p class=\"lead\">" +
                        html::escape(findings.subtitle) + "</p>\n" + efficiency_section(findings) +
                        breakdown_section(findings) + model_section(findings) +
                        prediction_section(predictions_of(findings.trainings), findings.assumptions,
                                           "start more ranks (mpirun -n N, srun)"));
}

}  // namespace stylescope
