#include "pipeline/page_parts.hpp"

#include "stages/html/text.hpp"

namespace stylescope {

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

}  // namespace stylescope
