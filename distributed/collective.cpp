#include "distributed/collective.hpp"

#include <array>

namespace stylescope {

const char* name_of(Collective::Kind kind) {
  constexpr std::array<const char*, 5> names{"barrier", "all_reduce", "broadcast", "all_gather",
                                             "reduce_scatter"};
  return names.at(static_cast<size_t>(kind));
}

const char* name_of(ReduceOp op) {
  constexpr std::array<const char*, 4> names{"sum", "mean", "max", "min"};
  return names.at(static_cast<size_t>(op));
}

std::string describe(Collective::Kind kind, ReduceOp op, int root, torch::ScalarType dtype,
                     int64_t count) {
  using Kind = Collective::Kind;
  std::string text = name_of(kind);
  if (kind == Kind::barrier) return text;
  if (kind == Kind::all_reduce || kind == Kind::reduce_scatter)
    text += std::string(" ") + name_of(op);
  if (kind == Kind::broadcast) text += " from rank " + std::to_string(root);
  return text + " " + torch::toString(dtype) + " x " + std::to_string(count);
}

std::string describe(const Collective& call) {
  if (!call.input.defined()) return name_of(call.kind);
  return describe(call.kind, call.op, call.root, call.input.scalar_type(), call.input.numel());
}

uint64_t fingerprint(const Collective& call, uint64_t sequence) {
  // splitmix64 of each part in turn.
  uint64_t hash = sequence;
  const auto mix = [&hash](uint64_t part) {
    hash += 0x9e3779b97f4a7c15ULL + part;
    hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9ULL;
    hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebULL;
    hash ^= hash >> 31;
  };
  mix(static_cast<uint64_t>(call.kind));
  mix(static_cast<uint64_t>(call.op));
  mix(static_cast<uint64_t>(call.root));
  if (call.input.defined()) {
    mix(static_cast<uint64_t>(call.input.scalar_type()));
    mix(static_cast<uint64_t>(call.input.numel()));
  }
  return hash;
}

}  // namespace stylescope
