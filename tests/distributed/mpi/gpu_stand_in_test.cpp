// The stand-in finds what NCCL and CUDA forbid: else nothing would follow from its silence.
#include "tests/support/gpu_stand_in.hpp"

#include "io/base/error.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::GpuStandIn;
using testing_support::world;
using Progress = GpuFunctions::Progress;
using Texts = std::vector<std::string>;

class GpuStandInTest : public testing::Test {
 protected:
  GpuStandInTest() : stand_in(world()), gpu(stand_in.functions()) {
    auto id = gpu.unique_id();
    comm = gpu.comm_init(world().size(), world_id(id), world().rank());
    stream = gpu.stream_create();
    event = gpu.event_create(false);
  }
  GpuFunctions::UniqueId world_id(GpuFunctions::UniqueId mine) {
    const auto id = world().broadcast(std::string(mine.begin(), mine.end()), 0);
    std::copy(id.begin(), id.end(), mine.begin());
    return mine;
  }
  void settle() {
    while (gpu.comm_poll(comm) == Progress::under_way) {
    }
  }
  void wait_for_compute() {
    gpu.event_record(event, gpu.compute_stream(0));
    gpu.stream_wait_event(stream, event);
  }
  void sum(const torch::Tensor& tensor) {
    gpu.group_start();
    gpu.all_reduce(tensor.data_ptr(), tensor.data_ptr(), static_cast<size_t>(tensor.numel()),
                   tensor.scalar_type(), ReduceOp::sum, comm, stream);
    gpu.group_end();
  }
  void show() {
    gpu.event_record(event, stream);
    gpu.stream_wait_event(gpu.compute_stream(0), event);
  }
  std::string complaint() {
    const auto all = stand_in.complaints();
    return all.empty() ? "none" : all[0];
  }

  GpuStandIn stand_in;
  const GpuFunctions& gpu;
  GpuFunctions::Comm comm = nullptr;
  GpuFunctions::Stream stream = nullptr;
  GpuFunctions::Event event = nullptr;
};

TEST_F(GpuStandInTest, NothingToSayOfARightProgram) {
  const auto tensor = stand_in.place(torch::ones({3}));
  settle();
  wait_for_compute();
  sum(tensor);
  settle();
  EXPECT_EQ(tensor[0].item<float>(), 1);  // not yet
  show();
  EXPECT_EQ(tensor[0].item<float>(), static_cast<float>(world().size()));
  EXPECT_EQ(stand_in.leftovers().size(), 3u);
  gpu.comm_finalize(comm);
  settle();
  gpu.comm_destroy(comm);
  gpu.stream_destroy(stream);
  gpu.event_destroy(event);
  EXPECT_EQ(complaint(), "none");
  EXPECT_EQ(stand_in.leftovers(), Texts());
}

TEST_F(GpuStandInTest, OrderOfCalls) {
  const auto tensor = stand_in.place(torch::ones({3}));
  wait_for_compute();
  gpu.group_start();
  const auto reduce = [&](GpuFunctions::Stream on) {
    gpu.all_reduce(tensor.data_ptr(), tensor.data_ptr(), 3, torch::kFloat32, ReduceOp::sum, comm,
                   on);
  };
  EXPECT_THROW(reduce(stream), Error);  // the communicator is not ready
  settle();
  EXPECT_THROW(gpu.group_start(), Error);
  EXPECT_THROW(reduce(gpu.compute_stream(0)), Error);
  gpu.group_end();
  EXPECT_THROW(gpu.group_end(), Error);
  EXPECT_THROW(reduce(stream), Error);          // no group
  EXPECT_THROW(gpu.comm_destroy(comm), Error);  // not finalized
  gpu.comm_abort(comm);
  EXPECT_THROW(gpu.comm_poll(comm), Error);
  EXPECT_THROW(gpu.comm_abort(comm), Error);
  EXPECT_EQ(stand_in.complaints().size(), 8u);
}

TEST_F(GpuStandInTest, StreamsAndEvents) {
  const auto a = stand_in.place(torch::ones({3})), b = stand_in.place(torch::ones({3}));
  settle();
  EXPECT_THROW(gpu.stream_wait_event(stream, event), Error);
  EXPECT_EQ(complaint(), "stream_wait_event of an event that was not recorded");
  sum(a);
  EXPECT_EQ(complaint(), "a collective that does not wait for the compute stream");
  gpu.event_record(event, stream);
  EXPECT_EQ(complaint(), "an event recorded before NCCL has put its operation into the stream");
  settle();
  wait_for_compute();
  sum(b);
  settle();
  sum(b);  // what the compute stream did meanwhile is not waited for
  EXPECT_EQ(complaint(), "a collective that does not wait for the compute stream");
  settle();
  gpu.stream_destroy(stream);
  EXPECT_NE(complaint().find("never waited for"), std::string::npos);
  gpu.comm_abort(comm);
}

TEST_F(GpuStandInTest, Buffers) {
  settle();
  wait_for_compute();
  const auto n = static_cast<size_t>(world().size());
  const auto tensor = stand_in.place(torch::ones({4 * world().size()}));
  auto* data = tensor.data_ptr<float>();
  const auto host = torch::ones({3});
  gpu.group_start();
  EXPECT_THROW(gpu.broadcast(host.data_ptr(), host.data_ptr(), 3, torch::kFloat32, 0, comm, stream),
               Error);
  EXPECT_THROW(gpu.broadcast(data, data, 4 * n + 1, torch::kFloat32, 0, comm, stream), Error);
  EXPECT_THROW(gpu.all_reduce(data, data + 1, 2, torch::kFloat32, ReduceOp::sum, comm, stream),
               Error);
  EXPECT_THROW(
      gpu.all_gather(data + 2 * world().rank() + 1, data, 2, torch::kFloat32, comm, stream), Error);
  EXPECT_THROW(gpu.reduce_scatter(data, data + 2 * world().rank() + 1, 2, torch::kFloat32,
                                  ReduceOp::sum, comm, stream),
               Error);
  gpu.group_end();
  EXPECT_EQ(stand_in.complaints().size(), 5u);
  auto freed = stand_in.place(torch::ones({2}));
  sum(freed);
  freed.reset();
  EXPECT_EQ(complaint(), "memory was freed under an operation that uses it");
  settle();
  gpu.comm_abort(comm);
}

TEST_F(GpuStandInTest, CountsThatDiffer) {
  if (world().size() == 1) GTEST_SKIP() << "one rank agrees with itself";
  settle();
  wait_for_compute();
  const auto tensor = stand_in.place(torch::ones({world().rank() == 1 ? 5 : 4}));
  sum(tensor);
  settle();
  show();
  EXPECT_FALSE(gpu.event_done(event));
  const auto all = stand_in.complaints();
  ASSERT_FALSE(all.empty());
  EXPECT_NE(all.front().find("the ranks' collectives differ"), std::string::npos) << all.front();
  gpu.comm_abort(comm);
}

}  // namespace
}  // namespace stylescope
