#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/picture.hpp"
#include "io/stylegan_set.hpp"
#include "io/zip_archive.hpp"

#include <bit>
#include <cstdio>
#include <fstream>

#include <nlohmann/json.hpp>

namespace fs = std::filesystem;

namespace stylescope {
namespace {

// As dataset_tool.py names its pictures: a thousand a folder.
std::string name_of(int64_t number) {
  char text[48];
  std::snprintf(text, sizeof text, "%05ld/img%08ld.png", static_cast<long>(number / 1000),
                static_cast<long>(number));
  return text;
}

std::string dataset_json(const ImageSet& images, const std::vector<int64_t>& rows) {
  auto labels = nlohmann::json::array(), subjects = labels, splits = labels, paths = labels;
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto& record = images.record(rows[i]);
    labels.push_back({name_of(static_cast<int64_t>(i)), record.label});
    subjects.push_back(record.subject);
    splits.push_back(to_string(record.split));
    paths.push_back(record.path);
  }
  const nlohmann::json content{{"labels", labels},
                               {"stylescope",
                                {{"label_names", images.label_names()},
                                 {"subjects", subjects},
                                 {"splits", splits},
                                 {"paths", paths}}}};
  return content.dump();
}

void write_archive(const fs::path& out, const ImageSet& images, const std::vector<int64_t>& rows) {
  ZipWriter archive(out);
  for (size_t i = 0; i < rows.size(); ++i)
    archive.add(name_of(static_cast<int64_t>(i)),
                [&images, row = rows[i]] { return encode_png(images.read({row})[0]); });
  archive.add("dataset.json", [&] { return dataset_json(images, rows); });
  archive.close();
}

void write_file(const fs::path& file, const std::string& bytes) {
  std::ofstream out(file, std::ios::binary);
  out << bytes;
  out.close();
  validate(out.good(), file.string(),
           ": cannot be written; check the disk's space and permissions");
}

void write_folder(const fs::path& out, const ImageSet& images, const std::vector<int64_t>& rows) {
  const fs::path partial = out.string() + ".partial";
  validate(!fs::exists(partial), partial.string(),
           ": is there already (left by an export that was ended, or something of yours); take it "
           "away, or choose another --out");
  try {
    fs::create_directories(partial);
    for (size_t i = 0; i < rows.size(); ++i) {
      const fs::path file = partial / name_of(static_cast<int64_t>(i));
      fs::create_directories(file.parent_path());
      write_file(file, encode_png(images.read({rows[i]})[0]));
    }
    write_file(partial / "dataset.json", dataset_json(images, rows));
    if (fs::exists(out)) fs::remove(out);  // an empty folder, which cannot be renamed over
    publish_directory(partial, out);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
}

}  // namespace

void write_stylegan_set(const fs::path& out, const ImageSet& images, const std::string& images_file,
                        const std::vector<int64_t>& rows) {
  validate(images.height() == images.width() &&
               std::has_single_bit(static_cast<uint64_t>(images.height())),
           images_file, ": its images have ", images.height(), "x", images.width(),
           " pixels (StyleGAN2-ADA takes squares of a power of two); choose another form");
  fs::path target = out.lexically_normal();
  if (!target.has_filename()) target = target.parent_path();  // "set/" is "set"
  if (target.extension() == ".zip")
    write_archive(target, images, rows);
  else
    write_folder(target, images, rows);
}

}  // namespace stylescope
