#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/log.hpp"
#include "io/picture.hpp"
#include "stages/artifacts.hpp"
#include "stages/explain/explain_stage.hpp"
#include "stages/explain/explainer.hpp"
#include "stages/explain/gather_explanations.hpp"
#include "stages/explain/strip_pictures.hpp"
#include "stages/html/explanation_cards.hpp"
#include "stages/html/page.hpp"
#include "stages/html/text.hpp"

#include <cmath>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

struct ReadImages {
  std::vector<std::string> names, sources;
  torch::Tensor pixels;                                  // (n, C, H, W) uint8
  std::vector<std::pair<std::string, std::string>> bad;  // left out, and why
};

ReadImages read_given(const std::vector<GivenImage>& images, int64_t channels, int64_t resolution) {
  ReadImages given;
  std::vector<torch::Tensor> pixels;
  for (const auto& image : images) {
    try {
      const torch::Tensor whole = image.read(channels);
      check_picture_size(image.source, whole, resolution);
      pixels.push_back(resize_picture(whole, resolution));
      given.names.push_back(image.name);
      given.sources.push_back(image.source);
    } catch (const Error& error) {
      given.bad.emplace_back(image.source, error.what());
    }
  }
  if (!pixels.empty()) given.pixels = torch::stack(pixels);
  return given;
}

std::string page_of(const ExplanationSet& set, const ReadImages& given,
                    const TrainedNetworks& networks) {
  const html::CardLegend legend{networks.f->class_names(), networks.f->positive_names(),
                                networks.direction.lambda_of_sd(1)};
  const auto positive = html::escape(html::positive_name(legend));
  std::string body =
      "<h1>What would have to change?</h1>\n<p class=\"lead\">Each image is shown as the generator "
      "reconstructs it, moved along the direction that changes the classifier's probability of "
      "<b>" +
      positive +
      "</b>. Compare the reconstruction with the original first: what the reconstruction loses, "
      "the moved images cannot show.</p>\n";
  body += html::section("images", "Explained images", html::explanation_cards(set, legend));
  if (!given.bad.empty()) {
    std::string list = "<ul>";
    for (const auto& [name, reason] : given.bad) list += "<li>" + html::escape(reason) + "</li>";
    body += html::section("left-out", "Left out", list + "</ul>\n");
  }
  return html::page("stylescope: what would have to change?", body);
}

}  // namespace

GivenImage given_picture(const fs::path& file, const PictureSettings& settings) {
  return {file.filename().string(), file.string(),
          [file, settings](int64_t channels) { return read_picture(file, channels, settings); }};
}

nlohmann::json explain_images(const ExplainConfig& config, RunContext& context,
                              const std::vector<GivenImage>& images, const fs::path& out) {
  config.check();
  if (images.empty()) throw UsageError("explain: no images are given; name one at least");
  auto networks = load_trained_networks(context);
  const auto given = read_given(images, networks.channels(), networks.resolution());
  if (context.world.is_root())
    for (const auto& [name, reason] : given.bad) log::warn("left out: {}", reason);
  validate(!given.names.empty(), given.bad.empty() ? "" : given.bad.front().second,
           given.bad.size() > 1 ? " (and none of the other images can be read either)" : "");

  Explainer explainer(networks, config);
  auto set = explain_on_all_ranks(
      explainer, static_cast<int64_t>(given.names.size()),
      [&](int64_t i) { return given.pixels.slice(0, i, i + 1); }, context);
  for (size_t i = 0; i < given.names.size(); ++i) set.name[i] = given.names[i];

  on_root(context.world, [&] {
    std::error_code error;
    fs::create_directories(out, error);
    validate(!error, out.string(), ": cannot be made (", error.message(), "); give another folder");
    write_explanations(out / fs::path(artifacts::explanations).filename(), set);
    write_strip_pictures(out, set);
    publish_text(out / "index.html", page_of(set, given, networks));
  });

  auto results = nlohmann::json::array();
  for (int64_t i = 0; i < set.size(); ++i)
    results.push_back({{"image", given.sources[static_cast<size_t>(i)]},
                       {"f", set.f_original[i].item<double>()},
                       {"f_reconstruction", set.f_strip[i][set.lambda.numel() / 2].item<double>()},
                       {"f_lowest_lambda", set.f_strip[i][0].item<double>()},
                       {"f_highest_lambda", set.f_strip[i][-1].item<double>()}});
  auto bad = nlohmann::json::array();
  for (const auto& [name, reason] : given.bad) bad.push_back({{"image", name}, {"reason", reason}});
  return {{"images", results}, {"left_out", bad}};
}

}  // namespace stylescope
