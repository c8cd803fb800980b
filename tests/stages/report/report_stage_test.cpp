// The report: whole, self-contained, escaped, and its sliders move.
#include "stages/report/report_stage.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/explanation_set.hpp"
#include "io/metrics_log.hpp"
#include "io/picture.hpp"
#include "stages/evaluate/evaluate_stage.hpp"
#include "stages/explain/explain_stage.hpp"
#include "stages/html/text.hpp"
#include "tests/support/tiny_run.hpp"

#include <cstdio>
#include <fstream>

#include <gtest/gtest.h>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

using testing_support::TempDir;
using testing_support::TinyRun;
using testing_support::TinyRunOptions;

// A tiny run up to its evaluation, with a label name that would break a careless page.
class Report : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    TinyRunOptions options;
    options.label_names = {"wide", "<narrow> & \"thin\""};
    run_ = new TinyRun(self_, options);
    ExplainConfig explain;
    explain.images = 4;
    explain.steps = 7;
    auto explaining = run_->context(self_, "explain", torch::kFloat32);
    run_explain(explain, explaining);
    EvaluateConfig evaluate;
    evaluate.bootstrap = 200;
    auto evaluating = run_->context(self_, "evaluate", torch::kFloat32);
    run_evaluate(evaluate, evaluating);
  }
  static void TearDownTestSuite() {
    delete run_;
    run_ = nullptr;
  }

  static std::string make(const std::string& out) {
    auto context = run_->context(self_, out, torch::kFloat32);
    const auto metrics = run_report({}, context);
    EXPECT_EQ(metrics.at("images"), 4);
    return read_text(run_->path() / out / "index.html");
  }
  static fs::path path() { return run_->path(); }

  static SelfCommunicator self_;
  static TinyRun* run_;
};
SelfCommunicator Report::self_;
TinyRun* Report::run_ = nullptr;

void add_optional_pieces(const fs::path& run) {
  for (const char* stage : {"classifier", "gan", "encoder"}) {
    std::ofstream log(run / stage / artifacts::metrics_log);
    for (int step = 0; step < 40; ++step)
      log << "{\"step\":" << 10 * step << ",\"loss\":" << 1.0 / (1 + step)
          << ",\"val_auc\":" << 1 - 0.5 / (1 + step) << "}\n";
    publish_text(run / stage / "stage.json",
                 "{\"stage\":\"" + std::string(stage) +
                     "\",\"finished\":\"2026-01-01T00:00:00Z\",\"wall_seconds\":12.5,"
                     "\"world_size\":2,\"device\":\"cpu\",\"hosts\":[\"n1\"],\"program\":{"
                     "\"version\":\"0.1.0\"},\"seed\":5,"
                     "\"outputs\":{\"a\":\"</pre><script>alert(1)</script>\"}}");
  }
  const ImageSet images(run / artifacts::images);
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < 32; ++i) rows.push_back(i);
  write_png(run / artifacts::real_grid, tile_grid(images.read(rows), 8));
  write_png(run / artifacts::sample_grid,
            tile_grid(PairSet(run / artifacts::pairs).read_images(rows), 8));
}

int64_t occurrences(const std::string& text, const std::string& part) {
  int64_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size()))
    ++count;
  return count;
}

TEST_F(Report, RefersToNothingOutsideItself) {
  add_optional_pieces(path());
  const auto page = make("whole");
  for (const char* outside :
       {"http://", "https://", "//cdn", "@import", "url(", "file:", "src=\"/"})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  EXPECT_EQ(occurrences(page, "src=\""), occurrences(page, "src=\"data:image/png;base64,"));
  EXPECT_EQ(occurrences(page, "<article class=\"walk\""), 4);
  EXPECT_EQ(occurrences(page, "class=\"frame\""), 4 * 7);
  for (const char* id : {"summary", "images", "phantom", "metrics", "data", "training", "manifest"})
    EXPECT_EQ(occurrences(page, "<section id=\"" + std::string(id) + "\""), 1) << id;
}

TEST_F(Report, EscapesWhatComesFromFiles) {
  add_optional_pieces(path());
  const auto page = make("escaped");
  EXPECT_EQ(page.find("<narrow>"), std::string::npos);
  EXPECT_NE(page.find("&lt;narrow&gt; &amp; &quot;thin&quot;"), std::string::npos);
  EXPECT_EQ(page.find("<script>alert"), std::string::npos);
}

TEST_F(Report, ShowsTheFiguresOfTheEvaluation) {
  const auto page = make("figures");
  const auto e = nlohmann::json::parse(read_text(path() / artifacts::evaluation));
  const auto number = [](const nlohmann::json& value) {
    return html::fixed(value.get<double>(), 3);
  };
  const auto& auc = e["f_true_label"]["auc"];
  EXPECT_NE(page.find(number(auc["value"]) + " (" + number(auc["low"]) + " to " +
                      number(auc["high"]) + ")"),
            std::string::npos);
  const auto& ratio = e["phantom"]["ratio"];
  EXPECT_NE(page.find(html::fixed(ratio["value"], 1) + " (" + html::fixed(ratio["low"], 1)),
            std::string::npos);
}

// The finding that the product exists for.
TEST_F(Report, AShortcutIsCalledOne) {
  const auto evaluation = path() / artifacts::evaluation;
  const auto text = read_text(evaluation);
  const auto figure = [](double value, double low, double high) {
    return nlohmann::json{{"value", value}, {"low", low}, {"high", high}};
  };
  auto e = nlohmann::json::parse(text);
  e["phantom"]["moves"] = "both";
  e["phantom"]["nuisance_signed"] = figure(1.9, 1.8, 2);
  e["associations"] = {{{"attribute", "centre <7>"},
                        {"images", 16},
                        {"overall", figure(0.6, 0.5, 0.7)},
                        {"within_label", figure(0.8, 0.7, 0.9)}},
                       {{"attribute", "nuisance"},
                        {"images", 16},
                        {"overall", figure(0.6, 0.5, 0.7)},
                        {"within_label", figure(0.7, 0.6, 0.8)}}};
  const auto page = [&](const std::string& name) {
    publish_text(evaluation, e.dump());
    return make(name);
  };
  const auto found = page("shortcut");
  EXPECT_EQ(occurrences(found, "has learned a shortcut:</b>"), 2) << "in short, and at length";
  EXPECT_EQ(occurrences(found, "changes by <b>1.90 (1.80 to 2.00)</b> standard"), 2);
  EXPECT_NE(found.find("goes along with <b>centre &lt;7&gt;</b>"), std::string::npos);

  e["associations"][1]["within_label"] = figure(0.1, -0.1, 0.3);
  e["associations"][0]["within_label"] = figure(0.3, -0.1, 0.5);
  const auto coupled = page("coupled");
  EXPECT_EQ(occurrences(coupled, "shortcut:</b>"), 0);
  EXPECT_EQ(occurrences(coupled, "training images couple the two"), 2);
  EXPECT_EQ(occurrences(coupled, "goes along with <b>"), 0);
  e["phantom"]["moves"] = "neither";
  EXPECT_EQ(occurrences(page("neither"), "the moved images explain nothing"), 2);
  publish_text(evaluation, text);
}

TEST_F(Report, WhatIsMissingIsSaidOrAnError) {
  for (const char* stage : {"classifier", "gan", "encoder"}) {
    fs::remove(path() / stage / artifacts::metrics_log);
    fs::remove(path() / stage / "stage.json");
  }
  fs::remove(path() / artifacts::real_grid);
  const auto page = make("bare");
  EXPECT_EQ(occurrences(page, "there is no metrics.jsonl to draw"), 3);
  EXPECT_NE(page.find("there is no reals.png"), std::string::npos);
  EXPECT_NE(page.find("No stage.json was found"), std::string::npos);

  const auto evaluation = path() / artifacts::evaluation, aside = path() / "aside.json";
  fs::rename(evaluation, aside);
  for (const char* damaged : {"", "{\"images\": 1"}) {
    if (*damaged) publish_text(evaluation, damaged);
    try {
      make("none");
      FAIL() << "no Error was thrown";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(artifacts::evaluation), std::string::npos)
          << error.what();
    }
  }
  fs::rename(aside, evaluation);
}

// What a reader sees after moving the first slider, written into the page by an injected script.
constexpr const char* kProbe = R"js(<script>
var card = document.querySelector(".walk"), slider = card.querySelector("input[type=range]");
function state() {
  var frames = card.querySelectorAll(".frame"), moving = card.querySelector("img.moving").src, shown = -1, pressed = [];
  for (var i = 0; i < frames.length; ++i) {
    if (frames[i].querySelector("img").src === moving) shown = i;
    if (frames[i].getAttribute("aria-pressed") === "true") pressed.push(i);
  }
  return [shown, pressed.join(","), card.querySelector(".now-sd").textContent, card.querySelector(".now-f").textContent,
          slider.getAttribute("aria-valuetext"), card.querySelector(".marker-dot").getAttribute("cx"),
          getComputedStyle(card.querySelector("img.cam")).display].join("|");
}
var lines = [state()];
slider.value = "6"; slider.dispatchEvent(new Event("input")); lines.push(state());
card.querySelectorAll(".frame")[0].click(); lines.push(state());
card.querySelector(".cam-toggle").click(); lines.push(state());
var out = document.createElement("pre"); out.id = "probe"; out.textContent = lines.join("\n"); document.body.appendChild(out);
</script></body>)js";

std::vector<std::string> probe_in_chromium(std::string page, const fs::path& folder) {
  page.replace(page.rfind("</body>"), 7, kProbe);
  publish_text(folder / "probe.html", page);
  const auto command = "chromium --headless --no-sandbox --disable-gpu --user-data-dir=" +
                       (folder / "profile").string() + " --dump-dom file://" +
                       (folder / "probe.html").string() + " 2>/dev/null";
  std::string dom;
  FILE* pipe = popen(command.c_str(), "r");
  char part[4096];
  for (size_t n; (n = fread(part, 1, sizeof part, pipe)) > 0;) dom.append(part, n);
  pclose(pipe);
  const std::string begin = "<pre id=\"probe\">";
  const auto at = dom.rfind(begin);
  std::vector<std::string> lines;
  if (at == std::string::npos) return lines;
  std::istringstream text(
      dom.substr(at + begin.size(), dom.find("</pre>", at) - at - begin.size()));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

TEST_F(Report, TheSliderMovesInABrowser) {
  if (std::system("command -v chromium > /dev/null 2>&1") != 0)
    GTEST_SKIP() << "chromium is not installed: the slider is not tried in a browser here";
  const TempDir folder;
  const auto lines = probe_in_chromium(make("browser"), folder.path());
  ASSERT_EQ(lines.size(), 4U) << "the page's script or the browser failed";
  const auto set = read_explanations(path() / artifacts::explanations);
  const auto f = [&](int64_t step) {
    return html::escape(html::percent(set.f_strip[0][step].item<double>()));
  };
  const auto expect = [&](size_t line, int step, const std::string& sd,
                          const std::string& cam_display) {
    std::istringstream fields(lines[line]);
    std::vector<std::string> field;
    for (std::string text; std::getline(fields, text, '|');) field.push_back(text);
    ASSERT_EQ(field.size(), 7U) << lines[line];
    // Equal pictures may stand at several steps; the one shown is then the last of them.
    const auto shown = std::stoll(field[0]);
    ASSERT_GE(shown, 0) << lines[line];
    EXPECT_TRUE(torch::equal(set.strip[0][shown], set.strip[0][step])) << lines[line];
    EXPECT_EQ(field[1], std::to_string(step));
    EXPECT_EQ(field[2], sd);
    EXPECT_EQ(field[3], f(step));
    EXPECT_EQ(field[4], sd + " standard deviations, classifier says " + f(step));
    // The marker's place on the 440 wide chart: 52 to 426.
    EXPECT_NEAR(std::stod(field[5]), 52 + 374.0 * step / 6, 0.11);
    EXPECT_EQ(field[6], cam_display);
  };
  expect(0, 3, "0.00", "none");
  expect(1, 6, "+3.00", "none");
  expect(2, 0, "-3.00", "none");
  expect(3, 0, "-3.00", "block");
}

}  // namespace
}  // namespace stylescope
