#include "io/log.hpp"

#include "io/base/error.hpp"

#include <memory>
#include <string>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/dist_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

namespace stylescope::log {
namespace {

// "warning: " and the like, and nothing before what is plain information.
class Severity : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&,
              spdlog::memory_buf_t& out) override {
    if (message.level == spdlog::level::info) return;
    const auto name = spdlog::level::to_string_view(message.level);
    out.append(name.data(), name.data() + name.size());
    out.push_back(':');
    out.push_back(' ');
  }
  std::unique_ptr<custom_flag_formatter> clone() const override {
    return std::make_unique<Severity>();
  }
};

std::unique_ptr<spdlog::formatter> formatter(const std::string& pattern) {
  auto made = std::make_unique<spdlog::pattern_formatter>();
  made->add_flag<Severity>('*').set_pattern(pattern);
  return made;
}

using FileSlot = spdlog::sinks::dist_sink_mt;

// Where the file goes. It is there from the start: another thread may be speaking while the file is
// replaced, and the logger's own list is not to be changed then.
FileSlot& file_slot() {
  auto& sinks = spdlog::default_logger()->sinks();
  for (const auto& sink : sinks)
    if (auto* slot = dynamic_cast<FileSlot*>(sink.get())) return *slot;
  sinks.push_back(std::make_shared<FileSlot>());
  return static_cast<FileSlot&>(*sinks.back());
}

}  // namespace

void start(int rank, int world_size, bool verbose) {
  auto terminal = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  terminal->set_formatter(
      formatter(world_size > 1 && rank > 0 ? "[rank " + std::to_string(rank) + "] %*%v" : "%*%v"));
  if (rank > 0)
    terminal->set_level(spdlog::level::err);
  else
    terminal->set_level(verbose ? spdlog::level::debug : spdlog::level::info);
  auto logger = std::make_shared<spdlog::logger>(
      "stylescope", spdlog::sinks_init_list{std::move(terminal), std::make_shared<FileSlot>()});
  logger->set_level(spdlog::level::debug);  // each sink has its own level
  logger->flush_on(spdlog::level::debug);   // what was said before a kill -9 stands in the file
  spdlog::set_default_logger(std::move(logger));
}

void to_file(const std::filesystem::path& run_dir, const std::string& label, int rank) {
  const auto file = run_dir / "logs" / (label + ".rank-" + std::to_string(rank) + ".log");
  try {
    std::filesystem::create_directories(file.parent_path());
    auto sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file.string(), false);
    sink->set_formatter(formatter("%Y-%m-%d %H:%M:%S.%e %*%v"));
    sink->set_level(spdlog::level::debug);
    file_slot().set_sinks({std::move(sink)});
  } catch (const std::exception& error) {
    throw Error(file.string() + ": cannot be written (" + error.what() +
                "); choose a run directory that you may write to");
  }
}

}  // namespace stylescope::log
