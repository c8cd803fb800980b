#include "pipeline/comm_model.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdio>

namespace stylescope {
namespace {

constexpr std::array kWays{AllReduceWay::recursive_doubling, AllReduceWay::halving_doubling,
                           AllReduceWay::ring};

// seconds = messages * latency + bytes * seconds_per_byte.
struct Cost {
  double messages = 0, bytes = 0;
};

Cost cost_of(AllReduceWay way, double bytes, int64_t ranks, int64_t sharing) {
  SS_CHECK(ranks >= 1 && sharing >= 1, ranks, " ", sharing);
  const auto n = static_cast<double>(ranks);
  const auto rounds = static_cast<double>(std::bit_width(static_cast<uint64_t>(ranks - 1)));
  switch (way) {
    case AllReduceWay::recursive_doubling:
      return {rounds, rounds * bytes * static_cast<double>(sharing)};
    case AllReduceWay::halving_doubling:
      return {2 * rounds, 2 * bytes * (n - 1) / n};
    case AllReduceWay::ring:
      return {2 * (n - 1), 2 * bytes * (n - 1) / n};
  }
  return {};
}

double seconds_of(const NetworkModel& network, const Cost& cost) {
  return cost.messages * network.latency + cost.bytes * network.seconds_per_byte;
}

double square_error(const NetworkModel& network, const std::vector<CommPoint>& points) {
  double sum = 0;
  for (const auto& point : points) {
    const double error =
        std::log(all_reduce_seconds(network, point.bytes, point.ranks) / point.seconds);
    sum += error * error;
  }
  return sum;
}

// One step of Gauss and Newton in (ln latency, ln seconds_per_byte), damped.
NetworkModel improved(const NetworkModel& network, const std::vector<CommPoint>& points,
                      double damping) {
  double aa = damping, ab = 0, bb = damping, ar = 0, br = 0;
  for (const auto& point : points) {
    const auto way = fastest_way(network, point.bytes, point.ranks);
    const Cost cost = cost_of(way, point.bytes, point.ranks, 1);
    const double model = seconds_of(network, cost);
    const double a = cost.messages * network.latency / model;
    const double b = cost.bytes * network.seconds_per_byte / model;
    const double error = std::log(model / point.seconds);
    aa += a * a, ab += a * b, bb += b * b, ar += a * error, br += b * error;
  }
  const double determinant = aa * bb - ab * ab;
  const auto factor = [&](double step) { return std::exp(-std::clamp(step, -2.0, 2.0)); };
  return {network.latency * factor((bb * ar - ab * br) / determinant),
          network.seconds_per_byte * factor((aa * br - ab * ar) / determinant)};
}

double exposed(double transfer, double compute, double hidden_share) {
  return transfer - std::min(hidden_share * transfer, kBackwardShare * compute);
}

template <class... Values>
std::string format(const char* pattern, Values... values) {
  char text[400];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

}  // namespace

double bus_factor(Collective::Kind kind, int64_t ranks) {
  const auto n = static_cast<double>(ranks);
  switch (kind) {
    case Collective::Kind::barrier:
      return 0;
    case Collective::Kind::all_reduce:
      return 2 * (n - 1) / n;
    case Collective::Kind::broadcast:
      return 1;
    case Collective::Kind::all_gather:
    case Collective::Kind::reduce_scatter:
      return (n - 1) / n;
  }
  return 0;
}

const char* name_of(AllReduceWay way) {
  constexpr std::array<const char*, 3> names{"recursive doubling", "halving and doubling", "ring"};
  return names.at(static_cast<size_t>(way));
}

double all_reduce_seconds(const NetworkModel& network, AllReduceWay way, double bytes,
                          int64_t ranks, int64_t sharing) {
  return seconds_of(network, cost_of(way, bytes, ranks, sharing));
}

AllReduceWay fastest_way(const NetworkModel& network, double bytes, int64_t ranks,
                         int64_t sharing) {
  return *std::min_element(kWays.begin(), kWays.end(), [&](AllReduceWay a, AllReduceWay b) {
    return all_reduce_seconds(network, a, bytes, ranks, sharing) <
           all_reduce_seconds(network, b, bytes, ranks, sharing);
  });
}

double all_reduce_seconds(const NetworkModel& network, double bytes, int64_t ranks,
                          int64_t sharing) {
  const auto way = fastest_way(network, bytes, ranks, sharing);
  return all_reduce_seconds(network, way, bytes, ranks, sharing);
}

NetworkModel AskedNetwork::over(NetworkModel measured) const {
  if (latency_us > 0) measured.latency = latency_us * 1e-6;
  if (bandwidth_gbs > 0) measured.seconds_per_byte = 1e-9 / bandwidth_gbs;
  return measured;
}

NetworkFit fit_network(const std::vector<CommPoint>& points) {
  SS_CHECK(points.size() >= 2, points.size(), " points");
  for (const auto& point : points)
    SS_CHECK(point.ranks >= 2 && point.bytes > 0 && point.seconds > 0, point.ranks, " ranks, ",
             point.bytes, " bytes, ", point.seconds, " s");
  const auto smaller = [](const CommPoint& a, const CommPoint& b) { return a.bytes < b.bytes; };
  const auto [least, most] = std::minmax_element(points.begin(), points.end(), smaller);
  SS_CHECK(least->bytes < most->bytes, "all points are of ", most->bytes, " bytes");

  // From what the smallest and the largest message say by themselves.
  NetworkFit fit;
  fit.model = {least->seconds, most->seconds / most->bytes};
  double error = square_error(fit.model, points), damping = 1e-3;
  for (int i = 0; i < 200 && damping < 1e12; ++i) {
    const auto next = improved(fit.model, points, damping);
    const double smaller_error = square_error(next, points);
    if (smaller_error < error) {
      fit.model = next;
      error = smaller_error;
      damping = std::max(damping / 10, 1e-12);
    } else {
      damping *= 10;
    }
  }
  fit.points = static_cast<int64_t>(points.size());
  fit.typical_error = std::sqrt(error / static_cast<double>(points.size()));
  for (const auto& point : points) {
    const double model = all_reduce_seconds(fit.model, point.bytes, point.ranks);
    fit.worst_factor = std::max({fit.worst_factor, model / point.seconds, point.seconds / model});
  }
  return fit;
}

ScalePrediction predict(const StepProfile& step, const NetworkModel& network, int64_t nodes,
                        int64_t ranks_per_node) {
  return predict_ranks(step, network, nodes, nodes * ranks_per_node);
}

ScalePrediction predict_ranks(const StepProfile& step, const NetworkModel& network, int64_t nodes,
                              int64_t ranks) {
  SS_CHECK(step.compute_seconds > 0 && step.groups > 0 && nodes > 0 && ranks > 0);
  ScalePrediction p;
  p.nodes = nodes;
  p.ranks = ranks;
  const int64_t sharing = (ranks + nodes - 1) / nodes;  // a link: on the fullest node
  for (const auto& message : step.messages)
    p.transfer += message.per_step * all_reduce_seconds(network, message.bytes, ranks, sharing);
  const double one = step.compute_seconds;
  p.weak_exposed = exposed(p.transfer, one, step.hidden_share);
  p.weak_step = one + p.weak_exposed;
  p.weak_efficiency = one / p.weak_step;
  // The rank that is dealt most.
  const auto largest = static_cast<double>((step.groups + p.ranks - 1) / p.ranks);
  const double part = one * largest / static_cast<double>(step.groups);
  p.strong_exposed = exposed(p.transfer, part, step.hidden_share);
  p.strong_step = part + p.strong_exposed;
  p.strong_efficiency = one / (static_cast<double>(p.ranks) * p.strong_step);
  return p;
}

std::vector<std::string> assumptions(const NetworkModel& network, int64_t ranks_per_node,
                                     NetworkSource source) {
  constexpr std::array<const char*, 4> from{
      "as fitted to the all_reduces of this run: a network between nodes may be another "
      "(--latency-us, --bandwidth-gbs)",
      "as given; links do not share a bottleneck",
      "as fitted to the all_reduces above; with more nodes links do not share a bottleneck",
      "as fitted to the all_reduces within one node: a network between nodes is another "
      "(--latency-us, --bandwidth-gbs)"};
  return {
      format("%lld rank%s on each node, and nodes like this one",
             static_cast<long long>(ranks_per_node), ranks_per_node == 1 ? "" : "s"),
      format("a message between any two ranks takes %.3g us and 1 byte in %.3g GB/s, %s",
             network.latency * 1e6, 1e-9 / network.seconds_per_byte,
             from.at(static_cast<size_t>(source))),
      "each all_reduce goes the fastest of three ways: recursive doubling (l messages of S), "
      "halving and doubling (2 l messages, 2 S (n-1)/n bytes), ring (2 (n-1) messages of S/n), l = "
      "ceil(log2 n)",
      format("of the transfers that share is hidden that was measured here, at most %.0f %% of the "
             "computing time (the backward pass)",
             100 * kBackwardShare),
      "weak: every rank has the batch that was measured; strong: one batch for all, dealt in whole "
      "groups, computing time in proportion to a rank's images; ranks without a group idle",
      "no rank is late: stragglers, reading of data and checkpoints are not in it"};
}

}  // namespace stylescope
