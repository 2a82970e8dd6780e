// What a pickle says, without running it: a pickle is a program for a machine that may import and
// call anything in Python. This one knows the instructions of which dictionaries of PyTorch's
// tensors are made, and three functions; all else is an error that names it.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pomona {

// Where the values of a pickled tensor lie, as the pickle says: nothing of it is checked.
struct PickledTensor {
  std::string storage;  // the key of what holds them
  int64_t offset = 0;   // of the first there, in values
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // in values
};

// The values that a pickle makes, those of one of them, by their numbers.
class Pickle {
 public:
  using Id = uint32_t;

  enum class Kind {
    kOther,
    kBool,
    kInteger,
    kText,
    kTuple,
    kList,
    kDictionary,
    kGlobal,
    kStorage,
    kTensor
  };

  struct Value {
    Kind kind = Kind::kOther;
    int64_t number = 0;     // of a bool or an integer; of a tensor, where it is in tensors()
    std::string text;       // also "MODULE NAME" of a global
    std::vector<Id> parts;  // of a dictionary key, value, key, value, ...; of a storage its tuple
  };

  // Takes what makes one value from the front of `bytes`. Time and memory are bounded by its length.
  // Errors: Invalid. It names no path.
  static arrow::Result<Pickle> Read(std::string_view* bytes);

  // The type of each storage by its key, "FloatStorage".
  const std::map<std::string, std::string>& storages() const { return storages_; }

  const Value& root() const { return values_[root_]; }
  const Value& at(Id id) const { return values_[id]; }
  const PickledTensor& tensor(const Value& value) const {
    return tensors_[static_cast<size_t>(value.number)];
  }

 private:
  friend class PickleReader;

  std::vector<Value> values_;  // may refer to each other in circles
  std::vector<PickledTensor> tensors_;
  std::map<std::string, std::string> storages_;
  Id root_ = 0;
};

}  // namespace pomona
