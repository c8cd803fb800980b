#pragma once

#include "io/image_set.hpp"
#include "io/picture.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <torch/torch.h>

// A data set as StyleGAN2-ADA's dataset_tool.py makes it and its loader (training/dataset.py) reads
// it: a zip archive, or a folder laid out alike, of square PNG pictures of one size, a power of
// two, in any folders (dataset_tool: 00000/img00000000.png), and at its top
//   dataset.json   {"labels": [["00000/img00000000.png", 3], ...]}, or "labels": null
// What stylescope writes has beside "labels" an entry "stylescope", which the loader passes over:
//   {"label_names": [K], "subjects": [N], "splits": [N], "paths": [N]}, in the order of the labels
namespace stylescope {

struct StyleganRecord {
  std::string name;  // in the archive, or below the folder
  int64_t label = 0;
  int64_t entry = 0;           // of dataset.json's labels, from 1
  std::string subject;         // "": the data set says nothing of it
  std::optional<Split> split;  // likewise
  int64_t bytes = 0;           // of the picture's file
};

class StyleganSet {
 public:
  // Throws Error, naming file and entry: see ZipArchive; dataset.json is missing, no JSON, without
  // labels, names a picture that is not there or one twice, or has a label that is no whole number
  // from 0 to 9,999; a picture has no label; there are none.
  explicit StyleganSet(const std::filesystem::path& zip_or_folder);
  ~StyleganSet();
  StyleganSet(StyleganSet&&) noexcept;
  StyleganSet& operator=(StyleganSet&&) noexcept;

  // Sorted by name, as the loader numbers them.
  const std::vector<StyleganRecord>& records() const;
  // As stylescope wrote them, else the numbers "0", "1", ... up to the largest label.
  const std::vector<std::string>& label_names() const;
  // Whether stylescope wrote subjects and splits.
  bool has_subjects() const;
  // (C, H, W) uint8, from any thread. Throws Error: see decode_picture and ZipArchive::read; of
  // another size than the first picture.
  torch::Tensor picture(int64_t index, int64_t channels,
                        const PictureSettings& settings = {}) const;
  // "<archive or folder>/<name>", by which errors about a picture begin.
  std::string where(int64_t index) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Is this the name of a PNG, JPEG or TIFF picture?
bool has_picture_ending(const std::filesystem::path& file);

// The rows of `images`, in their order, as a zip archive (where `out` ends in .zip) or a folder;
// neither may be there yet, nor `out`.partial beside a folder. PNGs keep every pixel. Throws Error,
// naming `images_file`, when the images are no squares of a power of two.
void write_stylegan_set(const std::filesystem::path& out, const ImageSet& images,
                        const std::string& images_file, const std::vector<int64_t>& rows);

}  // namespace stylescope
