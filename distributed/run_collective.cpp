#include "distributed/run_collective.hpp"

#include "io/base/error.hpp"

namespace stylescope {

void run_collective(Communicator& world, const Collective& call) {
  switch (call.kind) {
    case Collective::Kind::barrier:
      return world.barrier();
    case Collective::Kind::all_reduce:
      return world.all_reduce(call.output, call.input, call.op);
    case Collective::Kind::broadcast:
      return world.broadcast(call.output, call.root);
    case Collective::Kind::all_gather:
      return world.all_gather(call.output, call.input);
    case Collective::Kind::reduce_scatter:
      return world.reduce_scatter(call.output, call.input, call.op);
  }
}

std::unique_ptr<Work> start_collective(Communicator& world, const Collective& call) {
  switch (call.kind) {
    case Collective::Kind::barrier:
      break;
    case Collective::Kind::all_reduce:
      return world.all_reduce_async(call.output, call.input, call.op);
    case Collective::Kind::broadcast:
      return world.broadcast_async(call.output, call.root);
    case Collective::Kind::all_gather:
      return world.all_gather_async(call.output, call.input);
    case Collective::Kind::reduce_scatter:
      return world.reduce_scatter_async(call.output, call.input, call.op);
  }
  SS_CHECK(false, "a barrier cannot be started");
  return nullptr;
}

}  // namespace stylescope
