#include "stages/report/report_stage.hpp"

#include "io/atomic_file.hpp"
#include "stages/artifacts.hpp"
#include "stages/html/page.hpp"
#include "stages/html/text.hpp"
#include "stages/report/sections.hpp"

namespace fs = std::filesystem;

namespace stylescope {
namespace {

std::string title_of(const ReportConfig& config, const ReportInputs& inputs) {
  return config.title.empty()
             ? "What would have to change for “" + html::positive_name(inputs.legend) + "”?"
             : config.title;
}

std::string contents(bool phantom) {
  std::string out =
      "<nav aria-label=\"Contents\"><a href=\"#summary\">In short</a><a href=\"#images\">Explained "
      "images</a>";
  if (phantom) out += "<a href=\"#phantom\">The true cause</a>";
  return out +
         "<a href=\"#metrics\">Figures</a><a href=\"#data\">Data set</a><a "
         "href=\"#training\">Training</a>"
         "<a href=\"#manifest\">How this was made</a></nav>\n";
}

std::string reading_guide(const ReportInputs& inputs) {
  const auto positive = html::escape(html::positive_name(inputs.legend));
  return "<p>Move a slider (or use the arrow keys on it): the middle picture is the image as the "
         "generator redraws it, with "
         "less or more of what the classifier takes for <b>" +
         positive +
         "</b>. The curve shows the classifier's probability at every step. 0 is the "
         "reconstruction; one step of the scale (sd) is "
         "one standard deviation among generated images. On top of each card: what the classifier "
         "says of the original.</p>\n";
}

std::string body_of(const ReportConfig& config, const ReportInputs& inputs) {
  const auto run = fs::absolute(inputs.run_dir).lexically_normal();
  const auto name = run.has_filename() ? run.filename() : run.parent_path().filename();
  std::string body = "<h1>" + html::escape(title_of(config, inputs)) +
                     "</h1>\n<p class=\"lead\">stylescope report of the run <b>" +
                     html::escape(name.string()) + "</b></p>\n" + contents(inputs.has("/phantom"));
  body += summary_section(inputs);
  body += html::section(
      "images", "Explained images",
      reading_guide(inputs) + html::explanation_cards(inputs.explanations, inputs.legend));
  body += phantom_section(inputs) + metrics_section(inputs) + data_section(inputs) +
          training_section(inputs) + manifest_section(inputs);
  return body + "<footer>Made by stylescope " STYLESCOPE_VERSION
                ". Method: Schutte et al. 2020, “Using StyleGAN for Visual Interpretability of "
                "Deep Learning Models on Medical "
                "Images”. Not a medical device.</footer>";
}

}  // namespace

void ReportConfig::describe(Fields& f) {
  f.field("title", title, "of the page (empty: made from the positive classes)");
}

nlohmann::json run_report(const ReportConfig& config, RunContext& context) {
  double bytes = 0, images = 0;
  on_root(context.world, [&] {
    const auto inputs = read_report_inputs(context);
    const auto text = html::page(title_of(config, inputs), body_of(config, inputs));
    publish_text(context.out_dir / fs::path(artifacts::report).filename(), text);
    bytes = static_cast<double>(text.size());
    images = static_cast<double>(inputs.explanations.size());
  });
  // The others learn the root's figures.
  bytes = context.world.all_reduce(bytes, ReduceOp::max);
  images = context.world.all_reduce(images, ReduceOp::max);
  return {{"bytes", static_cast<int64_t>(bytes)}, {"images", static_cast<int64_t>(images)}};
}

}  // namespace stylescope
