#include "io/state_dict.hpp"

#include "tests/io/faults.hpp"

#include <caffe2/serialize/inline_container.h>
#include <map>
#include <string>

// Files of torch.save, byte by byte as PyTorch 2.14 wrote them.
namespace stylescope {
namespace {

using testing_support::error_of;
using testing_support::expect_sentence;
using testing_support::overwrite;
using testing_support::TempDir;

// OrderedDict(a=[[1, 2], [3, 4]].t(), b.n=7) with the _metadata of a module's state_dict.
const std::string kPickle(
    "\200\002ccollections\012OrderedDict\012q\000)Rq\001(X\001\000\000\000aq\002ctorch._u"
    "tils\012_rebuild_tensor_v2\012q\003((X\007\000\000\000storageq\004ctorch\012FloatSto"
    "rage\012q\005X\001\000\000\0000q\006X\003\000\000\000cpuq\007K\004tq\010QK\000K\002K"
    "\002\206q\011K\001K\002\206q\012\211h\000)Rq\013tq\014Rq\015X\003\000\000\000b.nq"
    "\016h\003((h\004ctorch\012LongStorage\012q\017X\001\000\000\0001q\020h\007K\001tq"
    "\021QK\000))\211h\000)Rq\022tq\023Rq\024u}q\025X\011\000\000\000_metadataq\026}q\027"
    "X\000\000\000\000q\030}q\031X\007\000\000\000versionq\032K\001sssb.",
    292);
// The same in the form of before PyTorch 1.6, as {"epoch": 3, "state_dict": ...} of a DataParallel.
const std::string kLegacy(
    "\200\002\212\012l\374\234F\371 j\250P\031.\200\002M\351\003.\200\002}q\000(X\020\000"
    "\000\000protocol_versionq\001M\351\003X\015\000\000\000little_endianq\002\210X\012"
    "\000\000\000type_sizesq\003}q\004(X\005\000\000\000shortq\005K\002X\003\000\000\000i"
    "ntq\006K\004X\004\000\000\000longq\007K\004uu.\200\002}q\000(X\005\000\000\000epochq"
    "\001K\003X\012\000\000\000state_dictq\002ccollections\012OrderedDict\012q\003)Rq\004"
    "(X\010\000\000\000module.aq\005ctorch._utils\012_rebuild_tensor_v2\012q\006((X\007"
    "\000\000\000storageq\007ctorch\012FloatStorage\012q\010X\016\000\000\000940010728234"
    "88q\011X\003\000\000\000cpuq\012K\004Ntq\013QK\000K\002K\002\206q\014K\001K\002\206q"
    "\015\211h\003)Rq\016tq\017Rq\020X\012\000\000\000module.b.nq\021h\006((h\007ctorch"
    "\012LongStorage\012q\022X\016\000\000\00094001072834976q\023h\012K\001Ntq\024QK\000)"
    ")\211h\003)Rq\025tq\026Rq\027uu.\200\002]q\000(X\016\000\000\00094001072823488q\001X"
    "\016\000\000\00094001072834976q\002e.\004\000\000\000\000\000\000\000\000\000\200"
    "\077\000\000\000@\000\000@@\000\000\200@\001\000\000\000\000\000\000\000\007\000\000"
    "\000\000\000\000\000",
    545);
// A module as a whole: an object of a class.
const std::string kModel(
    "\200\002ctorch.nn.modules.linear\012Linear\012q\000)\201q\001}q\002X\010\000\000\000"
    "trainingq\003\210sb.",
    62);

void write_archive(const std::filesystem::path& file,
                   const std::map<std::string, std::string>& records) {
  caffe2::serialize::PyTorchStreamWriter out(file.string());
  for (const auto& [name, bytes] : records) out.writeRecord(name, bytes.data(), bytes.size());
  out.writeEndOfFile();
}

std::string bytes_of(const torch::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

std::map<std::string, std::string> archive() {
  return {{"data.pkl", kPickle},
          {"byteorder", "little"},
          {"data/0", bytes_of(torch::tensor({1.0F, 2.0F, 3.0F, 4.0F}))},
          {"data/1", bytes_of(torch::tensor({int64_t{7}}))}};
}

void expect_content(const TensorFile& content) {
  ASSERT_EQ(content.tensors.size(), 2U);
  EXPECT_EQ(content.tensors[0].first, "a");
  const auto& a = content.at("a");
  EXPECT_TRUE(a.is_contiguous());
  EXPECT_TRUE(a.equal(torch::tensor({{1.0F, 3.0F}, {2.0F, 4.0F}})));
  EXPECT_TRUE(content.at("b.n").equal(torch::tensor(int64_t{7})));
}

TEST(StateDict, ArchiveOfAStateDict) {
  const TempDir dir;
  write_archive(dir / "net.pth", archive());
  EXPECT_TRUE(is_state_dict_file(dir / "net.pth"));
  expect_content(read_state_dict(dir / "net.pth"));
}

TEST(StateDict, FormOfBeforeWithinACheckpoint) {
  const TempDir dir;
  overwrite(dir / "old.pth", kLegacy);
  EXPECT_TRUE(is_state_dict_file(dir / "old.pth"));
  expect_content(read_state_dict(dir / "old.pth"));
}

TEST(StateDict, WhatIsNoneGetsASentenceWithThreeLinesOfPython) {
  const TempDir dir;
  const auto file = dir / "net.pth";
  const auto says = [&](const std::vector<std::string>& parts) {
    auto all = parts;
    all.push_back("save_file");
    expect_sentence(error_of([&] { read_state_dict(file); }), file, all);
  };
  write_archive(file, {{"data.pkl", kModel}});
  says({"holds no state_dict but torch.nn.modules.linear.Linear"});
  write_archive(file, {{"other", "x"}});
  says({"none of torch.save's"});
  write_archive(file, {{"data.pkl", kPickle}, {"constants.pkl", "x"}});
  says({"is a TorchScript module"});
  auto records = archive();
  records["byteorder"] = "big";
  write_archive(file, records);
  says({"the other byte order"});
  records = archive();
  records.erase("data/1");
  write_archive(file, records);
  says({"lacks its part data/1"});
  records = archive();
  records["data/0"].resize(12);
  write_archive(file, records);
  says({"12 bytes in its part data/0 for 4 numbers"});
  overwrite(file, "PK\003\004 and nothing of a zip file");
  says({"is damaged"});
  overwrite(file, "");
  says({"cannot be read, or is empty"});
  overwrite(file, "text");
  says({"no file of torch.save"});
  EXPECT_FALSE(is_state_dict_file(file));
}

// Cut off anywhere, it is refused and nothing worse.
TEST(StateDict, CutOffAnywhere) {
  const TempDir dir;
  const auto file = dir / "net.pth";
  for (size_t length = 1; length < kLegacy.size(); length += 3) {
    overwrite(file, kLegacy.substr(0, length));
    EXPECT_THROW(read_state_dict(file), Error) << length;
  }
  for (size_t length = 1; length < kPickle.size(); length += 3) {
    auto records = archive();
    records["data.pkl"].resize(length);
    write_archive(file, records);
    EXPECT_THROW(read_state_dict(file), Error) << length;
  }
}

TEST(StateDict, ATensorThatLiesOutsideItsStorageIsRefused) {
  const TempDir dir;
  auto records = archive();
  // The strides (1, 2) of a become (1, 9).
  const auto at = records["data.pkl"].find("K\001K\002\206");
  ASSERT_NE(at, std::string::npos);
  records["data.pkl"][at + 3] = 9;
  write_archive(dir / "net.pth", records);
  expect_sentence(error_of([&] { read_state_dict(dir / "net.pth"); }), dir / "net.pth",
                  {"is damaged"});
}

// Strides of 0 make of one number as many as one likes.
TEST(StateDict, ATensorOfMoreThanWasSavedIsRefused) {
  const TempDir dir;
  auto records = archive();
  auto& pickle = records["data.pkl"];
  // a: (2, 2) with the strides (1, 2) becomes (2, 255) with (0, 0).
  const auto sizes = pickle.find("K\002K\002\206"), strides = pickle.find("K\001K\002\206");
  ASSERT_NE(sizes, std::string::npos);
  ASSERT_NE(strides, std::string::npos);
  pickle[sizes + 3] = '\xff';
  pickle[strides + 1] = pickle[strides + 3] = 0;
  write_archive(dir / "net.pth", records);
  expect_sentence(error_of([&] { read_state_dict(dir / "net.pth"); }), dir / "net.pth",
                  {"a tensor of more numbers than were saved"});
}

// Many names of one storage, each of which is copied.
TEST(StateDict, SharingWithoutEndIsRefused) {
  const TempDir dir;
  const std::string view(
      "h\003((h\004ctorch\012FloatStorage\012X\001\000\000\0000h\007K\004tQK\000K\004\205K"
      "\001\205\211h\000)RtR",
      53);
  const auto with = [&](int names) {
    auto records = archive();
    auto& pickle = records["data.pkl"];
    const auto end = pickle.find("u}q\025");
    std::string more;
    for (int i = 0; i < names; ++i)
      more += std::string("X\003\000\000\000", 5) + "n" + std::to_string(10 + i) + view;
    pickle.insert(end, more);
    write_archive(dir / "net.pth", records);
  };
  with(5);
  EXPECT_EQ(read_state_dict(dir / "net.pth").tensors.size(), 7U);
  with(60);
  expect_sentence(error_of([&] { read_state_dict(dir / "net.pth"); }), dir / "net.pth",
                  {"has tensors of more than 16 times the 24 bytes that it stores"});
}

TEST(StateDict, NumbersThatTheOldFormLacksAreNotMadeUp) {
  const TempDir dir;
  const auto says = [&](const std::string& bytes, const std::string& part) {
    overwrite(dir / "old.pth", bytes);
    expect_sentence(error_of([&] { read_state_dict(dir / "old.pth"); }), dir / "old.pth", {part});
  };
  // The list of keys names the first storage twice, and the second never.
  auto other = kLegacy;
  const auto at = other.rfind("94001072834976");
  other.replace(at, 14, "94001072823488");
  says(other, "is cut off");
  auto empty = kLegacy;
  const auto list = empty.rfind("\200\002]q");
  empty = empty.substr(0, list) + std::string("\200\002].", 4);
  says(empty, "lacks the numbers of 9400107282");
  auto count = kLegacy;
  count[count.size() - 8 - 8 - 16 - 8] = 3;
  says(count, "has 3 numbers for the 4 of 94001072823488");
}

}  // namespace
}  // namespace stylescope
