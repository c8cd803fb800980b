// What the NCCL backend does when NCCL fails or never ends, and how it goes about NCCL's rules: on
// the stand-in, with or without a GPU.
#include "distributed/nccl_communicator.hpp"

#include "io/base/error.hpp"
#include "tests/support/gpu_stand_in.hpp"
#include "tests/support/recording_host.hpp"
#include "tests/support/world.hpp"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

namespace stylescope {
namespace {

using testing_support::GpuStandIn;
using testing_support::RecordingHost;
using testing_support::world;
using Texts = std::vector<std::string>;

class NcclTest : public testing::Test {
 protected:
  NcclTest() : gpu(world()), host(world()) {}
  ~NcclTest() override {
    nccl.reset();
    EXPECT_EQ(gpu.complaints(), Texts());
    EXPECT_EQ(gpu.leftovers(), Texts());
  }
  void start(NcclOptions options = {}) {
    nccl = make_nccl_communicator(host, gpu.functions(), 0, options);
  }
  std::string failure_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "no exception";
  }
  std::string failure_of_start(NcclOptions options = {}) {
    return failure_of([&] { start(options); });
  }
  // True when it has come true within ten seconds.
  bool comes(const std::function<bool()>& condition) {
    for (int i = 0; i < 1000 && !condition(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return condition();
  }

  GpuStandIn gpu;
  RecordingHost host;
  std::unique_ptr<Communicator> nccl;
};

TEST_F(NcclTest, TellsTheHostWhatItIsTold) {
  start();
  EXPECT_STREQ(nccl->backend(), "nccl");
  nccl->doing("gan", 3);
  EXPECT_EQ(host.activity(), "gan");
  nccl->set_deadlines({7, 8});
  EXPECT_EQ(host.deadlines().collective, 7);
  EXPECT_EQ(host.deadlines().long_work, 8);
  EXPECT_THROW(nccl->abort(3, "an end"), Error);
  EXPECT_EQ(host.cause(), "3: an end");
}

TEST_F(NcclTest, MemoryOfTheHostGoesByTheHost) {
  start();
  const int before = gpu.collectives();
  nccl->all_reduce(torch::ones({4}));
  nccl->broadcast_async(torch::ones({4}), 0)->wait();
  nccl->barrier();
  EXPECT_EQ(nccl->broadcast("text", 0), "text");
  EXPECT_EQ(gpu.collectives(), before);
  nccl->all_reduce(gpu.place(torch::ones({4})));
  nccl->all_reduce_async(gpu.place(torch::ones({4})))->wait();
  EXPECT_EQ(gpu.collectives(), before + 2);
}

TEST_F(NcclTest, AStartThatFails) {
  gpu.set_start(GpuStandIn::Start::fails);
  EXPECT_NE(failure_of_start().find("an injected failure at the start"), std::string::npos);
  EXPECT_EQ(gpu.aborts(), 1);
  EXPECT_EQ(host.cause(), "");
}

TEST_F(NcclTest, AStartThatNeverEnds) {
  gpu.set_start(GpuStandIn::Start::stalls);
  const auto text = failure_of_start({.init_seconds = 0.2});
  EXPECT_NE(text.find("did not come about within 0.2 s"), std::string::npos) << text;
  EXPECT_EQ(gpu.aborts(), 1);
}

TEST_F(NcclTest, ARankWithoutAGpuIsNamedOnAll) {
  const int last = world().size() - 1;
  const auto text = failure_of([&] {
    nccl = make_nccl_communicator(host, gpu.functions(), world().rank() == last ? 5 : 0);
  });
  EXPECT_NE(text.find("rank " + std::to_string(last) + " on "), std::string::npos) << text;
  EXPECT_NE(text.find("there is one GPU, number 0"), std::string::npos) << text;
  EXPECT_EQ(gpu.complaints().size(), world().rank() == last ? 1u : 0u);
}

TEST_F(NcclTest, AnErrorUnderWayEndsTheCommunicator) {
  start();
  const auto a = gpu.place(torch::ones({4})), b = gpu.place(torch::ones({4}));
  nccl->all_reduce(a);
  gpu.fail_at(1);
  auto work = nccl->all_reduce_async(b);  // NCCL takes it, and tells later
  EXPECT_TRUE(comes([&] {
    return failure_of([&] { work->wait(); }).find("an injected failure under way") !=
           std::string::npos;
  }));
  EXPECT_TRUE(comes([&] { return gpu.aborts() == 1; }));
  const auto text = failure_of([&] { nccl->all_reduce(a); });
  EXPECT_NE(text.find("an injected failure under way"), std::string::npos) << text;
  EXPECT_THROW(nccl->all_reduce_async(a), Error);
  work.reset();
  EXPECT_TRUE(torch::equal(a, torch::full({4}, static_cast<float>(world().size()))));
}

// Nobody waits: the watch finds it.
TEST_F(NcclTest, AnErrorUnderWayEndsTheJob) {
  start();
  const auto tensor = gpu.place(torch::ones({4}));
  gpu.fail_at(1);
  auto work = nccl->all_reduce_async(tensor);
  EXPECT_TRUE(comes([&] { return !host.cause().empty(); }));
  EXPECT_EQ(host.cause(), "1: an injected failure under way");
  EXPECT_TRUE(comes([&] { return gpu.aborts() == 1; }));
}

TEST_F(NcclTest, ACollectiveThatNeverEndsEndsTheJob) {
  start();
  nccl->set_deadlines({0.3, 0.3});
  const auto a = gpu.place(torch::ones({4})), b = gpu.place(torch::ones({8}));
  nccl->all_reduce(a);
  gpu.stall_at(1);
  auto work = nccl->all_reduce_async(b);
  work->wait();  // the compute stream waits, not this thread
  EXPECT_FALSE(work->done());
  EXPECT_TRUE(comes([&] { return !host.cause().empty(); }));
  EXPECT_EQ(host.cause().find("1: NCCL: collective #2 all_reduce sum Float x 8 did not finish "
                              "within 0.3 s"),
            0u)
      << host.cause();
  EXPECT_TRUE(comes([&] { return gpu.aborts() == 1; }));
  EXPECT_THROW(nccl->all_reduce(a), Error);
  EXPECT_THROW(work->wait(), Error);
}

TEST_F(NcclTest, SlowIsNotStalled) {
  start();
  nccl->set_deadlines({0.2, 0.2});
  const auto tensor = gpu.place(torch::ones({4}));
  // A rank that comes late is the host's affair: it knows who it is.
  if (world().rank() == world().size() - 1)
    std::this_thread::sleep_for(std::chrono::milliseconds(600));
  nccl->all_reduce_async(tensor)->wait();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_EQ(host.cause(), "");
  EXPECT_EQ(tensor[0].item<int>(), world().size());
}

TEST_F(NcclTest, AnExceptionOnItsWayAborts) {
  const auto leave = [&] {
    const auto mine = make_nccl_communicator(host, gpu.functions(), 0);
    const auto tensor = gpu.place(torch::ones({4}));
    const auto work = mine->all_reduce_async(tensor);
    throw Error("elsewhere");
  };
  EXPECT_EQ(failure_of(leave), "elsewhere");
  EXPECT_EQ(gpu.aborts(), 1);
}

TEST(NcclFunctions, AreThereOrSayWhyNot) {
  try {
    const auto table = nccl_functions();
    EXPECT_EQ(table.library.find("NCCL 2."), 0u) << table.library;
    EXPECT_FALSE(table.is_device_memory(torch::zeros({1})));
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("build it with"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace stylescope
