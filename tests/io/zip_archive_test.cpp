#include "io/zip_archive.hpp"

#include "tests/io/faults.hpp"

#include <numeric>
#include <zip.h>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::flip_byte;
using testing_support::overwrite;
using testing_support::TempDir;

using Content = std::vector<std::pair<std::string, std::string>>;

std::string bytes_of(size_t count) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<char>(i * i / 7);
  return bytes;
}

void write_archive(const std::filesystem::path& file, const Content& content) {
  ZipWriter writer(file);
  for (const auto& [name, bytes] : content) writer.add(name, [bytes = bytes] { return bytes; });
  writer.close();
}

// As other programs write them: compressed, or encrypted.
void write_by_libzip(const std::filesystem::path& file, const Content& content,
                     zip_uint16_t encryption = ZIP_EM_NONE) {
  zip_t* archive = zip_open(file.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
  ASSERT_NE(archive, nullptr);
  for (const auto& [name, bytes] : content) {
    zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    const auto index = zip_file_add(archive, name.c_str(), source, ZIP_FL_ENC_UTF_8);
    ASSERT_GE(index, 0) << zip_strerror(archive);
    zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), ZIP_CM_DEFLATE, 9);
    if (encryption != ZIP_EM_NONE)
      ASSERT_EQ(
          zip_file_set_encryption(archive, static_cast<zip_uint64_t>(index), encryption, "secret"),
          0);
  }
  ASSERT_EQ(zip_close(archive), 0) << zip_strerror(archive);
}

TEST(ZipArchive, WhatIsWrittenIsReadAndStored) {
  const TempDir dir;
  const Content content{
      {"00000/img00000000.png", bytes_of(3'000'000)}, {"dataset.json", "{}"}, {"empty", ""}};
  write_archive(dir / "a.zip", content);
  const ZipArchive archive(dir / "a.zip");
  ASSERT_EQ(archive.entries().size(), content.size());
  for (size_t i = 0; i < content.size(); ++i) {
    EXPECT_EQ(archive.entries()[i].name, content[i].first);
    EXPECT_EQ(archive.entries()[i].bytes, std::ssize(content[i].second));
    EXPECT_EQ(archive.read(content[i].first), content[i].second);
  }
  EXPECT_TRUE(archive.contains("empty"));
  EXPECT_FALSE(archive.contains("full"));
  // Not compressed: the bytes themselves lie in the file.
  EXPECT_NE(read_text(dir / "a.zip").find(content[0].second), std::string::npos);
  write_archive(dir / "b.zip", content);
  EXPECT_EQ(read_text(dir / "a.zip"), read_text(dir / "b.zip"));
}

TEST(ZipArchive, CompressedEntriesAreRead) {
  const TempDir dir;
  const Content content{{"folder/", ""}, {"folder/a", std::string(100'000, 'x')}};
  write_by_libzip(dir / "a.zip", {content[1]});
  EXPECT_LT(std::filesystem::file_size(dir / "a.zip"), 1000U);
  EXPECT_EQ(ZipArchive(dir / "a.zip").read("folder/a"), content[1].second);
}

TEST(ZipArchive, WhatIsNoWholeArchiveIsNamed) {
  const TempDir dir;
  const auto file = dir / "a.zip";
  const auto error = [&] { return error_of([&] { ZipArchive{file}; }); };
  expect_sentence(error(), file, {"is no file that can be read"});
  overwrite(file, "this is text, and no archive at all; it is long enough to be one");
  expect_sentence(error(), file, {"is no zip archive"});
  write_archive(file, {{"a", bytes_of(5000)}, {"b", bytes_of(5000)}});
  const std::string whole = read_text(file);
  for (const size_t bytes : {size_t{100}, whole.size() / 2, whole.size() - 30}) {
    overwrite(file, whole.substr(0, bytes));
    expect_sentence(error(), file, {"is cut off", "copy or download it again"});
  }
}

TEST(ZipArchive, DamagedEntriesAreFoundByTheirChecksum) {
  const TempDir dir;
  const auto file = dir / "a.zip";
  write_archive(file, {{"a", bytes_of(5000)}, {"b", bytes_of(100)}});
  flip_byte(file, 3000);
  const ZipArchive archive(file);
  expect_sentence(error_of([&] { archive.read("a"); }), file, {"entry 'a' is damaged"});
  EXPECT_EQ(archive.read("b"), bytes_of(100));
  expect_sentence(error_of([&] { archive.read("c"); }), file, {"has no entry 'c'"});
}

TEST(ZipArchive, EncryptedEntriesAreRefused) {
  const TempDir dir;
  write_by_libzip(dir / "a.zip", {{"a", "patient"}}, ZIP_EM_AES_256);
  expect_sentence(error_of([&] { ZipArchive(dir / "a.zip").read("a"); }), dir / "a.zip",
                  {"entry 'a' is encrypted", "password"});
}

TEST(ZipArchive, NamesThatLeadOutOfTheArchiveAreRefused) {
  const TempDir dir;
  const auto file = dir / "a.zip";
  const auto error = [&] { return error_of([&] { ZipArchive{file}; }); };
  for (const std::string name : {"../a", "folder/../../a", "/etc/passwd", "folder\\a"}) {
    write_archive(file, {{name, "a"}});
    expect_sentence(error(), file, {"'" + name + "'", "leads out of the archive"});
  }
  write_archive(file, {{"a..b/c", "a"}});
  EXPECT_EQ(ZipArchive(file).read("a..b/c"), "a");
}

TEST(ZipArchive, ANameThatStandsTwiceIsRefused) {
  const TempDir dir;
  const auto file = dir / "a.zip";
  write_archive(file, {{"name-1", "a"}, {"name-2", "b"}});
  std::string bytes = read_text(file);
  for (size_t at = bytes.find("name-2"); at != std::string::npos; at = bytes.find("name-2"))
    bytes.replace(at, 6, "name-1");
  overwrite(file, bytes);
  expect_sentence(error_of([&] { ZipArchive{file}; }), file, {"'name-1' stands twice"});
}

TEST(ZipWriter, WhatAnEntryThrowsIsThrownAndNoFileStays) {
  const TempDir dir;
  ZipWriter writer(dir / "a.zip");
  writer.add("good", [] { return std::string("a"); });
  writer.add("bad", []() -> std::string { throw Error("row 7 is damaged"); });
  EXPECT_EQ(error_of([&] { writer.close(); }), "row 7 is damaged");
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(ZipWriter, AFullDiskIsSaid) {
  testing_support::SmallDisk disk("256k");
  if (!disk.mounted()) GTEST_SKIP() << "takes root, to mount a small disk";
  ZipWriter writer(disk / "a.zip");
  writer.add("large", [] { return bytes_of(1'000'000); });
  expect_sentence(error_of([&] { writer.close(); }), disk / "a.zip", {"cannot be written"});
}

}  // namespace
}  // namespace stylescope
