#pragma once

#include <string>
#include <vector>

// What the pages of the benchmarks are put together from, as HTML.
namespace stylescope {

// A chart below its title, and several of them beside one another.
std::string chart_box(const std::string& title, const std::string& chart);
std::string boxes(const std::string& inner);
// All columns but the first hold numbers. The texts are escaped here.
std::string table(const std::vector<std::string>& heads,
                  const std::vector<std::vector<std::string>>& rows);

std::string share(double value);  // 0.5: "50.0 %"
std::string ms(double seconds);   // milliseconds

}  // namespace stylescope
