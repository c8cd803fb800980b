#include "io/pickle_reader.hpp"

#include "io/base/error.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <utility>

// The opcodes are those of Python's pickletools.
namespace stylescope {
namespace {

using Kind = PickleValue::Kind;

constexpr std::array<std::pair<const char*, torch::Dtype>, 10> kStorages{
    {{"torch.FloatStorage", torch::kFloat32},
     {"torch.DoubleStorage", torch::kFloat64},
     {"torch.HalfStorage", torch::kFloat16},
     {"torch.BFloat16Storage", torch::kBFloat16},
     {"torch.LongStorage", torch::kInt64},
     {"torch.IntStorage", torch::kInt32},
     {"torch.ShortStorage", torch::kInt16},
     {"torch.CharStorage", torch::kInt8},
     {"torch.ByteStorage", torch::kUInt8},
     {"torch.BoolStorage", torch::kBool}}};

[[noreturn]] void fail(const std::string& what, size_t at) {
  throw Error(detail::concatenate("is damaged, or no file of torch.save (", what, " at byte ", at,
                                  " of its pickle)"));
}

std::vector<int64_t> numbers_of(const PickleValue& value) {
  std::vector<int64_t> numbers;
  for (const auto* item : value.items) numbers.push_back(item->number);
  return numbers;
}

// Do these extents ask for at most `numbers` numbers?
bool holds(int64_t numbers, const std::vector<int64_t>& sizes) {
  if (std::ranges::any_of(sizes, [](int64_t n) { return n < 0; })) return false;
  if (std::ranges::find(sizes, 0) != sizes.end())
    return std::ranges::all_of(sizes, [](int64_t n) { return n < int64_t{1} << 31; });
  for (const auto n : sizes) numbers /= n;  // whole numbers: the same as dividing by their product
  return numbers > 0;
}

}  // namespace

std::string_view PickleReader::take(uint64_t count) {
  if (count > bytes_.size() - at_) fail("it ends too early", at_);
  const auto part = bytes_.substr(at_, count);
  at_ += count;
  return part;
}

uint64_t PickleReader::unsigned_number(size_t width) {
  const auto part = take(width);
  uint64_t value = 0;
  for (size_t i = width; i > 0; --i) value = value << 8 | static_cast<uint8_t>(part[i - 1]);
  return value;
}

std::string PickleReader::line() {
  const auto end = bytes_.find('\n', at_);
  if (end == std::string_view::npos) fail("a name does not end", at_);
  std::string text(take(end - at_));
  ++at_;
  return text;
}

PickleValue* PickleReader::pop() {
  if (stack_.empty()) fail("a value is missing", at_);
  auto* value = stack_.back();
  stack_.pop_back();
  return value;
}

PickleValue* PickleReader::top() {
  if (stack_.empty()) fail("a value is missing", at_);
  return stack_.back();
}

std::vector<PickleValue*> PickleReader::pop_to_mark() {
  std::vector<PickleValue*> items;
  for (auto* value = pop(); value->kind != Kind::mark; value = pop()) items.push_back(value);
  std::ranges::reverse(items);
  return items;
}

void PickleReader::push_tuple(std::vector<PickleValue*> items) {
  auto* tuple = add(Kind::tuple);
  tuple->items = std::move(items);
  push(tuple);
}

const PickleValue& PickleReader::next() {
  stack_.clear();
  memo_.clear();
  while (true) {
    const auto code = static_cast<uint8_t>(take(1)[0]);
    if (code == '.') return *pop();
    if (!step(code)) fail(detail::concatenate("opcode ", static_cast<int>(code)), at_);
  }
}

bool PickleReader::step(uint8_t code) {
  if (read_number(code) || read_text(code) || change_container(code) || use_memo(code)) return true;
  switch (code) {
    case 0x80:  // PROTO
      take(1);
      return true;
    case 0x95:  // FRAME
      take(8);
      return true;
    case '(':
      push(add(Kind::mark));
      return true;
    case '0':  // POP
      pop();
      return true;
    case 'N':
      push(add(Kind::none));
      return true;
    case 'c': {  // GLOBAL
      auto* global = add(Kind::global);
      global->text = line();
      global->text += '.';
      global->text += line();
      push(global);
      return true;
    }
    case 0x93: {  // STACK_GLOBAL
      const auto name = pop()->text;
      auto* global = add(Kind::global);
      global->text = pop()->text + "." + name;
      push(global);
      return true;
    }
    case 'R':
      reduce();
      return true;
    case 0x81: {  // NEWOBJ
      pop();
      auto* made = add(Kind::other);
      made->text = pop()->text;
      push(made);
      return true;
    }
    case 'b':  // BUILD: a state_dict keeps the versions of its modules so, which nobody needs here
      pop();
      return true;
    case 'Q':
      persistent();
      return true;
    default:
      return false;
  }
}

bool PickleReader::read_number(uint8_t code) {
  int64_t value = 0;
  switch (code) {
    case 'K':
      value = static_cast<int64_t>(unsigned_number(1));
      break;
    case 'M':
      value = static_cast<int64_t>(unsigned_number(2));
      break;
    case 'J':
      value = static_cast<int32_t>(static_cast<uint32_t>(unsigned_number(4)));
      break;
    case 0x8a: {  // LONG1: little-endian, two's complement; of the long ones the low 8 bytes
      const auto part = take(unsigned_number(1));
      const bool negative = !part.empty() && (static_cast<uint8_t>(part.back()) & 0x80) != 0;
      uint64_t bits = negative ? ~uint64_t{0} : 0;
      for (size_t i = std::min<size_t>(part.size(), 8); i > 0; --i)
        bits = bits << 8 | static_cast<uint8_t>(part[i - 1]);
      value = static_cast<int64_t>(bits);
      break;
    }
    case 'G':  // BINFLOAT: its value means nothing here
      take(8);
      break;
    case 0x88:
    case 0x89:
      value = code == 0x88 ? 1 : 0;
      break;
    default:
      return false;
  }
  auto* number = add(Kind::number);
  number->number = value;
  push(number);
  return true;
}

bool PickleReader::read_text(uint8_t code) {
  size_t width = 0;
  switch (code) {
    case 'X':  // BINUNICODE
    case 'T':  // BINSTRING
    case 'B':  // BINBYTES
      width = 4;
      break;
    case 0x8c:  // SHORT_BINUNICODE
    case 'U':   // SHORT_BINSTRING
    case 'C':   // SHORT_BINBYTES
      width = 1;
      break;
    default:
      return false;
  }
  auto* text = add(Kind::text);
  text->text = std::string(take(unsigned_number(width)));
  push(text);
  return true;
}

bool PickleReader::change_container(uint8_t code) {
  switch (code) {
    case '}':
      push(add(Kind::dict));
      return true;
    case ']':
      push(add(Kind::list));
      return true;
    case ')':
      push(add(Kind::tuple));
      return true;
    case 't':
      push_tuple(pop_to_mark());
      return true;
    case 0x85:
    case 0x86:
    case 0x87: {
      std::vector<PickleValue*> items(code - 0x84);
      for (size_t i = items.size(); i > 0; --i) items[i - 1] = pop();
      push_tuple(std::move(items));
      return true;
    }
    case 's':
    case 'u': {  // SETITEM, SETITEMS
      std::vector<PickleValue*> items;
      if (code == 's') {
        auto* value = pop();
        items = {pop(), value};
      } else {
        items = pop_to_mark();
      }
      if (items.size() % 2 != 0) fail("a key without a value", at_);
      auto& into = top()->items;
      into.insert(into.end(), items.begin(), items.end());
      return true;
    }
    case 'a':
    case 'e': {  // APPEND, APPENDS
      const auto items = code == 'a' ? std::vector<PickleValue*>{pop()} : pop_to_mark();
      auto& into = top()->items;
      into.insert(into.end(), items.begin(), items.end());
      return true;
    }
    default:
      return false;
  }
}

bool PickleReader::use_memo(uint8_t code) {
  switch (code) {
    case 'q':
      memo_[unsigned_number(1)] = top();
      return true;
    case 'r':
      memo_[unsigned_number(4)] = top();
      return true;
    case 0x94:  // MEMOIZE
      memo_[memo_.size()] = top();
      return true;
    case 'h':
    case 'j': {
      const auto found = memo_.find(unsigned_number(code == 'h' ? 1 : 4));
      if (found == memo_.end()) fail("a value that was not kept", at_);
      push(found->second);
      return true;
    }
    default:
      return false;
  }
}

// A call: of the few functions that a state_dict is made by. Any other is not called.
void PickleReader::reduce() {
  const auto* arguments = pop();
  const auto* function = pop();
  if (arguments->kind != Kind::tuple) fail("a call without arguments", at_);
  const auto& name = function->text;
  PickleValue* made = nullptr;
  if (name == "collections.OrderedDict") {
    made = add(Kind::dict);
  } else if (name == "torch._utils._rebuild_tensor_v2" || name == "torch._utils._rebuild_tensor") {
    made = rebuilt_tensor(arguments->items);
  } else if (name == "torch._utils._rebuild_parameter" && !arguments->items.empty()) {
    made = arguments->items.front();
  } else {
    made = add(Kind::other);
    made->text = name;
  }
  push(made);
}

PickleValue* PickleReader::rebuilt_tensor(const std::vector<PickleValue*>& arguments) {
  if (arguments.size() < 4 || !arguments[0]->tensor.defined()) fail("a tensor of nothing", at_);
  const auto& stored = arguments[0]->tensor;
  const auto sizes = numbers_of(*arguments[2]);
  // Strides of 0 would make anything of a few numbers.
  if (!holds(stored.numel(), sizes)) fail("a tensor of more numbers than were saved", at_);
  auto* made = add(Kind::tensor);
  made->tensor = stored.as_strided(sizes, numbers_of(*arguments[3]), arguments[1]->number);
  return made;
}

// ("storage", torch.FloatStorage, key, device, elements)
void PickleReader::persistent() {
  const auto* id = pop();
  const auto& items = id->items;
  if (id->kind != Kind::tuple || items.size() < 5 || items[0]->text != "storage")
    fail("an unknown reference", at_);
  const auto* found = std::ranges::find_if(
      kStorages, [&](const auto& storage) { return items[1]->text == storage.first; });
  if (found == kStorages.end()) fail("numbers of the kind " + items[1]->text, at_);
  if (items[4]->number < 0) fail("a negative size", at_);
  auto* made = add(Kind::other);
  made->tensor = storage_(found->second, items[2]->text, items[4]->number);
  push(made);
}

}  // namespace stylescope
