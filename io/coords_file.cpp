#include "io/coords_file.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/hdf5_file.hpp"

#include <cmath>

namespace stylescope {
namespace {

constexpr const char* kAdvice = "give the coords file (.h5) that CLAM or TRIDENT wrote";

// The attributes of /coords, read one by one with what goes missing noted.
class CoordsReader {
 public:
  explicit CoordsReader(const std::filesystem::path& file)
      : file_(file.string()),
        hdf5_(hdf5::File::open(file, kAdvice)),
        data_(hdf5_.dataset("coords")) {
    coords_.name = file.stem().string();
  }

  TileCoords read() {
    read_corners();
    const bool trident = has("patch_size_level0") || has("target_magnification");
    require(trident || has("patch_level"), "patch_level",
            "is missing, and so are patch_size_level0 and target_magnification: neither CLAM's nor "
            "TRIDENT's layout");
    coords_.tile_px = whole("patch_size", value("patch_size"));
    read_name();
    trident ? read_trident() : read_clam();
    return std::move(coords_);
  }

 private:
  bool has(const std::string& name) const {
    return data_.number_attribute(name) || data_.text_attribute(name);
  }
  void require(bool ok, const std::string& attribute, const std::string& problem) const {
    validate(ok, file_, ": data set 'coords': attribute '", attribute, "' ", problem, "; ",
             kAdvice);
  }
  // `count` numbers; one stands for all. Nothing, and noted, where it is missing or TRIDENT's
  // "None".
  std::optional<std::vector<double>> numbers(const std::string& name, size_t count) {
    auto found = data_.number_attribute(name);
    if (!found) {
      const auto text = data_.text_attribute(name);
      require(!text || *text == "None", name, "says '" + text.value_or("") + "', no number");
      coords_.unknown.push_back(name);
      return std::nullopt;
    }
    if (found->size() == 1) found->resize(count, found->front());
    require(found->size() == count, name, "holds " + std::to_string(found->size()) + " numbers");
    for (const double number : *found)
      require(std::isfinite(number) && number >= 0, name, "is " + std::to_string(number));
    return found;
  }
  std::optional<double> number(const std::string& name) {
    const auto found = numbers(name, 1);
    return found ? std::optional(found->front()) : std::nullopt;
  }
  double value(const std::string& name) {
    const auto found = number(name);
    require(found.has_value(), name, "is missing");
    return *found;
  }
  int64_t whole(const std::string& name, double number) const {
    require(number == std::floor(number) && number < 1e9, name,
            "is " + std::to_string(number) + ", no whole number");
    return static_cast<int64_t>(number);
  }
  // An optional width and height.
  std::optional<std::array<int64_t, 2>> size(const std::string& name) {
    const auto found = numbers(name, 2);
    if (!found) return std::nullopt;
    return std::array{whole(name, (*found)[0]), whole(name, (*found)[1])};
  }

  void read_corners() {
    const auto& shape = data_.shape();
    validate(shape.size() == 2 && shape[1] == 2, file_,
             ": data set 'coords' is no list of (x, y); ", kAdvice);
    const torch::Tensor corners = data_.read();
    coords_.level0 = corners.to(torch::kInt64);
    validate(!corners.is_floating_point() || corners.equal(coords_.level0.to(corners.dtype())),
             file_, ": data set 'coords' holds fractions of pixels; ", kAdvice);
  }
  // CLAM's forks say wsi_name.
  void read_name() {
    auto name = data_.text_attribute("name");
    if (!name || name->empty()) name = data_.text_attribute("wsi_name");
    if (name && !name->empty())
      coords_.name = *name;
    else
      coords_.unknown.push_back("name");
  }

  void read_clam() {
    coords_.layout = "clam";
    coords_.level = whole("patch_level", value("patch_level"));
    if (const auto found = numbers("downsample", 2))
      coords_.downsample = {(*found)[0], (*found)[1]};
    else if (*coords_.level == 0)
      coords_.downsample = {1, 1};
    require(coords_.downsample.has_value(), "downsample",
            "is missing, and without it the tiles of level " + std::to_string(*coords_.level) +
                " have no known size");
    coords_.level_size = size("level_dim");
    // Older CLAM scaled tiles further down after reading.
    const auto further = data_.number_attribute("custom_downsample");
    const double factor = further && further->size() == 1 ? further->front() : 1;
    coords_.width0 = static_cast<double>(coords_.tile_px) * (*coords_.downsample)[0] * factor;
    coords_.height0 = static_cast<double>(coords_.tile_px) * (*coords_.downsample)[1] * factor;
    require_tile("downsample");
  }

  void read_trident() {
    coords_.layout = "trident";
    coords_.level0_magnification = number("level0_magnification");
    coords_.target_magnification = number("target_magnification");
    coords_.overlap = number("overlap");
    const auto width = number("level0_width"), height = number("level0_height");
    if (width && height)
      coords_.level0_size = {whole("level0_width", *width), whole("level0_height", *height)};
    if (const auto side = number("patch_size_level0")) {
      coords_.width0 = *side;
    } else {
      require(coords_.level0_magnification && coords_.target_magnification.value_or(0) > 0,
              "patch_size_level0", "is missing, and does not follow from the magnifications");
      coords_.width0 = static_cast<double>(coords_.tile_px) * *coords_.level0_magnification /
                       *coords_.target_magnification;
    }
    coords_.height0 = coords_.width0;
    require_tile("patch_size_level0");
  }

  void require_tile(const std::string& attribute) const {
    require(coords_.tile_px > 0, "patch_size", "is 0");
    require(coords_.width0 > 0 && coords_.height0 > 0, attribute, "leaves tiles without size");
  }

  std::string file_;
  hdf5::File hdf5_;
  hdf5::Dataset data_;
  TileCoords coords_;
};

void write_clam(hdf5::Dataset& data, const TileCoords& coords, const std::string& file) {
  validate(coords.level && coords.downsample && coords.level_size, file,
           ": cannot be written in CLAM's layout, which needs the level, its downsample and its "
           "size; write TRIDENT's");
  const std::vector<int64_t> size{(*coords.level_size)[0], (*coords.level_size)[1]};
  data.write_attribute("patch_level", *coords.level);
  data.write_attribute("downsample",
                       std::vector<double>{(*coords.downsample)[0], (*coords.downsample)[1]});
  data.write_attribute("downsampled_level_dim", size);
  data.write_attribute("level_dim", size);
}

void write_number(hdf5::Dataset& data, const std::string& name, double value) {
  if (value == std::floor(value))
    data.write_attribute(name, static_cast<int64_t>(value));  // as TRIDENT has them
  else
    data.write_attribute(name, value);
}

void write_trident(hdf5::Dataset& data, const TileCoords& coords, const std::string& file) {
  validate(
      coords.level0_magnification && coords.target_magnification, file,
      ": cannot be written in TRIDENT's layout, which needs the magnification of the slide and "
      "of the tiles; write CLAM's");
  write_number(data, "patch_size_level0", coords.width0);
  write_number(data, "level0_magnification", *coords.level0_magnification);
  write_number(data, "target_magnification", *coords.target_magnification);
  write_number(data, "overlap", coords.overlap.value_or(0));
  if (!coords.level0_size) return;
  data.write_attribute("level0_width", (*coords.level0_size)[0]);
  data.write_attribute("level0_height", (*coords.level0_size)[1]);
}

}  // namespace

TileCoords read_coords(const std::filesystem::path& file) { return CoordsReader(file).read(); }

void write_coords(const std::filesystem::path& file, const TileCoords& coords,
                  const std::string& folder) {
  const bool clam = coords.layout == "clam";
  SS_CHECK(clam || coords.layout == "trident", coords.layout);
  SS_CHECK(coords.level0.dim() == 2 && coords.level0.size(1) == 2 &&
           coords.level0.scalar_type() == torch::kInt64);
  publish_file(file, [&](const std::filesystem::path& temporary) {
    hdf5::File out =
        hdf5::File::create(temporary, "check the disk's space and the folder's permissions");
    {
      out.write("coords", coords.level0);
      hdf5::Dataset data = out.dataset("coords");
      data.write_attribute("patch_size", coords.tile_px);
      data.write_attribute("name", coords.name);
      data.write_attribute(clam ? "save_path" : "savetodir", folder);
      clam ? write_clam(data, coords, file.string()) : write_trident(data, coords, file.string());
    }
    out.close();
  });
}

}  // namespace stylescope
