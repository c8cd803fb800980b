#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

// Numbers in the fields of tables.
namespace stylescope {

// Nothing: the field is no finite number.
inline std::optional<double> number_in(std::string field, bool decimal_comma = false) {
  if (decimal_comma) std::replace(field.begin(), field.end(), ',', '.');
  double value = 0;
  const char* end = field.data() + field.size();
  const auto [stop, error] = std::from_chars(field.data(), end, value);
  if (error != std::errc{} || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

// "12" and "12.0", as programs write it that know a column's gaps by NaN.
inline std::optional<int64_t> whole_number_in(const std::string& field) {
  const auto value = number_in(field);
  if (!value || *value != std::floor(*value) || std::abs(*value) > 1e15) return std::nullopt;
  return static_cast<int64_t>(*value);
}

}  // namespace stylescope
