#include "stages/blackbox/protocol.hpp"

#include "io/base/error.hpp"
#include "stages/blackbox/answering_program.hpp"

namespace stylescope::protocol {
namespace {

using nlohmann::ordered_json;

// More than any batch has: a larger number is a mistake, not a reason to wait for it.
constexpr int64_t kMostNumbers = int64_t{1} << 28;

std::string expected(const Reply& reply, const std::string& what) {
  return "answered " + excerpt(reply.line) + " where " + what + " was expected";
}

}  // namespace

std::string greeting(const BlackBoxDescription& d, const std::string& device, int rank) {
  const ordered_json json{{"stylescope", kVersion},
                          {"transport", d.transport},
                          {"image", {d.channels, d.resolution, d.resolution}},
                          {"scores", d.scores},
                          {"class_names", d.class_names},
                          {"device", device},
                          {"rank", rank}};
  return json.dump();
}

std::string question(const std::vector<int64_t>& shape) {
  return ordered_json{{"images", shape}, {"dtype", "uint8"}}.dump();
}

std::string question(const std::string& images_file, const std::string& scores_file) {
  return ordered_json{{"images", images_file}, {"scores", scores_file}}.dump();
}

Reply reply(const std::string& line) {
  Reply result{line, nlohmann::json::parse(line, nullptr, false), ""};
  if (!result.json.is_object()) {
    result.problem =
        "wrote " + excerpt(line) +
        " to its standard output, where a line of JSON was expected; standard output belongs to "
        "the answers alone: print to standard error instead (in Python: print(..., "
        "file=sys.stderr))";
  } else if (const auto error = result.json.find("error"); error != result.json.end()) {
    result.problem =
        "says: " + excerpt(error->is_string() ? error->get_ref<const std::string&>() : line, 500);
  }
  return result;
}

std::string problem_of_greeting(const Reply& reply) {
  if (!reply.problem.empty()) return reply.problem;
  const auto version = reply.json.find("stylescope");
  if (version == reply.json.end() || !version->is_number_integer())
    return expected(reply, "{\"stylescope\":1}");
  if (*version != kVersion)
    return detail::concatenate("speaks version ", version->dump(), " of the protocol, but version ",
                               kVersion, " is spoken here");
  return "";
}

ScoresShape scores_shape(const Reply& reply) {
  ScoresShape shape;
  shape.problem = reply.problem;
  if (!shape.problem.empty()) return shape;
  const auto& json = reply.json;
  const auto scores = json.find("scores");
  const bool fits = scores != json.end() && scores->is_array() && scores->size() == 2 &&
                    (*scores)[0].is_number_unsigned() && (*scores)[1].is_number_unsigned();
  if (!fits) {
    shape.problem = expected(reply, "{\"scores\":[images,classes],\"dtype\":\"float32\"}");
    return shape;
  }
  const auto dtype = json.find("dtype");
  if (dtype == json.end() || !dtype->is_string() ||
      dtype->get_ref<const std::string&>() != "float32") {
    shape.problem = expected(reply, "\"dtype\":\"float32\"");
    return shape;
  }
  shape.rows = (*scores)[0].get<int64_t>();
  shape.columns = (*scores)[1].get<int64_t>();
  if (shape.rows < 0 || shape.columns < 0 || shape.rows > kMostNumbers ||
      shape.columns > kMostNumbers || shape.rows * shape.columns > kMostNumbers)
    shape.problem = expected(reply, "a number of scores that fits the images");
  return shape;
}

}  // namespace stylescope::protocol
