// Checkpoints written beside the work: what was copied is what is written, in which order, and
// that no failure gets lost.
#include "io/checkpoint_writer.hpp"

#include "io/log.hpp"
#include "io/metrics_log.hpp"
#include "tests/io/faults.hpp"

#include <chrono>
#include <csignal>
#include <future>
#include <sstream>

#include <spdlog/sinks/ostream_sink.h>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::SmallDisk;
using testing_support::TempDir;

using Tensors = std::vector<std::pair<std::string, torch::Tensor>>;

// Holds the writer until it is opened.
class Gate {
 public:
  std::function<void()> closed() {
    return [this] { opened_.get_future().wait(); };
  }
  void open() { opened_.set_value(); }

 private:
  std::promise<void> opened_;
};

bool fails_within_10_seconds(const CheckpointWriter& writer) {
  for (int i = 0; i < 10000 && !writer.failed(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return writer.failed();
}

TEST(CheckpointWriter, WritesWhatWasThereWhenItWasAsked) {
  TempDir dir;
  Gate gate;
  CheckpointDirectory directory(dir / "checkpoints", 2);
  CheckpointWriter writer(directory, gate.closed());
  auto row = torch::arange(6, torch::kFloat64), turned = torch::arange(6).view({2, 3}).t();
  const Tensors tensors{{"row", row}, {"turned", turned}};
  writer.save(3, tensors, {{"p", 0.1}});
  row.zero_();
  turned.zero_();
  EXPECT_FALSE(directory.load_newest()) << "the work must not have waited";
  gate.open();
  writer.wait();
  const auto written = directory.load_newest();
  ASSERT_TRUE(written);
  EXPECT_EQ(written->step, 3);
  EXPECT_EQ(written->numbers.at("p"), 0.1);
  EXPECT_TRUE(written->tensors.at(0).second.equal(torch::arange(6, torch::kFloat64)));
  EXPECT_TRUE(written->tensors.at(1).second.equal(torch::arange(6).view({2, 3}).t()));
}

TEST(CheckpointWriter, MeasuresFromTheCallToTheDisk) {
  TempDir dir;
  CheckpointWriter writer(CheckpointDirectory(dir / "checkpoints", 2),
                          [] { std::this_thread::sleep_for(std::chrono::milliseconds(80)); });
  const Tensors tensors{{"t", torch::zeros({10})}};
  EXPECT_EQ(writer.longest_seconds(), 0);
  writer.save(1, tensors, {});
  writer.wait();
  EXPECT_GE(writer.longest_seconds(), 0.08);
  // The second waits for the first.
  writer.save(2, tensors, {});
  writer.save(3, tensors, {});
  writer.wait();
  EXPECT_GE(writer.longest_seconds(), 0.16);
}

TEST(CheckpointWriter, OneAfterAnotherAndTheLastEndsWithTheWriter) {
  TempDir dir;
  CheckpointDirectory directory(dir / "checkpoints", 2);
  {
    CheckpointWriter writer(directory);
    auto tensor = torch::zeros({1000});
    for (int64_t step = 1; step <= 4; ++step)
      writer.save(step, {{"t", tensor.add_(1)}}, {{"step", step}});
  }
  EXPECT_EQ(directory.steps(), (std::vector<int64_t>{3, 4}));
  EXPECT_TRUE(directory.load_newest()->tensors.at(0).second.equal(torch::full({1000}, 4.0F)));
}

TEST(CheckpointWriter, WhatACheckpointCoversIsOnDiskBefore) {
  TempDir dir;
  CheckpointDirectory directory(dir / "checkpoints", 2);
  std::vector<int64_t> before{-1};
  bool fails = false;
  {
    CheckpointWriter writer(directory, [&] {
      before = directory.steps();
      if (fails) throw Error("the lines cannot be written");
    });
    writer.save(1, {{"t", torch::ones({2})}}, {});
    writer.wait();
    EXPECT_TRUE(before.empty());
    fails = true;
    writer.save(2, {{"t", torch::ones({2})}}, {});
    EXPECT_EQ(error_of([&] { writer.wait(); }), "the lines cannot be written");
    writer.wait();  // said once
  }
  EXPECT_EQ(directory.steps(), (std::vector<int64_t>{1}));
}

TEST(CheckpointWriter, TakesNoSignals) {
  TempDir dir;
  sigset_t mask, own;
  sigemptyset(&mask);
  CheckpointWriter writer(CheckpointDirectory(dir / "checkpoints", 2),
                          [&] { pthread_sigmask(SIG_SETMASK, nullptr, &mask); });
  writer.save(1, {}, {});
  writer.wait();
  pthread_sigmask(SIG_SETMASK, nullptr, &own);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1, SIGUSR2}) {
    EXPECT_EQ(sigismember(&mask, signal), 1) << signal;
    EXPECT_EQ(sigismember(&own, signal), 0) << signal << " must still reach this thread";
  }
}

TEST(CheckpointWriter, AFullDiskIsHeardOfAndTheNextOneSucceeds) {
  SmallDisk disk("64k");
  SKIP_UNLESS_MOUNTED(disk);
  CheckpointDirectory directory(disk / "checkpoints", 2);
  CheckpointWriter writer(directory);
  const Tensors large{{"t", torch::zeros({100'000})}};
  EXPECT_FALSE(writer.failed());
  writer.save(1, large, {});
  ASSERT_TRUE(fails_within_10_seconds(writer));
  writer.save(2, large, {});  // the failure comes first
  EXPECT_TRUE(writer.failed());
  const auto message = error_of([&] { writer.wait(); });
  EXPECT_NE(message.find("checkpoint-1.safetensors"), std::string::npos) << message;
  EXPECT_NE(message.find("No space left"), std::string::npos) << message;
  EXPECT_FALSE(writer.failed());
  disk.resize("2m");
  writer.save(3, large, {});
  writer.wait();
  EXPECT_EQ(directory.steps(), (std::vector<int64_t>{3}));
}

TEST(CheckpointWriter, AFailureThatNobodyAskedForIsLogged) {
  TempDir dir;
  const auto before = spdlog::default_logger();
  std::ostringstream text;
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)));
  {
    CheckpointWriter writer(CheckpointDirectory(dir / "checkpoints", 2),
                            [] { throw Error("this disk is gone"); });
    writer.save(1, {}, {});
  }
  spdlog::set_default_logger(before);
  EXPECT_NE(text.str().find("this disk is gone"), std::string::npos) << text.str();
}

TEST(MetricsLog, SyncGoesWithAndWithoutLines) {
  TempDir dir;
  MetricsLog().sync();
  MetricsLog log(dir / "metrics.jsonl");
  log.sync();  // no line yet
  log.write({{"step", 1}});
  log.sync();
  EXPECT_EQ(read_metrics(dir / "metrics.jsonl").size(), 1U);
}

}  // namespace
}  // namespace stylescope
