// The tensors of a PyTorch model by their names, as torch.save() and safetensors write them.
#pragma once

#include <arrow/buffer.h>
#include <arrow/result.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/safetensors.h"
#include "zip_archive.h"

namespace pomona {

class Pickle;

// Whether the first bytes of a file are those of torch.save() before version 1.6 of PyTorch, or of
// safetensors.
bool IsOldTorchFile(std::string_view bytes);
bool IsSafetensors(std::string_view bytes);

// The members of a zip archive that is torch.save()'s of today end so; one of them has no more name.
inline constexpr std::string_view kPickleMember = "data.pkl";

// Errors, of all: Invalid, CapacityError; they name no path.
class StateDict {
 public:
  // A file of any of the three kinds.
  static arrow::Result<StateDict> Open(const std::string& path);

  // The same of the bytes of one of torch.save()'s.
  static arrow::Result<StateDict> OfTorch(std::shared_ptr<arrow::Buffer> file);

  // Where a tensor's values lie.
  struct Tensor {
    std::vector<int64_t> shape;
    std::vector<int64_t> strides;  // in values
    int64_t offset = 0;            // of the first, in values
    std::optional<DType> type;     // nothing where it is none of ours
    std::string storage;           // what holds them: a member of the archive; else
    std::string_view bytes;        // themselves
  };

  // Dictionaries in the dictionary are part of the names: "state_dict.features.0.0.weight".
  const std::map<std::string, Tensor>& tensors() const { return tensors_; }

  // A tensor's values in float32, row-major.
  arrow::Result<std::vector<float>> Values(const Tensor& tensor) const;

 private:
  arrow::Status ReadArchive();
  arrow::Status ReadOld();
  arrow::Status Collect(const Pickle& pickle,
                        const std::map<std::string, std::string_view>& storages);

  std::shared_ptr<arrow::Buffer> file_;
  std::shared_ptr<const SafetensorsFile> safetensors_;
  std::optional<ZipArchive> archive_;
  std::string prefix_;  // of the archive's members
  std::map<std::string, Tensor> tensors_;
};

}  // namespace pomona
