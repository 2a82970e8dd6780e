#include "pickle.h"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <map>
#include <optional>

namespace pomona {
namespace {

// The instructions, by the names that Python's pickletools has for them.
enum Opcode : uint8_t {
  kProto = 0x80,
  kGlobal = 'c',
  kReduce = 'R',
  kBuild = 'b',
  kPersistentId = 'Q',
  kStop = '.',
  kMark = '(',
  kEmptyTuple = ')',
  kTuple = 't',
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kPut = 'q',
  kLongPut = 'r',
  kGet = 'h',
  kLongGet = 'j',
  kNone = 'N',
  kTrue = 0x88,
  kFalse = 0x89,
  kInt = 'J',
  kInt1 = 'K',
  kInt2 = 'M',
  kLong1 = 0x8a,
  kFloat = 'G',
  kUnicode = 'X',
  kShortString = 'U',  // of Python 2
};

// Of those that are not read, for messages.
struct OpcodeName {
  uint8_t code;
  const char* name;
};
constexpr OpcodeName kNames[] = {
    {'i', "INST"},
    {'o', "OBJ"},
    {0x81, "NEWOBJ"},
    {0x92, "NEWOBJ_EX"},
    {0x93, "STACK_GLOBAL"},
    {0x95, "FRAME"},
    {0x94, "MEMOIZE"},
    {0x8c, "SHORT_BINUNICODE"},
    {0x82, "EXT1"},
    {0x83, "EXT2"},
    {0x84, "EXT4"},
    {'P', "PERSID"},
    {'0', "POP"},
    {'1', "POP_MARK"},
    {'2', "DUP"},
    {'d', "DICT"},
    {'l', "LIST"},
    {'I', "INT"},
    {'L', "LONG"},
    {'F', "FLOAT"},
    {'S', "STRING"},
    {'V', "UNICODE"},
    {'T', "BINSTRING"},
    {'B', "BINBYTES"},
    {'C', "SHORT_BINBYTES"},
    {0x8b, "LONG4"},
    {'p', "PUT"},
    {'g', "GET"},
};

constexpr char kSaveStateDict[] =
    "save the tensors alone: torch.save(model.state_dict(), \"weights.pth\")";

constexpr std::string_view kOrderedDict = "collections OrderedDict";
constexpr std::string_view kRebuildTensor = "torch._utils _rebuild_tensor_v2";
constexpr std::string_view kRebuildParameter = "torch._utils _rebuild_parameter";

// Far more than a training's last state takes.
constexpr int kMostSteps = 2'000'000;

// Of names that are copied: what refers to them once more takes a few bytes.
constexpr size_t kLongestName = 64;

bool IsStorage(std::string_view global) {
  return global.size() <= kLongestName && global.starts_with("torch ") &&
         global.ends_with("Storage");
}

std::string OpcodeText(uint8_t code) {
  char text[8];
  std::snprintf(text, sizeof text, "0x%02x", code);
  const auto* const known = std::ranges::find(kNames, code, &OpcodeName::code);
  return known == std::end(kNames) ? text : text + std::string(" (") + known->name + ")";
}

// What comes from the file, for a message.
std::string Quoted(std::string_view text) {
  constexpr size_t kMost = 100;
  return "'" + std::string(text.substr(0, kMost)) + (text.size() > kMost ? "...'" : "'");
}

}  // namespace

// The machine.
class PickleReader {
 public:
  explicit PickleReader(std::string_view bytes) : rest_(bytes) {}

  arrow::Result<Pickle> Read() {
    for (int steps = 0;; ++steps) {
      if (steps == kMostSteps) return TooLong();
      ARROW_ASSIGN_OR_RAISE(const auto code, Number(1));
      if (code == kStop) break;
      ARROW_RETURN_NOT_OK(Do(static_cast<uint8_t>(code)));
    }
    if (!marks_.empty() || stack_.size() != 1)
      return Broken("ends with more or less than one value");
    pickle_.root_ = stack_[0];
    return std::move(pickle_);
  }

  std::string_view rest() const { return rest_; }

 private:
  using Id = Pickle::Id;
  using Kind = Pickle::Kind;
  using Value = Pickle::Value;

  static arrow::Status TooLong() {
    return arrow::Status::Invalid("is a longer pickle than is read here");
  }

  static arrow::Status Broken(const char* why) {
    return arrow::Status::Invalid("is a damaged pickle: it ", why);
  }

  arrow::Status Do(uint8_t code) {
    switch (code) {
      case kProto: return Number(1).status();
      case kNone: return Push(Kind::kOther);
      case kTrue: return Push(Kind::kBool, 1);
      case kFalse: return Push(Kind::kBool, 0);
      case kFloat: ARROW_RETURN_NOT_OK(Bytes(8)); return Push(Kind::kOther);
      case kInt: return PushInteger(4, /*is_signed=*/true);
      case kInt1: return PushInteger(1, false);
      case kInt2: return PushInteger(2, false);
      case kLong1: {
        ARROW_ASSIGN_OR_RAISE(const auto bytes, Number(1));
        if (bytes > 8) return arrow::Status::Invalid("has an integer of ", bytes, " bytes");
        return PushInteger(static_cast<size_t>(bytes), true);
      }
      case kUnicode: return PushText(4);
      case kShortString: return PushText(1);
      case kGlobal: return PushGlobal();
      case kReduce: return Call();
      case kBuild: return SetState();
      case kPersistentId: return PushStorage();
      case kMark: marks_.push_back(stack_.size()); return {};
      case kEmptyTuple: return PushParts(Kind::kTuple, 0);
      case kTuple1: return PushParts(Kind::kTuple, 1);
      case kTuple2: return PushParts(Kind::kTuple, 2);
      case kTuple3: return PushParts(Kind::kTuple, 3);
      case kTuple: {
        ARROW_ASSIGN_OR_RAISE(const size_t count, SinceMark());
        return PushParts(Kind::kTuple, count);
      }
      case kEmptyList: return PushParts(Kind::kList, 0);
      case kEmptyDict: return PushParts(Kind::kDictionary, 0);
      case kAppend: return Extend(Kind::kList, 1);
      case kSetItem: return Extend(Kind::kDictionary, 2);
      case kAppends: {
        ARROW_ASSIGN_OR_RAISE(const size_t count, SinceMark());
        return Extend(Kind::kList, count);
      }
      case kSetItems: {
        ARROW_ASSIGN_OR_RAISE(const size_t count, SinceMark());
        if (count % 2) return Broken("sets a key without a value");
        return Extend(Kind::kDictionary, count);
      }
      case kPut: return Remember(1);
      case kLongPut: return Remember(4);
      case kGet: return Recall(1);
      case kLongGet: return Recall(4);
      default:
        return arrow::Status::Invalid("has the pickle opcode ", OpcodeText(code),
                                      ", of which no dictionary of tensors is made as PyTorch "
                                      "saves it; ",
                                      kSaveStateDict);
    }
  }

  arrow::Result<std::string_view> Bytes(size_t count) {
    if (count > rest_.size()) return Broken("breaks off");
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }

  // Little-endian, without a sign.
  arrow::Result<uint64_t> Number(size_t bytes) {
    ARROW_ASSIGN_OR_RAISE(const auto text, Bytes(bytes));
    uint64_t number = 0;
    for (size_t i = bytes; i-- > 0;) number = number << 8 | static_cast<uint8_t>(text[i]);
    return number;
  }

  arrow::Result<std::string_view> Line() {
    const size_t end = rest_.find('\n');
    if (end == rest_.npos) return Broken("breaks off");
    ARROW_ASSIGN_OR_RAISE(const auto line, Bytes(end + 1));
    return line.substr(0, end);
  }

  arrow::Status Push(Kind kind, int64_t number = 0, std::string text = {},
                     std::vector<Id> parts = {}) {
    pickle_.values_.push_back({kind, number, std::move(text), std::move(parts)});
    stack_.push_back(static_cast<Id>(pickle_.values_.size() - 1));
    return {};
  }

  arrow::Status PushInteger(size_t bytes, bool is_signed) {
    ARROW_ASSIGN_OR_RAISE(uint64_t number, Number(bytes));
    const size_t unused = 64 - 8 * bytes;
    if (is_signed && bytes > 0 && bytes < 8 && number >> (8 * bytes - 1)) {
      number |= ~uint64_t{0} << (64 - unused);
    }
    return Push(Kind::kInteger, static_cast<int64_t>(number));
  }

  arrow::Status PushText(size_t bytes_of_size) {
    ARROW_ASSIGN_OR_RAISE(const auto size, Number(bytes_of_size));
    ARROW_ASSIGN_OR_RAISE(const auto text, Bytes(static_cast<size_t>(size)));
    return Push(Kind::kText, 0, std::string(text));
  }

  // Values above the last mark.
  size_t Available() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  // How many they are; the mark goes.
  arrow::Result<size_t> SinceMark() {
    if (marks_.empty()) return Broken("lacks a mark");
    const size_t count = Available();
    marks_.pop_back();
    return count;
  }

  arrow::Result<std::vector<Id>> Pop(size_t count) {
    if (count > Available()) return Broken("takes more values than it made");
    std::vector<Id> ids(stack_.end() - static_cast<ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return ids;
  }

  // The value on top, which stays there.
  arrow::Result<Value*> Top() {
    if (Available() == 0) return Broken("takes more values than it made");
    return &pickle_.values_[stack_.back()];
  }

  arrow::Status PushParts(Kind kind, size_t count) {
    ARROW_ASSIGN_OR_RAISE(auto parts, Pop(count));
    return Push(kind, 0, {}, std::move(parts));
  }

  arrow::Status Extend(Kind kind, size_t count) {
    ARROW_ASSIGN_OR_RAISE(const auto parts, Pop(count));
    ARROW_ASSIGN_OR_RAISE(Value* const container, Top());
    if (container->kind != kind) return Broken("adds to what holds nothing");
    container->parts.insert(container->parts.end(), parts.begin(), parts.end());
    return {};
  }

  arrow::Status Remember(size_t bytes) {
    ARROW_ASSIGN_OR_RAISE(const auto place, Number(bytes));
    ARROW_RETURN_NOT_OK(Top());
    memo_[place] = stack_.back();
    return {};
  }

  arrow::Status Recall(size_t bytes) {
    ARROW_ASSIGN_OR_RAISE(const auto place, Number(bytes));
    const auto found = memo_.find(place);
    if (found == memo_.end()) return Broken("recalls what it never made");
    stack_.push_back(found->second);
    return {};
  }

  arrow::Status PushGlobal() {
    ARROW_ASSIGN_OR_RAISE(const auto module, Line());
    ARROW_ASSIGN_OR_RAISE(const auto name, Line());
    const std::string global = std::string(module) + ' ' + std::string(name);
    if (global != kOrderedDict && global != kRebuildTensor && global != kRebuildParameter &&
        !IsStorage(global)) {
      return arrow::Status::Invalid("holds more than tensors: it asks for ",
                                    Quoted(std::string(module) + '.' + std::string(name)),
                                    ", which is not run here; ", kSaveStateDict);
    }
    return Push(Kind::kGlobal, 0, global);
  }

  arrow::Status Call() {
    ARROW_ASSIGN_OR_RAISE(const auto ids, Pop(2));
    const std::string function = pickle_.at(ids[0]).text;
    const Value& arguments = pickle_.at(ids[1]);
    if (pickle_.at(ids[0]).kind != Kind::kGlobal || arguments.kind != Kind::kTuple) {
      return Broken("calls what is no function");
    }
    if (function == kOrderedDict) return PushOrdered(arguments.parts);
    if (function == kRebuildTensor) return PushTensor(arguments.parts);
    if (function == kRebuildParameter && !arguments.parts.empty()) {
      stack_.push_back(arguments.parts[0]);
      return {};
    }
    return arrow::Status::Invalid("calls ", Quoted(function), " in a way that PyTorch does not");
  }

  // Python 3 calls it without arguments, Python 2 with a list of pairs.
  arrow::Status PushOrdered(const std::vector<Id>& arguments) {
    std::vector<Id> parts;
    if (!arguments.empty()) {
      for (const Id id : pickle_.at(arguments[0]).parts) {
        const std::vector<Id>& pair = pickle_.at(id).parts;
        if (pair.size() != 2) return Broken("has a pair that is none");
        parts.insert(parts.end(), pair.begin(), pair.end());
      }
      // A list may be taken again and again.
      copied_ += parts.size();
      if (copied_ > kMostSteps) return TooLong();
    }
    return Push(Kind::kDictionary, 0, {}, std::move(parts));
  }

  // PyTorch tells of a dictionary's versions so.
  arrow::Status SetState() {
    ARROW_RETURN_NOT_OK(Pop(1));
    ARROW_ASSIGN_OR_RAISE(Value* const object, Top());
    return object->kind == Kind::kDictionary ? arrow::Status::OK()
                                             : Broken("sets the state of what has none");
  }

  // ("storage", torch.FloatStorage, key, device, number of values[, None])
  arrow::Status PushStorage() {
    ARROW_ASSIGN_OR_RAISE(const auto id, Pop(1));
    const std::vector<Id>& parts = pickle_.at(id[0]).parts;
    const auto is = [&](size_t part, Kind kind) { return pickle_.at(parts[part]).kind == kind; };
    if (pickle_.at(id[0]).kind != Kind::kTuple || parts.size() < 5 || parts.size() > 6 ||
        pickle_.at(parts[0]).text != "storage" || !is(1, Kind::kGlobal) || !is(2, Kind::kText) ||
        !is(4, Kind::kInteger) || (parts.size() == 6 && !is(5, Kind::kOther)) ||
        !IsStorage(pickle_.at(parts[1]).text)) {
      return arrow::Status::Invalid("has a persistent id that is no storage of PyTorch's");
    }
    const std::string& key = pickle_.at(parts[2]).text;
    if (key.size() > kLongestName) return Broken("has a storage with a long name");
    const std::string_view type = pickle_.at(parts[1]).text;
    pickle_.storages_.emplace(key, type.substr(type.find(' ') + 1));
    return Push(Kind::kStorage, 0, {}, parts);
  }

  // A list of integers that a tuple holds.
  std::optional<std::vector<int64_t>> Integers(const Value& tuple) const {
    constexpr size_t kMost = 8;
    if (tuple.kind != Kind::kTuple || tuple.parts.size() > kMost) return std::nullopt;
    std::vector<int64_t> numbers;
    for (const Id part : tuple.parts) {
      if (pickle_.at(part).kind != Kind::kInteger) return std::nullopt;
      numbers.push_back(pickle_.at(part).number);
    }
    return numbers;
  }

  // Of storage, offset, shape, strides; what follows is of no matter here.
  arrow::Status PushTensor(const std::vector<Id>& arguments) {
    const auto broken = [] {
      return arrow::Status::Invalid("has a tensor that is none of PyTorch's");
    };
    if (arguments.size() < 4) return broken();
    const Value& storage = pickle_.at(arguments[0]);
    const Value& offset = pickle_.at(arguments[1]);
    const auto shape = Integers(pickle_.at(arguments[2]));
    const auto strides = Integers(pickle_.at(arguments[3]));
    if (storage.kind != Kind::kStorage || offset.kind != Kind::kInteger || !shape || !strides) {
      return broken();
    }
    pickle_.tensors_.push_back(
        {pickle_.at(storage.parts[2]).text, offset.number, *shape, *strides});
    return Push(Kind::kTensor, static_cast<int64_t>(pickle_.tensors_.size() - 1));
  }

  std::string_view rest_;
  Pickle pickle_;
  std::vector<Id> stack_;
  std::vector<size_t> marks_;  // how much of the stack was there
  std::map<uint64_t, Id> memo_;
  size_t copied_ = 0;  // parts of dictionaries
};

arrow::Result<Pickle> Pickle::Read(std::string_view* bytes) {
  PickleReader reader(*bytes);
  ARROW_ASSIGN_OR_RAISE(Pickle pickle, reader.Read());
  *bytes = reader.rest();
  return pickle;
}

}  // namespace pomona
