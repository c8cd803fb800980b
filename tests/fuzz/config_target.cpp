#include "io/base/error.hpp"
#include "io/base/fields.hpp"
#include "pipeline/config_reader.hpp"
#include "pipeline/config_tree.hpp"
#include "tests/fuzz/targets.hpp"

#include <map>

namespace stylescope::fuzz {
namespace {

struct Inner {
  int64_t batch = 1;
  std::vector<double> targets;
  std::vector<int64_t> sizes;
  std::string noise = "random";
  void describe(Fields& f) {
    f.field("batch", batch, {1, 64}, "");
    f.field("targets", targets, {0, 1}, "");
    f.field("sizes", sizes, {}, "");
    f.choice("noise", noise, {"random", "none"}, "");
  }
};

// Every kind of field.
struct Sample {
  std::string name;
  bool mirror = false;
  double rate = 0;
  std::vector<std::string> words;
  Inner gan;
  std::map<std::string, Inner> stages;
  void describe(Fields& f) {
    f.field("name", name, "");
    f.field("mirror", mirror, "");
    f.field("rate", rate, {-1, 1e6}, "");
    f.field("words", words, "");
    f.section("gan", gan, "");
    f.sections("stages", stages, {"a", "b"}, "");
  }
};

// A text that begins with '=' is the value of a --set.
void run(std::string_view bytes) {
  try {
    ConfigNode root;
    if (bytes.starts_with("=")) {
      root = parse_config("gan: {batch: 2}\n", "fuzz.yaml");
      apply_override(root, "gan.sizes" + std::string(bytes));
    } else {
      root = parse_config(std::string(bytes), "fuzz.yaml");
    }
    Sample sample;
    ConfigReader reader(root);
    sample.describe(reader);
    reader.finish();
  } catch (const Error&) {
    // Refused: what is to be expected.
  }
}

std::vector<std::string> seeds() {
  return {
      "name: knees\nmirror: true\nrate: 1e-3\nwords: [a, 'b c', \"d\\n\"]\n",
      "gan:\n  batch: 8\n  targets: [0.5, 1]\n  sizes: [1, 2]\n  noise: none\nstages:\n  a: "
      "{batch: 2}\n",
      "# comment\nname: &n x\ngan: {batch: 3}\nwords: [*n, *n]\n",
      "a0: &a0 [x, x]\na1: &a1 [*a0, *a0]\na2: [*a1, *a1]\n",
      "gan: &g\n  batch: [*g]\n",
      "name: |\n  lines\n  of text\nwords:\n- >-\n  folded\n  text\n- ~\n",
      "? name\n: x\n---\nname: y\n...\n",
      "gan: !!map {batch: !!int 3}\n<<: {name: x}\n",
      "=[1, 2, 3]",
      "={a: [{b: c}]}",
  };
}

}  // namespace

Target config_target() { return {"config", run, seeds}; }

}  // namespace stylescope::fuzz
