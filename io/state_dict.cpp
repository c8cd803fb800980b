#include "io/state_dict.hpp"

#include "io/atomic_file.hpp"
#include "io/base/error.hpp"
#include "io/first_bytes.hpp"
#include "io/pickle_reader.hpp"

#include <algorithm>
#include <array>
#include <caffe2/serialize/inline_container.h>
#include <cstring>
#include <map>
#include <set>
#include <string_view>

namespace stylescope {
namespace {

using Kind = PickleValue::Kind;
using namespace std::string_view_literals;

constexpr std::string_view kZip = "PK\x03\x04"sv, kPickle = "\x80\x02"sv;
// The number that files of before PyTorch 1.6 begin with, as a pickle: the low 8 bytes.
constexpr auto kLegacyMagic = static_cast<int64_t>(0xa86a20f9469cfc6cULL);

std::string advice(const std::filesystem::path& file) {
  const auto name = file.filename().string(), stem = file.stem().string();
  return "convert it with three lines of Python: import torch; from safetensors.torch import "
         "save_file; save_file({k: v.contiguous() for k, v in torch.load('" +
         name + "', map_location='cpu').items()}, '" + stem + ".safetensors')";
}

bool holds_tensors(const PickleValue& value) {
  if (value.kind != Kind::dict && value.kind != Kind::other) return false;
  for (size_t i = 1; i < value.items.size(); i += 2)
    if (value.items[i]->kind == Kind::tensor) return true;
  return false;
}

// The dictionary of tensors in what was saved; null: there is none.
const PickleValue* state_in(const PickleValue& root) {
  if (holds_tensors(root)) return &root;
  static constexpr std::array<std::string_view, 7> kEntries{
      "state_dict", "model_state_dict", "model", "net", "network", "g_ema", "ema"};
  for (const auto entry : kEntries)
    for (size_t i = 0; i + 1 < root.items.size(); i += 2)
      if (root.items[i]->text == entry && holds_tensors(*root.items[i + 1]))
        return root.items[i + 1];
  return nullptr;
}

int64_t bytes_of(const torch::Tensor& tensor) {
  return tensor.numel() * static_cast<int64_t>(tensor.element_size());
}

// Tensors may share what is stored, as tied weights do; but not without end.
constexpr int64_t kMostSharing = 16;

// `stored`: bytes of all storages.
TensorFile tensors_of(const PickleValue& root, int64_t stored) {
  const auto* state = state_in(root);
  validate(state != nullptr, "holds no state_dict", root.kind == Kind::other ? " but " : "",
           root.kind == Kind::other ? root.text : "", " (a dictionary of tensors is needed)");
  TensorFile content;
  bool parallel = true;
  int64_t bytes = 0;
  for (size_t i = 0; i + 1 < state->items.size(); i += 2) {
    const auto& [key, value] = std::pair(state->items[i], state->items[i + 1]);
    if (value->kind != Kind::tensor) continue;
    validate(key->kind == Kind::text, "has a tensor whose name is no text");
    validate(!content.contains(key->text), "has two tensors of the name ", key->text);
    parallel = parallel && key->text.starts_with("module.");
    bytes += bytes_of(value->tensor);
    validate(bytes <= kMostSharing * stored, "has tensors of more than ", kMostSharing,
             " times the ", stored, " bytes that it stores");
    content.tensors.emplace_back(key->text, value->tensor.clone().contiguous());
  }
  if (parallel)
    for (auto& [name, tensor] : content.tensors) name = name.substr("module."sv.size());
  return content;
}

TensorFile read_archive(const std::filesystem::path& file) {
  caffe2::serialize::PyTorchStreamReader archive(file.string());
  validate(
      !archive.hasRecord("constants.pkl"),
      "is a TorchScript module, not a state_dict (give it as classifier or feature network, or "
      "save its state_dict())");
  validate(archive.hasRecord("data.pkl"), "is a zip archive, but none of torch.save's");
  if (archive.hasRecord("byteorder")) {
    const auto [data, size] = archive.getRecord("byteorder");
    validate(std::string_view(static_cast<const char*>(data.get()), size) == "little",
             "was written by a machine with the other byte order");
  }
  std::map<std::string, torch::Tensor> storages;
  int64_t total = 0;
  const auto storage = [&](torch::Dtype dtype, const std::string& key, int64_t elements) {
    auto& stored = storages[key];
    if (stored.defined()) return stored;
    const auto name = "data/" + key;
    validate(archive.hasRecord(name), "lacks its part ", name);
    const auto bytes = archive.getRecordSize(name);
    validate(elements >= 0 && static_cast<uint64_t>(elements) == bytes / torch::elementSize(dtype),
             "has ", bytes, " bytes in its part ", name, " for ", elements, " numbers");
    stored = torch::empty({elements}, dtype);
    archive.getRecord(name, stored.data_ptr(), bytes);
    total += bytes_of(stored);
    return stored;
  };
  const auto [data, size] = archive.getRecord("data.pkl");
  PickleReader reader({static_cast<const char*>(data.get()), size}, storage);
  const auto& root = reader.next();
  return tensors_of(root, total);
}

// Before PyTorch 1.6: a magic number, a version, facts of the machine, the object, the keys of its
// storages, each a pickle; then the storages, each its number of elements and the elements.
TensorFile read_legacy(const std::filesystem::path& file) {
  const auto bytes = read_text(file);
  std::map<std::string, torch::Tensor> storages;
  int64_t total = 0;
  const auto storage = [&](torch::Dtype dtype, const std::string& key, int64_t elements) {
    auto& stored = storages[key];
    if (!stored.defined()) {
      const auto size = static_cast<int64_t>(torch::elementSize(dtype));
      validate(elements <= (std::ssize(bytes) - total) / size, "is cut off (", elements,
               " numbers more in ", bytes.size(), " bytes)");
      stored = torch::empty({elements}, dtype);
      total += elements * size;
    }
    return stored;
  };
  PickleReader reader(bytes, storage);
  validate(reader.next().number == kLegacyMagic, "is a pickle, but none of torch.save's");
  reader.next();
  reader.next();
  const auto& root = reader.next();
  const auto& keys = reader.next();
  size_t at = reader.position();
  std::set<std::string> filled;
  for (const auto* key : keys.items) {
    const auto found = storages.find(key->text);
    validate(found != storages.end(), "has data for nothing (", key->text, ")");
    const auto& stored = found->second;
    validate(at + 8 + stored.nbytes() <= bytes.size(), "is cut off");
    int64_t count = 0;
    std::memcpy(&count, bytes.data() + at, sizeof count);  // little endian, as we are
    validate(count == stored.numel(), "has ", count, " numbers for the ", stored.numel(), " of ",
             key->text);
    std::memcpy(stored.data_ptr(), bytes.data() + at + 8, stored.nbytes());
    at += 8 + stored.nbytes();
    filled.insert(key->text);
  }
  for (const auto& [key, stored] : storages)
    validate(filled.contains(key), "lacks the numbers of ", key);
  return tensors_of(root, total);
}

}  // namespace

bool is_state_dict_file(const std::filesystem::path& file) {
  const auto begin = first_bytes(file, 4);
  return begin.starts_with(kZip) || begin.starts_with(kPickle);
}

TensorFile read_state_dict(const std::filesystem::path& file) {
  const auto begin = first_bytes(file, 4);
  try {
    validate(!begin.empty(), "cannot be read, or is empty");
    if (begin.starts_with(kZip)) return read_archive(file);
    validate(begin.starts_with(kPickle), "is no file of torch.save");
    return read_legacy(file);
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    throw Error(file.string() + ": is damaged, or no file of torch.save (" +
                text.substr(0, text.find('\n')) + "); get it again, or " + advice(file));
  } catch (const Error& error) {
    throw Error(file.string() + ": " + error.what() + "; " + advice(file));
  }
}

}  // namespace stylescope
