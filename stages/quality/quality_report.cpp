#include "stages/quality/quality_report.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/picture.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace stylescope {
namespace {

using nlohmann::ordered_json;

// Enough digits to be compared with, and no more.
std::string short_number(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.5g", value);
  return text;
}

std::string exact_number(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.17g", value);
  return std::isfinite(value) ? text : "";
}

// JSON has no word for what is not finite.
ordered_json number(double value) {
  return std::isfinite(value) ? ordered_json(value) : ordered_json();
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

ordered_json figure_json(const QualityFigure& figure, const QualityReport& report) {
  ordered_json row{
      {"name", figure.name()}, {"metric", figure.metric}, {"value", number(figure.value)}};
  if (std::isfinite(figure.deviation)) row["deviation"] = figure.deviation;
  row["features"] = figure.features;
  row["features_sha256"] = report.features_sha256;
  row["images_real"] = figure.real;
  row["images_generated"] = figure.generated;
  row["seed"] = report.seed;
  row["psi"] = report.config.psi;
  row["noise"] = report.config.noise;
  if (!figure.remark.empty()) row["remark"] = figure.remark;
  return row;
}

ordered_json memorisation_json(const MemorisationReport& report) {
  ordered_json out{{"nearer_than_usual", number(report.found.nearer_than_usual)},
                   {"median_distance_to_training", number(report.found.median_distance)},
                   {"median_distance_among_training", number(report.found.median_usual)},
                   {"suspects", ordered_json::array()}};
  for (size_t i = 0; i < report.found.suspects.size(); ++i) {
    const auto& s = report.found.suspects[i];
    out["suspects"].push_back(
        {{"generated", s.generated},
         {"training_row", report.rows[i]},
         {"path", report.records[i].path},
         {"subject", report.records[i].subject},
         {"distance", number(s.distance)},
         {"training_to_training", number(s.usual)},
         {"ratio", number(s.ratio)},
         {"share_of_training_nearer", number(s.quantile)},
         {"pixel_rms", number(report.pixel_difference[static_cast<int64_t>(i)].item<double>())}});
  }
  return out;
}

}  // namespace

MemorisationReport memorisation_report(Memorisation found, GeneratedImages& source,
                                       const ImageSet& images,
                                       const std::vector<int64_t>& real_rows, int64_t batch) {
  MemorisationReport report;
  std::vector<int64_t> samples, next;
  for (const auto& s : found.suspects) {
    samples.push_back(s.generated);
    report.rows.push_back(real_rows[static_cast<size_t>(s.nearest)]);
    next.push_back(real_rows[static_cast<size_t>(s.next)]);
    report.records.push_back(images.record(report.rows.back()));
  }
  std::vector<torch::Tensor> generated;
  for (size_t begin = 0; begin < samples.size(); begin += static_cast<size_t>(batch)) {
    const auto end = std::min(begin + static_cast<size_t>(batch), samples.size());
    generated.push_back(source.pixels({samples.data() + begin, samples.data() + end}));
  }
  report.generated = torch::cat(generated);
  report.nearest = images.read(report.rows);
  report.next = images.read(next);
  report.pixel_difference =
      (report.generated.to(torch::kDouble) - report.nearest.to(torch::kDouble))
          .square()
          .flatten(1)
          .mean(1)
          .sqrt();
  report.found = std::move(found);
  return report;
}

ordered_json to_json(const QualityReport& report) {
  ordered_json out{
      {"format", "stylescope.quality.1"},
      {"generator", {{"file", report.generator}, {"sha256", report.generator_sha256}}},
      {"images", {{"file", report.images}, {"id", report.images_id}, {"split", "train"}}},
      {"features",
       {{"name", report.features},
        {"file", report.features_file},
        {"sha256", report.features_sha256}}},
      {"precision", report.precision},
      {"figures", ordered_json::array()},
      {"warnings", report.result.warnings}};
  for (const auto& figure : report.result.figures)
    out["figures"].push_back(figure_json(figure, report));
  if (report.memorisation) out["memorisation"] = memorisation_json(*report.memorisation);
  return out;
}

std::string quality_table(const QualityReport& report) {
  using Line = std::array<std::string, 5>;
  std::vector<Line> lines{{"figure", "value", "real", "generated", "remark"}};
  for (const auto& f : report.result.figures) {
    std::string value = short_number(f.value);
    if (std::isfinite(f.deviation)) value += " +- " + short_number(f.deviation);
    lines.push_back({f.name(), value, f.real > 0 ? std::to_string(f.real) : "-",
                     std::to_string(f.generated), f.remark});
  }
  std::array<size_t, 5> width{};
  for (const auto& line : lines)
    for (size_t i = 0; i < line.size(); ++i) width[i] = std::max(width[i], line[i].size());
  std::string out;
  for (const auto& line : lines) {
    std::string row;
    for (size_t i = 0; i < line.size(); ++i)
      row += line[i] + std::string(width[i] - line[i].size() + 2, ' ');
    row.erase(row.find_last_not_of(' ') + 1);
    out += row + "\n";
  }
  return out + detail::concatenate("features: ", report.features, " (sha256 ",
                                   report.features_sha256.substr(0, 12), "), seed ", report.seed,
                                   ", psi ", report.config.psi, ", noise ", report.config.noise,
                                   "\n");
}

std::string quality_csv(const QualityReport& report) {
  std::string out =
      "metric,value,deviation,features,features_sha256,images_real,images_generated,seed,psi,noise,"
      "generator_sha256,remark\n";
  for (const auto& f : report.result.figures)
    out += detail::concatenate(f.metric, ",", exact_number(f.value), ",", exact_number(f.deviation),
                               ",", quoted(f.features), ",", report.features_sha256, ",", f.real,
                               ",", f.generated, ",", report.seed, ",", report.config.psi, ",",
                               report.config.noise, ",", report.generator_sha256, ",",
                               quoted(f.remark), "\n");
  return out;
}

torch::Tensor memorisation_sheet(const MemorisationReport& report) {
  constexpr int64_t kColumns = 8;
  const int64_t n = report.generated.size(0);
  std::vector<torch::Tensor> rows;
  for (int64_t first = 0; first < n; first += kColumns) {
    const int64_t last = std::min(first + kColumns, n);
    for (const auto* pictures : {&report.generated, &report.nearest, &report.next}) {
      rows.push_back(pictures->slice(0, first, last));
      const int64_t missing = n > kColumns ? kColumns - (last - first) : 0;
      if (missing > 0) {
        auto shape = pictures->sizes().vec();
        shape[0] = missing;
        rows.push_back(torch::full(shape, 255, torch::kUInt8));
      }
    }
  }
  return tile_grid(torch::cat(rows), std::min(n, kColumns));
}

void write_quality_report(const QualityReport& report, const std::filesystem::path& folder) {
  publish_text(folder / "quality.json", to_json(report).dump(2) + "\n");
  publish_text(folder / "quality.csv", quality_csv(report));
  publish_text(folder / "index.html", quality_page(report));
  if (report.memorisation && !report.memorisation->rows.empty())
    publish_text(folder / "memorisation.png", encode_png(memorisation_sheet(*report.memorisation)));
}

}  // namespace stylescope
