#include "io/safetensors_header.hpp"
#include "tests/io/faults.hpp"

#include <sstream>
#include <string>

namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::TempDir;

std::string file_of(const std::string& header, size_t data) {
  std::string bytes;
  for (size_t i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i));
  return bytes + header + std::string(data, '\1');
}

TensorFile read(const std::string& bytes) {
  std::istringstream in(bytes);
  return read_safetensors(in, "a.safetensors");
}

TEST(Safetensors, ComesBackTheSame) {
  const TempDir dir;
  const auto file = dir / "a.safetensors";
  torch::manual_seed(1);
  TensorFile content;
  content.metadata = {{"kind", "some\n\"thing\""}, {"\xc3\xa4", "\\"}};
  for (const auto type : {torch::kFloat64, torch::kFloat32, torch::kFloat16, torch::kBFloat16})
    content.tensors.emplace_back(torch::toString(type), torch::randn({2, 3}).to(type));
  content.tensors.emplace_back("scalar", torch::tensor(int64_t{1} << 40));
  content.tensors.emplace_back("none", torch::empty({0, 5}, torch::kUInt8));
  content.tensors.emplace_back("turned", torch::arange(6).view({2, 3}).t());
  content.tensors.emplace_back("flags", torch::tensor({true, false, true}));
  write_safetensors(file, content);

  const auto back = read_safetensors(file);
  const auto header = read_safetensors_header(file);
  EXPECT_EQ(back.metadata, content.metadata);
  EXPECT_EQ(header.metadata, content.metadata);
  ASSERT_EQ(back.tensors.size(), content.tensors.size());
  ASSERT_EQ(header.tensors.size(), content.tensors.size());
  for (size_t i = 0; i < content.tensors.size(); ++i) {
    const auto& [name, tensor] = content.tensors[i];
    EXPECT_EQ(back.tensors[i].first, name);
    EXPECT_TRUE(back.tensors[i].second.equal(tensor)) << name;
    EXPECT_EQ(header.tensors[i].first, name);
    EXPECT_EQ(header.tensors[i].second.sizes(), tensor.sizes()) << name;
    EXPECT_EQ(header.tensors[i].second.scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(header.tensors[i].second.is_meta()) << name;
  }
}

TEST(Safetensors, DamageGetsASentence) {
  const auto says = [](const std::string& bytes, const std::vector<std::string>& parts) {
    expect_sentence(error_of([&] { read(bytes); }), "a.safetensors", parts);
  };
  const std::string one = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  EXPECT_EQ(read(file_of(one, 8)).tensors.size(), 1U);
  says("", {"cut off"});
  says(file_of(one, 8).substr(0, 30), {"cut off"});
  says(file_of(one, 7), {"holds 7 bytes of data where its header says 8"});
  says(file_of(one, 9), {"holds 9 bytes"});
  says(file_of(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8), {"offsets"});
  says(file_of(R"({"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}})", 8), {"dtype F31"});
  says(file_of(R"({"a":{"dtype":"F32","shape":[2]}})", 8), {"no data_offsets"});
  says(file_of(R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})", 8), {"whole number"});
  says(file_of("{\"a", 0), {"a string does not end"});
}

// Once accepted: which of the two was meant?
TEST(Safetensors, ANameTwiceIsRefused) {
  expect_sentence(error_of([] {
                    read(file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                 R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                 2));
                  }),
                  "a.safetensors", {"tensor 'a' stands twice"});
}

TEST(Safetensors, ExtentsBeyondAnyMemoryAreRefusedEvenBesideAZero) {
  for (const char* shape :
       {"[999999999999999999,999999999999999999]", "[999999999999999999,0,999999999999999999]"})
    expect_sentence(error_of([&] {
                      read(file_of(std::string(R"({"a":{"dtype":"F64","shape":)") + shape +
                                       R"(,"data_offsets":[0,0]}})",
                                   0));
                    }),
                    "a.safetensors", {"offsets that do not fit its shape"});
}

// An end ahead of its begin makes -1 bytes, and so would a size that cannot be counted.
TEST(Safetensors, AnEndAheadOfItsBeginIsRefused) {
  const std::string bytes =
      file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
              R"("b":{"dtype":"U8","shape":[999999999999999999,9],"data_offsets":[1,0]}})",
              0);
  expect_sentence(error_of([&] { read(bytes); }), "a.safetensors",
                  {"'b' has offsets that do not fit its shape"});
}

TEST(Safetensors, AFolderIsNoFile) {
  const TempDir dir;
  expect_sentence(error_of([&] { read_safetensors(dir.path()); }), dir.path(), {"folder"});
  expect_sentence(error_of([&] { read_safetensors(dir / "none"); }), dir / "none",
                  {"No such file"});
}

}  // namespace
}  // namespace stylescope
