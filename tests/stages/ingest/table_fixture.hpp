#pragma once

#include "io/atomic_file.hpp"
#include "io/image_set.hpp"
#include "tests/stages/ingest/ingest_fixture.hpp"

#include <filesystem>
#include <fstream>
#include <string>

namespace stylescope::testing_support {

// A table of pictures beside them.
struct TableFixture : IngestFixture {
  std::filesystem::path file(const std::string& name) const { return pictures() / name; }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(pictures());
    std::ofstream(file(name), std::ios::binary) << text;
  }
  // The configuration for a table with this text.
  IngestConfig table(const std::string& text) const {
    write("films.csv", text);
    auto c = config();
    c.source = "table";
    c.path = "";
    c.table.file = file("films.csv").string();
    c.keep_ids = true;
    return c;
  }
  // Pictures p100.png, p101.png, ... of subjects 100, 101, ..., as rows "p100.png,0,100<more>" with
  // labels 0 and 1 in turn.
  std::string rows(int count, const std::string& more = "") const {
    std::string text;
    for (int i = 0; i < count; ++i) {
      const std::string id = std::to_string(100 + i);
      add("p" + id + ".png", 2 * i);
      text += "p" + id + ".png," + std::to_string(i % 2) + "," + id + more + "\n";
    }
    return text;
  }
  ImageSet images(const std::string& name = "ingest") const {
    return ImageSet(dir / name / "images.h5");
  }
  std::string text_of(const std::string& name) const { return read_text(dir / name); }
};

}  // namespace stylescope::testing_support
