#pragma once

#include <limits>
#include <string>
#include <vector>

// Line charts as inline SVG, without scripts; colours come from the page's style sheet (.series-0,
// .series-1, ...).
namespace stylescope::html {

struct Series {
  std::string name;
  std::vector<double> x, y;  // of the same length; points that are not finite interrupt the line
  bool line = true, dots = false;  // a dot at each point
};

struct ChartOptions {
  std::string label;  // what a screen reader says of it
  std::string x_title, y_title;
  double width = 420, height = 240;
  // Range of y; taken from the data where low >= high.
  double y_low = 0, y_high = 0;
  bool y_percent = false;             // ticks of 0..1 as per cent
  bool x_log = false, y_log = false;  // logarithmic; points that are not positive are left out
  bool x_whole = false;               // x counts something: no ticks between whole numbers
  double y_rule = std::numeric_limits<double>::quiet_NaN();  // a dashed line at this y
  bool marker = false;  // a marker that the page's script moves along series 0
  double marker_x = 0;
};

// Long series are thinned to what the width can show. Empty series are left out; without any point
// the chart says so.
std::string line_chart(const std::vector<Series>& series, const ChartOptions& options);

// A bar of parts one after another, of the lengths `parts` (>= 0).
struct Bar {
  std::string name;
  std::vector<double> parts;
};
struct BarOptions {
  std::string label;                    // what a screen reader says of it
  std::vector<std::string> part_names;  // at most four
  std::string x_title;
  double width = 420;
};
// Horizontal bars on a common scale from 0, the legend below.
std::string stacked_bars(const std::vector<Bar>& bars, const BarOptions& options);

}  // namespace stylescope::html
