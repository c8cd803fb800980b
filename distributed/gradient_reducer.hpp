#pragma once

#include "distributed/communicator.hpp"
#include "io/base/fields.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

// Gradients summed over the ranks while the backward pass that makes them still runs: the flat
// buffer is cut into buckets, and each is all-reduced as soon as its last gradient is there.
//
//   reducer.begin();
//   loss_of(first).backward();    // any number of passes add up, without communication
//   reducer.arm();
//   loss_of(last).backward();     // buckets leave as they are ready
//   reducer.finish();             // the flat buffer holds the sum over all ranks
namespace stylescope {

// The section `distributed.reduction` of the configuration.
struct ReducerOptions {
  double bucket_mb = 4;
  std::string wire = "native";

  void describe(Fields& f);
};

// Where buckets begin, ascending, then the number of elements: from parameter sizes in the order of
// registration. Cut at borders between parameters from the last one to the first, each bucket as
// soon as it holds bucket_mb; the first to leave is a quarter of that.
std::vector<int64_t> bucket_borders(const std::vector<int64_t>& parameter_sizes,
                                    int64_t element_size, const ReducerOptions& options);

// What was reduced so far.
struct ReductionFigures {
  double transfer = 0;  // seconds that moving took, from when all ranks had arrived at a bucket
  double exposed = 0;   // seconds that finish() waited: for the transfer, and for slower ranks
  double bytes = 0;     // of this rank, as they go over the wire
  int64_t buckets = 0;

  // The share of the transfer that backward passes hid, 0..1; 1 where nothing was moved.
  double hidden() const;
};

class GradientReducer {
 public:
  // `parameters` in the order of registration, on one device and requiring gradients; `gradients`:
  // one flat buffer of which their .grad are consecutive views, and stay so (checked). `world` must
  // live longer.
  GradientReducer(Communicator& world, const std::vector<torch::Tensor>& parameters,
                  const torch::Tensor& gradients, const ReducerOptions& options = {});
  ~GradientReducer();
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;

  // Where the buckets begin, ascending, then the size of the buffer: 0, ..., size. Laid out once,
  // from the last parameter to the first (the order in which backward makes gradients); every
  // border is one between parameters. Part of a checkpoint: other borders may give other bits.
  std::vector<int64_t> borders() const;
  // Between phases. Throws Error for borders that do not fit the parameters.
  void set_borders(const std::vector<int64_t>& borders);

  // A phase starts: nothing is under way.
  void begin();
  // The next backward pass is the phase's last one. Every rank calls arm() or not as it likes: one
  // that has no samples never runs a backward pass.
  void arm();
  // Reduces what has not left yet (parameters without a gradient in this phase), and waits for all.
  // Collective: as all ranks start the same buckets in the same order, whatever their backward
  // passes did, no other collective may be entered between arm() and finish().
  void finish();

  ReductionFigures figures() const;
  void reset_figures();

 private:
  class State;
  std::shared_ptr<State> state_;  // the hooks share it weakly: they may outlive the reducer
};

}  // namespace stylescope
