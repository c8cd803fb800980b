#pragma once

#include "distributed/collective.hpp"

#include <cstdint>
#include <string>
#include <vector>

// What communication costs, as a formula: fitted to measured all_reduces, and carried on to more
// ranks than there are. Pure functions.
namespace stylescope {

// Bytes on the bus for a byte of the operation's size, as NVIDIA's nccl-tests derive it
// (doc/PERFORMANCE.md): all_reduce 2 (n-1) / n, all_gather and reduce_scatter (n-1) / n, broadcast
// 1, barrier 0.
double bus_factor(Collective::Kind kind, int64_t ranks);

// Hockney's model (1994): a message of S bytes takes latency + S * seconds_per_byte.
struct NetworkModel {
  double latency = 0;           // seconds; > 0
  double seconds_per_byte = 0;  // > 0
};

// The network that a prediction is asked for; 0: as measured.
struct AskedNetwork {
  double latency_us = 0;       // between nodes
  double bandwidth_gbs = 0;    // of a node's link, 10^9 bytes a second
  int64_t ranks_per_node = 0;  // that share it

  bool given() const { return latency_us > 0 || bandwidth_gbs > 0; }
  NetworkModel over(NetworkModel measured) const;
};

// The ways to all_reduce S bytes over n ranks (Thakur, Rabenseifner and Gropp 2005), l = ceil(log2
// n); the arithmetic counts as part of seconds_per_byte.
//   recursive doubling  l messages of S
//   halving, doubling   2 l messages, of 2 S (n-1) / n together (Rabenseifner)
//   ring                2 (n-1) messages of S / n
enum class AllReduceWay { recursive_doubling, halving_doubling, ring };
const char* name_of(AllReduceWay way);

// Seconds; `sharing`: ranks of a node that use its link at the same time. Recursive doubling then
// sends all their copies over it; the other two can be laid out such that each byte goes once.
double all_reduce_seconds(const NetworkModel& network, AllReduceWay way, double bytes,
                          int64_t ranks, int64_t sharing = 1);
// The fastest of the three, which a good library takes; 0 for one rank.
double all_reduce_seconds(const NetworkModel& network, double bytes, int64_t ranks,
                          int64_t sharing = 1);
AllReduceWay fastest_way(const NetworkModel& network, double bytes, int64_t ranks,
                         int64_t sharing = 1);

struct CommPoint {
  double bytes = 0;
  int64_t ranks = 0;
  double seconds = 0;
};
struct NetworkFit {
  NetworkModel model;
  double typical_error = 0;  // root mean square of ln(model / measured): 0.1 is about 10 %
  double worst_factor = 1;   // the largest of model / measured and measured / model
  int64_t points = 0;
};
// Least squares of the logarithmic error (Levenberg and Marquardt on the logarithms of both
// numbers), so that a microsecond counts as a millisecond does. Takes at least two points, of two
// ranks or more each, of different sizes.
NetworkFit fit_network(const std::vector<CommPoint>& points);

// What a training step asks of the machine.
struct StepProfile {
  double compute_seconds = 0;  // of a rank that has the whole batch
  int64_t groups = 1;          // parts that a batch can be dealt in
  double hidden_share = 0;     // of the transfers, while the backward pass runs
  struct Message {
    double bytes = 0, per_step = 0;  // lazy phases: less than once a step
  };
  std::vector<Message> messages;  // all_reduces
};

struct ScalePrediction {
  int64_t nodes = 0, ranks = 0;
  double transfer = 0;                     // seconds of communication in a step
  double weak_exposed = 0, weak_step = 0;  // seconds
  double weak_efficiency = 0;              // step of one rank / step
  double strong_exposed = 0, strong_step = 0;
  double strong_efficiency = 0;  // step of one rank / (ranks * step)
};
// Weak: each rank has a batch of its own. Strong: one batch for all; ranks without a group idle.
// Not more is hidden than kBackwardShare of the computation lasts.
constexpr double kBackwardShare = 2.0 / 3;
ScalePrediction predict(const StepProfile& step, const NetworkModel& network, int64_t nodes,
                        int64_t ranks_per_node);
// The same for `ranks` spread over `nodes` as evenly as it goes: not each has as many.
ScalePrediction predict_ranks(const StepProfile& step, const NetworkModel& network, int64_t nodes,
                              int64_t ranks);
// The above in words, one assumption each. Where the network's two numbers are from: those of this
// run, of another network as the user gave them, of runs on several nodes, or of one on one node
// alone.
enum class NetworkSource { this_run, given, several_nodes, one_node };
std::vector<std::string> assumptions(const NetworkModel& network, int64_t ranks_per_node,
                                     NetworkSource source);

}  // namespace stylescope
