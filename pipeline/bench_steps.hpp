#pragma once

#include "pipeline/bench_laps.hpp"
#include "pipeline/bench_networks.hpp"
#include "pipeline/launch.hpp"
#include "stages/gan/gan_trainer.hpp"
#include "stages/supervised/resnet_trainer.hpp"

#include <memory>
#include <string>
#include <vector>

// Training steps on random images, without files: what `bench train` and `bench scale` measure.
namespace stylescope {

// All ranks hold the same values, or something went wrong: 0 or 1. Collective.
int64_t disagreement(Communicator& world, const torch::Tensor& values);

class TrainingSteps {
 public:
  virtual ~TrainingSteps() = default;
  // A step does different work at different intervals. Shares of the steps that are of each kind,
  // in the long run.
  virtual std::vector<double> shares() const = 0;
  virtual void step(size_t kind) = 0;  // collective
  // Gradients and losses that were not finite, and ranks that disagree. Collective.
  virtual int64_t wrong() = 0;
  // Parts in which the batch is dealt to ranks.
  virtual int64_t groups() const = 0;
};

// The GAN's step, on `batch` images of all ranks of `world` together. Where there are laps, the
// phases are told apart by them.
class GanSteps final : public TrainingSteps {
 public:
  GanSteps(const BenchNetworks& networks, int64_t batch, Communicator& world, const Launch& at,
           Laps* laps = nullptr);
  std::vector<double> shares() const override;
  void step(size_t kind) override { step_number(kinds_.at(kind).step); }
  GanStepFigures step_number(int64_t number);
  int64_t wrong() override;
  int64_t groups() const override { return config_.batch / config_.mbstd_group; }
  const GanConfig& config() const { return config_; }

 private:
  // The steps of a whole period by which lazy phases run in them.
  struct Kind {
    bool path, r1;
    int64_t step;  // one of this kind, after the first period
    double share;
  };
  void find_kinds();

  Communicator& world_;
  GanConfig config_;
  std::vector<Kind> kinds_;
  std::unique_ptr<KeyedGanDraws> keyed_;
  KeyedAugmentSource augmentation_{0};
  std::unique_ptr<TimedDraws> timed_;
  std::unique_ptr<GanTrainer> trainer_;
  RealBatch reals_;
  int64_t wrong_ = 0;
};

// A ResNet's step.
class ResNetSteps final : public TrainingSteps {
 public:
  ResNetSteps(const BenchNetworks& networks, int64_t batch, Communicator& world, const Launch& at);
  std::vector<double> shares() const override { return {1}; }
  void step(size_t kind) override;
  int64_t wrong() override;
  int64_t groups() const override { return groups_; }

 private:
  GroupLoss loss_of(const torch::Tensor& outputs, IndexRange rows) const;

  Communicator& world_;
  int64_t groups_;
  std::unique_ptr<ResNetTrainer> trainer_;
  torch::Tensor inputs_, labels_;
  int64_t wrong_ = 0;
};

}  // namespace stylescope
