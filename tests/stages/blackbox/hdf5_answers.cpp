// An f that gets and answers batches through HDF5 files: of two classes, by the image's brightness.
// With an argument: what it does wrong ("late-file", "wrong-name", "damaged").
#include "io/hdf5_file.hpp"

#include <fstream>
#include <iostream>
#include <string>

#include <nlohmann/json.hpp>
#include <torch/torch.h>

using namespace stylescope;

int main(int count, char** arguments) {
  const std::string wrong = count > 1 ? arguments[1] : "";
  std::string line;
  std::getline(std::cin, line);
  if (nlohmann::json::parse(line).at("transport") != "hdf5") return 3;
  std::cout << "{\"stylescope\":1}" << std::endl;
  while (std::getline(std::cin, line)) {
    const auto question = nlohmann::json::parse(line);
    const auto images = hdf5::File::open(question.at("images").get<std::string>(), "-")
                            .read("images", torch::kUInt8, {-1, -1, -1, -1});
    const auto mean = images.to(torch::kFloat64).mean({1, 2, 3});
    const auto p = ((mean - 128) / 16).sigmoid();
    if (wrong == "damaged") {
      std::ofstream(question.at("scores").get<std::string>()) << "no HDF5";
      std::cerr << "the disk is full" << std::endl;
    } else if (wrong != "late-file") {
      auto file = hdf5::File::create(question.at("scores").get<std::string>(), "-");
      file.write(wrong == "wrong-name" ? "answers" : "scores",
                 torch::stack({1 - p, p}, 1).to(torch::kFloat32));
      file.close();
    }
    std::cout << question.dump() << std::endl;
  }
  return 0;
}
