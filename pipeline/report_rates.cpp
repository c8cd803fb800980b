#include "io/base/error.hpp"
#include "pipeline/measured_rates.hpp"

#include <algorithm>
#include <cmath>

// Rates and networks from what `bench scale` and `bench comm` printed.
namespace stylescope {
namespace {

using detail::concatenate;
using nlohmann::json;

std::string hosts_words(const json& report) {
  std::string text;
  for (const auto& host : report.value("hosts", json::array()))
    text += (text.empty() ? "" : ", ") + host.get<std::string>();
  return text.empty() ? "" : " on " + text;
}

void take_network(MeasuredRates& rates, const NetworkModel& network, const json& report,
                  const std::string& name) {
  if (rates.network) return;  // the first that is named
  rates.network = network;
  rates.network_how =
      concatenate("latency ", number_words(network.latency * 1e6), " us, ",
                  number_words(1e-9 / network.seconds_per_byte), " GB/s: all_reduces of ",
                  report.value("ranks", int64_t{0}), " ranks", hosts_words(report), ", ", name);
}

double images_a_rank(const json& row) {
  return row.at("batch").get<double>() / row.at("ranks").get<double>();
}

// The row whose ranks have about as many images as ours; of equal ones that with most ranks at
// work, which share a machine's memory. Null: there is none.
const json* nearest_row(const json& rows, double images) {
  const auto distance = [&](const json& row) {
    return std::abs(std::log(images_a_rank(row) / images));
  };
  const json* nearest = nullptr;
  for (const auto& row : rows) {
    if (row.at("name") != "GAN step") continue;
    constexpr double kSame = 1e-9;
    const double nearer = nearest ? distance(*nearest) - distance(row) : 1;
    if (nearer > kSame || (nearer > -kSame && row.at("ranks") >= nearest->at("ranks")))
      nearest = &row;
  }
  return nearest;
}

// Computing time of a rank's share of a step.
PassRate step_rate(const json& row, const json& report, const std::string& name,
                   const OurWork& ours, double wanted) {
  const double images = images_a_rank(row);
  const auto ranks = row.at("ranks").get<int64_t>();
  PassRate rate;
  rate.seconds = row.at("compute").get<double>() * 1e-3 / images;
  rate.device = report.value("device", "").starts_with("cuda") ? "cuda" : "cpu";
  rate.hidden_share = row.value("hidden_share", 0.0) / 100;
  // Exchange between GPUs runs beside the host, and counts as computing there.
  rate.waiting_inside = rate.device == "cuda" && ranks > 1;
  rate.how = concatenate("computing of a step of ", row.at("batch").dump(), " images on ", ranks,
                         ranks == 1 ? " rank (" : " ranks (", row.at("scaling").get<std::string>(),
                         "), ", number_words(images), " each, the row nearest to ",
                         number_words(wanted), " a rank", hosts_words(report), ", ", name);
  if (const auto other = precision_remark(report.value("precision", ""), ours.config);
      !other.empty())
    rate.how += "; " + other;
  if (ours.config.gan.conditional) rate.how += "; measured without classes (gan.conditional)";
  return rate;
}

// The fit of bench scale, and the computing time of its steps where they are those of our networks.
void take_scale(MeasuredRates& rates, const json& report, const std::string& name,
                const OurWork& ours, int source) {
  const json& rows = report.at("rows");
  const json tables = report.value("tables", json::object());
  if (tables.contains("model") && !tables.at("model").at("rows").empty()) {
    const auto& model = tables.at("model").at("rows").at(0);
    take_network(
        rates,
        {model.at("latency").get<double>() * 1e-6, 1e-9 / model.at("bandwidth").get<double>()},
        report, name);
  }
  const json args = report.value("args", json::object());
  const auto sizes = network_sizes(ours.costs.networks());
  const bool gan =
      args.value("gan_parameters", int64_t{0}) ==
          sizes.generator.parameters + sizes.discriminator.parameters &&
      args.value("resolution", int64_t{0}) == ours.costs.networks().generator.resolution;
  if (!gan) {
    rates.notes.push_back(name +
                          ": measured other networks than those of this configuration: only its "
                          "network between the ranks counts (bench scale --config measures yours)");
    return;
  }
  if (rates.passes.contains(Pass::gan_step)) return;
  const auto work = std::ranges::find(ours.stages, "gan", &StageWork::stage);
  const double wanted = work == ours.stages.end() ? static_cast<double>(ours.config.gan.batch)
                                                  : static_cast<double>(ours.images_of_rank(*work));
  const json* row = nearest_row(rows, wanted);
  if (!row) return;
  auto rate = step_rate(*row, report, name, ours, wanted);
  rate.source = source;
  rates.passes[Pass::gan_step] = std::move(rate);
}

void take_comm(MeasuredRates& rates, const json& report, const std::string& name) {
  std::vector<CommPoint> points;
  const auto ranks = report.value("ranks", int64_t{1});
  for (const auto& row : report.at("rows"))
    if (row.at("collective") == "all_reduce" && row.at("in_time").is_number() && ranks > 1)
      points.push_back(
          {row.at("bytes").get<double>(), ranks, row.at("in_time").get<double>() * 1e-6});
  const auto smaller = [](const CommPoint& a, const CommPoint& b) { return a.bytes < b.bytes; };
  const auto [least, most] = std::ranges::minmax_element(points, smaller);
  if (points.size() < 2 || least->bytes == most->bytes)
    throw UsageError(name +
                     ": has no all_reduces of several sizes between two ranks or more; start bench "
                     "comm with mpirun or srun, with the same ranks as the jobs");
  take_network(rates, fit_network(points).model, report, name);
}

}  // namespace

void add_report(MeasuredRates& rates, const json& report, const std::string& name,
                const OurWork& ours) {
  const int source = rates.sources++;
  const std::string kind = report.is_object() ? report.value("benchmark", "") : "";
  if (kind != "scale" && kind != "comm")
    throw UsageError(name +
                     ": is neither a run directory nor what bench scale --json or bench comm "
                     "--json prints; give one of these");
  try {
    if (kind == "scale")
      take_scale(rates, report, name, ours, source);
    else
      take_comm(rates, report, name);
  } catch (const json::exception& error) {
    throw UsageError(name + ": is no whole report of bench " + kind + " (" + error.what() +
                     "); make it again");
  }
}

}  // namespace stylescope
