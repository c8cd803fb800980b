#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <torch/torch.h>

namespace stylescope {

// What a pickle says, as far as a state_dict needs it. Nothing is run: an object of a class that is
// not known here becomes `other` with the class's name, and what is done to it is passed over.
struct PickleValue {
  enum class Kind { none, number, text, tuple, list, dict, tensor, global, other, mark };
  Kind kind = Kind::none;
  int64_t number = 0;
  std::string text;  // text, global ("torch.FloatStorage"), other
  std::vector<PickleValue*>
      items;             // of a tuple or list; of a dictionary: key, value, key, value...
  torch::Tensor tensor;  // a tensor, or a storage: one flat tensor
};

// Reads one pickle after another from the same bytes (protocols 0x80 2 to 4, as torch.save writes
// them).
class PickleReader {
 public:
  // The storage that a persistent id names: dtype, key, number of elements.
  using Storage = std::function<torch::Tensor(torch::Dtype, const std::string&, int64_t)>;

  PickleReader(std::string_view bytes, Storage storage)
      : bytes_(bytes), storage_(std::move(storage)) {}

  // The next pickle's value, which lives as long as the reader. Throws Error with what is wrong, as
  // the end of the sentence "<file>: ...".
  const PickleValue& next();
  size_t position() const { return at_; }

 private:
  using Kind = PickleValue::Kind;

  bool step(uint8_t code);
  bool read_number(uint8_t code);
  bool read_text(uint8_t code);
  bool change_container(uint8_t code);
  bool use_memo(uint8_t code);
  void reduce();
  void persistent();

  PickleValue* add(Kind kind) {
    values_.push_back({kind, 0, {}, {}, {}});
    return &values_.back();
  }
  void push(PickleValue* value) { stack_.push_back(value); }
  PickleValue* pop();
  PickleValue* top();
  std::vector<PickleValue*> pop_to_mark();
  void push_tuple(std::vector<PickleValue*> items);
  std::string_view take(uint64_t count);
  uint64_t unsigned_number(size_t width);
  std::string line();
  PickleValue* rebuilt_tensor(const std::vector<PickleValue*>& arguments);

  std::string_view bytes_;
  Storage storage_;
  size_t at_ = 0;
  std::deque<PickleValue> values_;
  std::vector<PickleValue*> stack_;
  std::unordered_map<uint64_t, PickleValue*> memo_;
};

}  // namespace stylescope
