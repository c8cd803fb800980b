// f as a program of its own, for black_box_test.cpp: our ResNet's logits through stylescope's
// protocol, pipes or HDF5 files.
//   resnet_answers classifier.safetensors
#include "examples/blackbox/stylescope_answer.hpp"
#include "io/hdf5_file.hpp"
#include "stages/networks/classifier.hpp"
#include "stages/networks/resnet_io.hpp"

#include <cstring>
#include <iostream>
#include <string>

#include <ATen/Parallel.h>
#include <nlohmann/json.hpp>
#include <torch/torch.h>

using namespace stylescope;

namespace {

torch::Tensor logits(Classifier& f, const torch::Tensor& images) {
  return evaluate_in_batches(f.network, images, f.resolution, images.size(0),
                             [&f](const torch::Tensor& part) { return f.prepare(part); });
}

stylescope_answer::Scores rows_of(const torch::Tensor& scores) {
  stylescope_answer::Scores rows;
  for (const auto& row : scores.contiguous().unbind())
    rows.emplace_back(row.data_ptr<float>(), row.data_ptr<float>() + row.numel());
  return rows;
}

int answer_files(Classifier& f) {
  std::string line;
  std::getline(std::cin, line);
  std::cout << "{\"stylescope\":1}" << std::endl;
  while (std::getline(std::cin, line)) {
    const auto question = nlohmann::json::parse(line);
    const auto images = hdf5::File::open(question.at("images").get<std::string>(), "-")
                            .read("images", torch::kUInt8, {-1, -1, -1, -1});
    auto file = hdf5::File::create(question.at("scores").get<std::string>(), "-");
    file.write("scores", logits(f, images));
    file.close();
    std::cout << line << std::endl;
  }
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 2;
  at::set_num_threads(1);
  auto f = load_classifier(arguments[1], torch::kCPU, torch::kFloat32);
  if (count > 2 && std::string(arguments[2]) == "hdf5") return answer_files(f);
  return stylescope_answer::answer_batches([&f](const stylescope_answer::Batch& batch) {
    auto bytes = batch.bytes;
    return rows_of(logits(
        f, torch::from_blob(bytes.data(), {batch.n, batch.channels, batch.height, batch.width},
                            torch::kUInt8)));
  });
}
