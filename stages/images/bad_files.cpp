#include "stages/images/bad_files.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"

#include <algorithm>
#include <cstdio>

namespace stylescope {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

void write_bad_files(const std::filesystem::path& file, const std::vector<BadFile>& bad) {
  std::string text = "path,reason\n";
  for (const auto& b : bad) text += csv_field(b.path) + "," + csv_field(b.reason) + "\n";
  publish_text(file, text);
}

std::string reason_without_file(const std::string& message, const std::string& path) {
  const size_t at = message.find(path + ": ");
  return at == std::string::npos ? message : message.substr(at + path.size() + 2);
}

void check_bad_share(const BadShare& share, const std::vector<BadFile>& bad, int64_t listed,
                     const std::string& list) {
  const double found = static_cast<double>(bad.size()) / static_cast<double>(listed);
  if (bad.empty() || found <= share.allowed) return;
  char percent[128];
  std::snprintf(percent, sizeof percent, "%.3g %%, more than %s, %.3g %%", 100 * found,
                share.key.c_str(), 100 * share.allowed);
  std::string first;
  for (size_t i = 0; i < std::min<size_t>(3, bad.size()); ++i)
    first += (i ? "; " : "") + bad[i].path + ": " + bad[i].reason;
  throw Error(detail::concatenate(share.where, ": ", bad.size(), " of ", listed, " ", share.what,
                                  " cannot be used (", percent, "): ", first,
                                  bad.size() > 3 ? "; ..." : "", "; mend or remove them: ", list,
                                  " lists them all"));
}

}  // namespace stylescope
