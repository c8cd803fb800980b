#include "stages/html/chart.hpp"

#include "stages/html/text.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace stylescope::html {
namespace {

constexpr double kLeft = 52, kRight = 14, kTop = 12, kBottom = 40;
constexpr size_t kMostPoints = 300;

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void take(double v) {
    if (!std::isfinite(v)) return;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  bool empty() const { return !(low <= high); }
  void widen() {
    if (low < high) return;
    const double by = low == 0 ? 1 : 0.1 * std::abs(low);
    low -= by, high += by;
  }
};

struct Frame {
  Range x, y;
  double width, height;
  double px(double v) const {
    return kLeft + (v - x.low) / (x.high - x.low) * (width - kLeft - kRight);
  }
  double py(double v) const {
    return height - kBottom - (v - y.low) / (y.high - y.low) * (height - kTop - kBottom);
  }
};

// Round tick values: 1, 2 or 5 times a power of ten apart, about `count` of them.
std::vector<double> ticks(const Range& range, int count) {
  const double raw = (range.high - range.low) / count;
  const double power = std::pow(10, std::floor(std::log10(raw)));
  const double step = (raw / power < 1.5   ? 1
                       : raw / power < 3.5 ? 2
                       : raw / power < 7.5 ? 5
                                           : 10) *
                      power;
  std::vector<double> at;
  for (double v = std::ceil(range.low / step - 1e-9) * step; v <= range.high + 1e-9 * step;
       v += step)
    at.push_back(std::abs(v) < 1e-9 * step ? 0 : v);
  return at;
}

// Of a logarithmic axis, whose range is that of the logarithms: powers of ten, no more than seven.
std::vector<double> decades(const Range& range) {
  std::vector<double> at;
  const double stride = std::max(1.0, std::ceil((range.high - range.low) / 7));
  for (double v = std::ceil(range.low - 1e-9); v <= range.high + 1e-9; v += stride) at.push_back(v);
  return at;
}

std::string number(double v) {
  char text[32];
  if (std::abs(v) >= 1e9)
    std::snprintf(text, sizeof text, "%gG", v / 1e9);
  else if (std::abs(v) >= 1e6)
    std::snprintf(text, sizeof text, "%gM", v / 1e6);
  else if (std::abs(v) >= 1e4)
    std::snprintf(text, sizeof text, "%gk", v / 1e3);
  else
    std::snprintf(text, sizeof text, "%.4g", v);
  return text;
}

std::string text_at(double x, double y, const char* anchor, const std::string& text,
                    const std::string& more = "") {
  return "<text x=\"" + fixed(x, 1) + "\" y=\"" + fixed(y, 1) + "\" text-anchor=\"" + anchor +
         "\"" + more + ">" + escape(text) + "</text>";
}

std::string rule(double x1, double y1, double x2, double y2, const char* css) {
  return "<line class=\"" + std::string(css) + "\" x1=\"" + fixed(x1, 1) + "\" y1=\"" +
         fixed(y1, 1) + "\" x2=\"" + fixed(x2, 1) + "\" y2=\"" + fixed(y2, 1) + "\"/>";
}

std::string axes(const Frame& frame, const ChartOptions& options) {
  std::string svg;
  const double bottom = frame.height - kBottom;
  for (const double v : options.y_log ? decades(frame.y) : ticks(frame.y, 4)) {
    svg += rule(kLeft, frame.py(v), frame.width - kRight, frame.py(v), "grid");
    const double value = options.y_log ? std::pow(10, v) : v;
    svg += text_at(kLeft - 6, frame.py(v) + 4, "end",
                   options.y_percent ? percent(value) : number(value));
  }
  for (const double v : options.x_log ? decades(frame.x) : ticks(frame.x, 6))
    if (!options.x_whole || std::abs(v - std::round(v)) < 1e-6)
      svg +=
          text_at(frame.px(v), bottom + 16, "middle", number(options.x_log ? std::pow(10, v) : v));
  svg += rule(kLeft, bottom, frame.width - kRight, bottom, "axis");
  if (options.y_rule > frame.y.low && options.y_rule < frame.y.high)
    svg += rule(kLeft, frame.py(options.y_rule), frame.width - kRight, frame.py(options.y_rule),
                "rule");
  svg += text_at((kLeft + frame.width - kRight) / 2, frame.height - 6, "middle", options.x_title);
  if (!options.y_title.empty())
    svg += text_at(12, (kTop + bottom) / 2, "middle", options.y_title,
                   " transform=\"rotate(-90 12 " + fixed((kTop + bottom) / 2, 1) + ")\"");
  return svg;
}

std::string path_of(const Series& series, const Frame& frame) {
  std::string path;
  bool pen_down = false;
  const size_t n = series.x.size();
  const size_t stride = std::max<size_t>(1, (n + kMostPoints - 1) / kMostPoints);
  for (size_t i = 0; i < n; i = i + stride < n || i + 1 == n ? i + stride : n - 1) {
    if (!std::isfinite(series.x[i]) || !std::isfinite(series.y[i])) {
      pen_down = false;
      continue;
    }
    const double y = std::clamp(series.y[i], frame.y.low, frame.y.high);
    path += (pen_down ? "L" : "M") + fixed(frame.px(series.x[i]), 1) + " " + fixed(frame.py(y), 1);
    pen_down = true;
  }
  return path;
}

std::string legend(const std::vector<std::string>& names) {
  std::string out = "<div class=\"legend\" aria-hidden=\"true\">";
  for (size_t i = 0; i < names.size(); ++i)
    out +=
        "<span><i class=\"series-" + std::to_string(i) + "\"></i>" + escape(names[i]) + "</span>";
  return out + "</div>";
}

std::string dots_of(const Series& series, const Frame& frame, size_t number) {
  std::string dots;
  for (size_t i = 0; i < series.x.size(); ++i)
    if (std::isfinite(series.x[i]) && std::isfinite(series.y[i]))
      dots += "<circle class=\"dot series-" + std::to_string(number) + "\" r=\"3.2\" cx=\"" +
              fixed(frame.px(series.x[i]), 1) + "\" cy=\"" + fixed(frame.py(series.y[i]), 1) +
              "\"/>";
  return dots;
}

// log10 of what is positive; what is not is left out.
void take_logarithms(std::vector<double>& values) {
  for (double& v : values) v = v > 0 ? std::log10(v) : std::numeric_limits<double>::quiet_NaN();
}

std::string marker(const std::vector<Series>& series, const Frame& frame, double at) {
  const auto& s = series.front();
  size_t i = 0;
  while (i + 1 < s.x.size() && s.x[i] < at) ++i;
  const auto x = fixed(frame.px(s.x[i]), 1), y = fixed(frame.py(s.y[i]), 1);
  return "<line class=\"marker-line\" x1=\"" + x + "\" x2=\"" + x + "\" y1=\"" + fixed(kTop, 1) +
         "\" y2=\"" + fixed(frame.height - kBottom, 1) +
         "\"/><circle class=\"marker-dot\" r=\"6\" cx=\"" + x + "\" cy=\"" + y + "\"/>";
}

}  // namespace

std::string line_chart(const std::vector<Series>& given, const ChartOptions& options) {
  auto series = given;
  for (auto& s : series) {
    if (options.x_log) take_logarithms(s.x);
    if (options.y_log) take_logarithms(s.y);
  }
  Frame frame{{}, {}, options.width, options.height};
  for (const auto& s : series)
    for (size_t i = 0; i < s.x.size(); ++i)
      if (std::isfinite(s.x[i]) && std::isfinite(s.y[i]))
        frame.x.take(s.x[i]), frame.y.take(s.y[i]);
  if (frame.x.empty() || frame.y.empty())
    return "<p class=\"absent\">There is nothing to draw here.</p>";
  if (options.y_low < options.y_high) frame.y = {options.y_low, options.y_high};
  frame.x.widen();
  frame.y.widen();

  std::string svg = "<svg class=\"chart\" role=\"img\" aria-label=\"" + escape(options.label) +
                    "\" viewBox=\"0 0 " + fixed(frame.width, 0) + " " + fixed(frame.height, 0) +
                    "\">";
  svg += axes(frame, options);
  for (size_t i = 0; i < series.size(); ++i) {
    if (series[i].line)
      svg += "<path class=\"line series-" + std::to_string(i) + "\" d=\"" +
             path_of(series[i], frame) + "\"/>";
    if (series[i].dots) svg += dots_of(series[i], frame, i);
  }
  if (options.marker) {
    svg += marker(series, frame, options.marker_x);
    // Where each point of series 0 lies, for the script that moves the marker.
    std::string points;
    for (size_t i = 0; i < series[0].x.size(); ++i)
      points += (i ? " " : "") + fixed(frame.px(series[0].x[i]), 1) + "," +
                fixed(frame.py(series[0].y[i]), 1);
    svg.insert(4, " data-points=\"" + points + "\"");
  }
  svg += "</svg>";
  if (series.size() < 2) return svg;
  std::vector<std::string> names;
  for (const auto& s : series) names.push_back(s.name);
  return svg + legend(names);
}

std::string stacked_bars(const std::vector<Bar>& bars, const BarOptions& options) {
  constexpr double kNames = 118, kBar = 20, kPitch = 30;
  double most = 0;
  for (const auto& bar : bars)
    most = std::max(most, std::accumulate(bar.parts.begin(), bar.parts.end(), 0.0));
  if (most <= 0) return "<p class=\"absent\">There is nothing to draw here.</p>";
  const double bottom = kTop + kPitch * static_cast<double>(bars.size());
  const auto px = [&](double v) { return kNames + v / most * (options.width - kNames - kRight); };
  std::string svg = "<svg class=\"chart\" role=\"img\" aria-label=\"" + escape(options.label) +
                    "\" viewBox=\"0 0 " + fixed(options.width, 0) + " " +
                    fixed(bottom + kBottom, 0) + "\">";
  for (const double v : ticks({0, most}, 5)) {
    svg += rule(px(v), kTop, px(v), bottom, "grid");
    svg += text_at(px(v), bottom + 16, "middle", number(v));
  }
  double y = kTop + (kPitch - kBar) / 2;
  for (const auto& bar : bars) {
    svg += text_at(kNames - 8, y + kBar / 2 + 4, "end", bar.name);
    double begin = 0;
    for (size_t i = 0; i < bar.parts.size(); ++i) {
      const double end = begin + bar.parts[i];
      svg += "<rect class=\"dot series-" + std::to_string(i) + "\" x=\"" + fixed(px(begin), 1) +
             "\" y=\"" + fixed(y, 1) + "\" width=\"" + fixed(px(end) - px(begin), 1) +
             "\" height=\"" + fixed(kBar, 0) + "\"/>";
      begin = end;
    }
    y += kPitch;
  }
  svg += text_at((kNames + options.width - kRight) / 2, bottom + 34, "middle", options.x_title);
  return svg + "</svg>" + legend(options.part_names);
}

}  // namespace stylescope::html
