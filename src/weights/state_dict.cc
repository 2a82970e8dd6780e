// torch.save() writes a zip archive: NAME/data.pkl, a pickle of the dictionary in which a storage is
// only a key, and NAME/data/KEY, the values of each. Before version 1.6 it wrote pickles one after
// another, of a magic number, a version, facts about the machine, the dictionary and the list of keys;
// then, for each key, the number of values and the values.
#include "state_dict.h"

#include <arrow/util/float16.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "mapped_file.h"
#include "pickle.h"

namespace pomona {
namespace {

// The pickle of the number 0x1950a86a20f9469cfc6c.
constexpr std::string_view kMagic("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e",
                                  15);

constexpr size_t kMaxPickleBytes = 16 << 20;
constexpr size_t kMaxStorageBytes = 256 << 20;

struct StorageType {
  std::string_view name;
  size_t size;
  std::optional<DType> type;
};
constexpr StorageType kStorageTypes[] = {
    {"FloatStorage", 4, DType::kF32},
    {"HalfStorage", 2, DType::kF16},
    {"BFloat16Storage", 2, DType::kBF16},
    {"DoubleStorage", 8, DType::kF64},
    {"LongStorage", 8, DType::kI64},
    {"IntStorage", 4, DType::kI32},
    {"ShortStorage", 2, {}},
    {"CharStorage", 1, {}},
    {"ByteStorage", 1, {}},
    {"BoolStorage", 1, {}},
};

const StorageType* FindType(std::string_view name) {
  const auto* const found = std::ranges::find(kStorageTypes, name, &StorageType::name);
  return found == std::end(kStorageTypes) ? nullptr : found;
}

template <typename T>
T Load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

// All of the bytes of a float type become float32.
arrow::Result<std::vector<float>> ToFloats(std::string_view bytes, DType type) {
  const auto convert = [&](size_t size, auto value) {
    std::vector<float> floats(bytes.size() / size);
    for (size_t i = 0; i < floats.size(); ++i) floats[i] = value(bytes.data() + i * size);
    return floats;
  };
  switch (type) {
    case DType::kF32: return convert(4, Load<float>);
    case DType::kF64: {
      return convert(8, [](const char* at) { return static_cast<float>(Load<double>(at)); });
    }
    case DType::kF16: {
      return convert(2, [](const char* at) {
        return arrow::util::Float16::FromBits(Load<uint16_t>(at)).ToFloat();
      });
    }
    case DType::kBF16: {  // the upper halves of float32
      return convert(2, [](const char* at) {
        return std::bit_cast<float>(uint32_t{Load<uint16_t>(at)} << 16);
      });
    }
    default: return arrow::Status::Invalid("holds no float numbers");
  }
}

// Walks the tensors of dictionaries in dictionaries, which may refer to each other in circles.
class Collector {
 public:
  Collector(const Pickle& pickle, std::map<std::string, const PickledTensor*>* found)
      : pickle_(pickle), found_(found) {}

  arrow::Status Collect(const Pickle::Value& dictionary, const std::string& prefix, int depth) {
    constexpr int kDeepest = 4;
    constexpr size_t kMost = 100'000, kLongestName = 200;
    if (depth == kDeepest) return {};
    for (size_t i = 0; i + 1 < dictionary.parts.size(); i += 2) {
      const Pickle::Value& key = pickle_.at(dictionary.parts[i]);
      const Pickle::Value& value = pickle_.at(dictionary.parts[i + 1]);
      if (++seen_ > kMost) return arrow::Status::Invalid("holds more than ", kMost, " values");
      if (key.kind != Pickle::Kind::kText || key.text.size() > kLongestName) continue;
      if (value.kind == Pickle::Kind::kDictionary) {
        ARROW_RETURN_NOT_OK(Collect(value, prefix + key.text + '.', depth + 1));
      } else if (value.kind == Pickle::Kind::kTensor) {
        (*found_)[prefix + key.text] = &pickle_.tensor(value);
      }
    }
    return {};
  }

 private:
  const Pickle& pickle_;
  std::map<std::string, const PickledTensor*>* const found_;
  size_t seen_ = 0;
};

}  // namespace

bool IsOldTorchFile(std::string_view bytes) { return bytes.starts_with(kMagic); }

bool IsSafetensors(std::string_view bytes) {
  return bytes.size() > 8 && bytes[8] == '{' && Load<uint64_t>(bytes.data()) < (1u << 27);
}

arrow::Result<StateDict> StateDict::Open(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto file, MapFile(path));
  if (!IsSafetensors(std::string_view(*file))) return OfTorch(std::move(file));
  StateDict state;
  ARROW_ASSIGN_OR_RAISE(state.safetensors_, SafetensorsFile::Open(path));
  for (const auto& [name, view] : state.safetensors_->tensors()) {
    Tensor tensor{.shape = view.shape,
                  .strides = std::vector<int64_t>(view.shape.size()),
                  .type = view.dtype,
                  .storage = {},
                  .bytes = {reinterpret_cast<const char*>(view.bytes.data()), view.bytes.size()}};
    // Beside an extent of 0 others may be of any size; of such a tensor no value is read.
    uint64_t stride = 1;
    for (size_t i = view.shape.size(); i-- > 0;) {
      tensor.strides[i] = static_cast<int64_t>(stride);
      stride *= static_cast<uint64_t>(view.shape[i]);
    }
    state.tensors_.emplace(name, std::move(tensor));
  }
  return state;
}

arrow::Result<StateDict> StateDict::OfTorch(std::shared_ptr<arrow::Buffer> file) {
  StateDict state;
  state.file_ = std::move(file);
  ARROW_RETURN_NOT_OK(IsOldTorchFile(std::string_view(*state.file_)) ? state.ReadOld()
                                                                     : state.ReadArchive());
  return state;
}

arrow::Status StateDict::ReadArchive() {
  ARROW_ASSIGN_OR_RAISE(archive_, ZipArchive::Open(std::string_view(*file_)));
  const std::vector<std::string> pickles = archive_->EndingIn(kPickleMember);
  if (pickles.size() != 1) {
    return arrow::Status::Invalid("is a zip archive, but none that torch.save() writes");
  }
  prefix_ = pickles[0].substr(0, pickles[0].size() - kPickleMember.size());
  if (archive_->Has(prefix_ + "byteorder")) {
    ARROW_ASSIGN_OR_RAISE(const auto order, archive_->Read(prefix_ + "byteorder", 16));
    if (!std::ranges::equal(order, std::string_view("little"))) {
      return arrow::Status::Invalid("holds big-endian numbers");
    }
  }
  ARROW_ASSIGN_OR_RAISE(const auto bytes, archive_->Read(pickles[0], kMaxPickleBytes));
  std::string_view rest(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  ARROW_ASSIGN_OR_RAISE(const Pickle pickle, Pickle::Read(&rest));
  return Collect(pickle, {});
}

arrow::Status StateDict::ReadOld() {
  std::string_view rest = std::string_view(*file_).substr(kMagic.size());
  const auto damaged = [] { return arrow::Status::Invalid("is a damaged file of torch.save()"); };
  ARROW_ASSIGN_OR_RAISE(const Pickle version, Pickle::Read(&rest));
  if (version.root().number != 1001) return damaged();
  ARROW_ASSIGN_OR_RAISE(const Pickle machine, Pickle::Read(&rest));
  for (size_t i = 0; i + 1 < machine.root().parts.size(); i += 2) {
    if (machine.at(machine.root().parts[i]).text == "little_endian" &&
        !machine.at(machine.root().parts[i + 1]).number) {
      return arrow::Status::Invalid("holds big-endian numbers");
    }
  }
  ARROW_ASSIGN_OR_RAISE(const Pickle pickle, Pickle::Read(&rest));
  ARROW_ASSIGN_OR_RAISE(const Pickle keys, Pickle::Read(&rest));
  std::map<std::string, std::string_view> storages;
  for (const Pickle::Id id : keys.root().parts) {
    const std::string& key = keys.at(id).text;
    const auto named = pickle.storages().find(key);
    if (named == pickle.storages().end()) return damaged();
    const StorageType* const type = FindType(named->second);
    if (!type) return arrow::Status::Invalid("holds a ", named->second, ", which is not read");
    if (rest.size() < sizeof(uint64_t)) return damaged();
    const auto count = Load<uint64_t>(rest.data());
    rest.remove_prefix(sizeof count);
    if (count > rest.size() / type->size) return damaged();
    storages[key] = rest.substr(0, count * type->size);
    rest.remove_prefix(count * type->size);
  }
  return Collect(pickle, storages);
}

arrow::Status StateDict::Collect(const Pickle& pickle,
                                 const std::map<std::string, std::string_view>& storages) {
  if (pickle.root().kind != Pickle::Kind::kDictionary) {
    return arrow::Status::Invalid("holds no dictionary of tensors, as model.state_dict() is one");
  }
  std::map<std::string, const PickledTensor*> found;
  ARROW_RETURN_NOT_OK(Collector(pickle, &found).Collect(pickle.root(), "", 0));
  for (const auto& [name, pickled] : found) {
    const StorageType* const type = FindType(pickle.storages().at(pickled->storage));
    Tensor tensor{.shape = pickled->shape,
                  .strides = pickled->strides,
                  .offset = pickled->offset,
                  .type = type ? type->type : std::nullopt,
                  .storage = {},
                  .bytes = {}};
    if (archive_) {
      tensor.storage = prefix_ + "data/" + pickled->storage;
    } else if (const auto storage = storages.find(pickled->storage); storage != storages.end()) {
      tensor.bytes = storage->second;
    }
    tensors_.emplace(name, std::move(tensor));
  }
  return {};
}

arrow::Result<std::vector<float>> StateDict::Values(const Tensor& tensor) const {
  std::vector<uint8_t> member;
  std::string_view bytes = tensor.bytes;
  if (!tensor.storage.empty()) {
    ARROW_ASSIGN_OR_RAISE(member, archive_->Read(tensor.storage, kMaxStorageBytes));
    bytes = {reinterpret_cast<const char*>(member.data()), member.size()};
  }
  if (!tensor.type) return arrow::Status::Invalid("holds no float numbers");
  ARROW_ASSIGN_OR_RAISE(const std::vector<float> stored, ToFloats(bytes, *tensor.type));

  // The number of values, and the place of the last one.
  const auto outside = [] { return arrow::Status::Invalid("lies outside of its storage"); };
  int64_t count = 1, last = tensor.offset;
  if (tensor.strides.size() != tensor.shape.size() || last < 0) return outside();
  std::vector<int64_t> strides = tensor.strides;
  for (size_t i = 0; i < strides.size(); ++i) {
    if (tensor.shape[i] == 1) strides[i] = 0;  // may be anything
    int64_t way = 0;
    if (tensor.shape[i] < 1 || strides[i] < 0 ||
        __builtin_mul_overflow(count, tensor.shape[i], &count) ||
        __builtin_mul_overflow(tensor.shape[i] - 1, strides[i], &way) ||
        __builtin_add_overflow(last, way, &last)) {
      return outside();
    }
  }
  // Several of its values may be one: a bound of its own.
  if (last >= std::ssize(stored) || count > std::ssize(stored)) return outside();

  std::vector<float> values;
  values.reserve(static_cast<size_t>(count));
  std::vector<int64_t> index(tensor.shape.size());
  for (int64_t at = tensor.offset; std::ssize(values) < count;) {
    values.push_back(stored[static_cast<size_t>(at)]);
    for (size_t i = index.size(); i-- > 0;) {
      at += strides[i];
      if (++index[i] < tensor.shape[i]) break;
      at -= strides[i] * index[i];
      index[i] = 0;
    }
  }
  return values;
}

}  // namespace pomona
