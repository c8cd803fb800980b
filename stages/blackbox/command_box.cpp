#include "stages/blackbox/command_box.hpp"

#include "io/base/error.hpp"
#include "io/hdf5_file.hpp"
#include "io/log.hpp"
#include "io/scratch_folder.hpp"
#include "stages/blackbox/answering_program.hpp"
#include "stages/blackbox/outside_box.hpp"
#include "stages/blackbox/protocol.hpp"

#include <cstring>
#include <filesystem>
#include <optional>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

constexpr const char* kNoRoom = "set TMPDIR to a folder with room";

class CommandBox final : public OutsideBox {
 public:
  CommandBox(const BlackBoxDescription& d, Communicator& world, torch::Device device)
      : OutsideBox(d), world_(world), device_(device) {}

 protected:
  torch::Tensor answer(const torch::Tensor& images) override {
    const LongWork busy(world_);
    while (true) {
      try {
        if (!program_) start();
        auto scores = description().transport == "hdf5" ? by_files(images) : by_pipe(images);
        answered_ = true;
        return scores;
      } catch (const ProgramFailure& failure) {
        program_.reset();
        start_again(failure.what());
      }
    }
  }

 private:
  void start() {
    const auto& d = description();
    program_.emplace(d.command, d.folder, d.timeout);
    program_->ask(protocol::greeting(d, device_.str(), world_.rank()), {});
    const auto reply = protocol::reply(program_->line());
    if (const auto problem = protocol::problem_of_greeting(reply); !problem.empty())
      program_->fail(problem);
    program_->done();
    log::debug("{}: started", program_->name());
  }

  // What never worked will not work the next time either.
  void start_again(const std::string& why) {
    if (!answered_) throw Error("f, the program " + why);
    const int64_t most = description().restarts;
    if (failures_ == most)
      throw Error(detail::concatenate(
          "f, the program ", why, "; it was started again ", most,
          " time(s) before (classifier.restarts): see what it wrote in the run's logs"));
    ++failures_;
    log::warn("f, the program {}; it is started again ({} of {})", why, failures_, most);
  }

  torch::Tensor by_pipe(const torch::Tensor& images) {
    program_->ask(protocol::question(images.sizes().vec()),
                  {static_cast<const char*>(images.const_data_ptr()), images.nbytes()});
    const auto shape = protocol::scores_shape(protocol::reply(program_->line()));
    if (!shape.problem.empty()) program_->fail(shape.problem);
    check_shape(shape.rows, shape.columns, images.size(0));
    const auto scores = torch::empty({shape.rows, shape.columns}, torch::kFloat32);
    const auto bytes = program_->bytes(scores.nbytes());
    program_->done();
    std::memcpy(scores.mutable_data_ptr(), bytes.data(), bytes.size());  // little endian, as we are
    return scores;
  }

  torch::Tensor by_files(const torch::Tensor& images) {
    if (!folder_) folder_.emplace("", kNoRoom);
    const auto images_file = folder_->path() / "images.h5",
               scores_file = folder_->path() / "scores.h5";
    fs::remove(scores_file);
    auto file = hdf5::File::create(images_file, kNoRoom);
    file.write("images", images);
    file.close();
    program_->ask(protocol::question(images_file.string(), scores_file.string()), {});
    const auto reply = protocol::reply(program_->line());
    if (!reply.problem.empty()) program_->fail(reply.problem);
    program_->done();
    if (!fs::exists(scores_file))
      program_->fail("answered, but did not write " + scores_file.string());
    const auto scores = read_scores(scores_file);
    check_shape(scores.size(0), scores.size(1), images.size(0));
    return scores;
  }

  torch::Tensor read_scores(const fs::path& file) {
    try {
      const auto answer = hdf5::File::open(
          file, "f must write a data set 'scores' and close the file before it answers");
      return answer.read("scores", torch::kFloat32, {-1, -1});
    } catch (const Error& error) {
      program_->fail(std::string("answered, but its scores cannot be read: ") + error.what());
    }
  }

  // Before the numbers are waited for. (probabilities_of would say it too, but too late.)
  void check_shape(int64_t rows, int64_t columns, int64_t images) {
    const auto classes = static_cast<int64_t>(class_names().size());
    const bool fits = rows == images && (columns == classes || (columns == 1 && classes == 2));
    if (fits) return;
    program_.reset();
    throw Error(detail::concatenate(
        who(), ": gives ", rows, " x ", columns, " scores for ", images, " images and ", classes,
        " classes; give a row an image, and a column a class (classifier.class_names)"));
  }

  Communicator& world_;
  torch::Device device_;
  std::optional<AnsweringProgram> program_;
  std::optional<ScratchFolder> folder_;
  bool answered_ = false;
  int64_t failures_ = 0;
};

}  // namespace

std::unique_ptr<BlackBox> make_command_box(const BlackBoxDescription& description,
                                           Communicator& world, torch::Device device) {
  return std::make_unique<CommandBox>(description, world, device);
}

}  // namespace stylescope
