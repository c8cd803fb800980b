#include "io/checkpoint_writer.hpp"

#include "io/base/quiet_thread.hpp"
#include "io/log.hpp"

#include <algorithm>

namespace stylescope {
CheckpointWriter::CheckpointWriter(CheckpointDirectory directory, std::function<void()> before)
    : directory_(std::move(directory)), before_(std::move(before)) {}

CheckpointWriter::~CheckpointWriter() {
  join();
  if (!failure_) return;
  try {
    std::rethrow_exception(failure_);
  } catch (const std::exception& error) {
    log::warn("the last checkpoint could not be written: {}", error.what());
  }
}

void CheckpointWriter::save(int64_t step,
                            const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                            nlohmann::json numbers, std::vector<int64_t> held) {
  const auto asked = std::chrono::steady_clock::now();
  join();
  if (failure_) return;
  try {
    copy(step, tensors, std::move(numbers));
    held_ = std::move(held);
    start(asked);
  } catch (...) {  // no memory, no thread
    failure_ = std::current_exception();
    done_ = true;
  }
}

void CheckpointWriter::copy(int64_t step,
                            const std::vector<std::pair<std::string, torch::Tensor>>& tensors,
                            nlohmann::json numbers) {
  const torch::NoGradGuard no_grad;
  buffer_.step = step;
  buffer_.numbers = std::move(numbers);
  buffer_.tensors.resize(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    auto& [kept_name, kept] = buffer_.tensors[i];
    kept_name = name;
    if (!kept.defined() || kept.sizes() != tensor.sizes() || kept.dtype() != tensor.dtype())
      kept = torch::empty(tensor.sizes(), torch::dtype(tensor.dtype()));
    kept.copy_(tensor);
  }
}

void CheckpointWriter::start(std::chrono::steady_clock::time_point asked) {
  done_ = false;
  thread_ = quiet_thread([this, asked] {
    try {
      if (before_) before_();
      directory_.save(buffer_, held_);
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - asked;
      // This thread alone writes it.
      longest_.store(std::max(longest_.load(), took.count()), std::memory_order_release);
    } catch (...) {
      failure_ = std::current_exception();
    }
    done_.store(true, std::memory_order_release);
  });
}

void CheckpointWriter::join() {
  if (thread_.joinable()) thread_.join();
}

void CheckpointWriter::wait() {
  join();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace stylescope
