// Named arrays in one file, in the safetensors format (little-endian, row-major).
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pomona {

enum class DType { kF32, kF64, kF16, kBF16, kI32, kI64, kU8 };

// A view of one array. The bytes belong to whoever gave the view.
struct TensorView {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;

  // REQUIRES: T is the type that dtype names.
  template <typename T>
  std::span<const T> values() const {
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
};

struct NamedTensor {
  std::string name;
  TensorView tensor;
};

// The arrays of a safetensors file, memory-mapped where its file system can do that, or of its
// bytes. The views live as long as the object.
//
// Threads: safe to share once opened.
// Errors: Invalid names the file, and the tensor where one is at fault (a header that is no JSON,
// an unknown type, a size that differs from shape x type, offsets outside the file, a gap or an
// overlap, unaligned data).
class SafetensorsFile {
 public:
  static arrow::Result<std::shared_ptr<const SafetensorsFile>> Open(const std::string& path);

  // The same of a copy of the file's bytes. `name` stands for the path in errors.
  static arrow::Result<std::shared_ptr<const SafetensorsFile>> Copy(
      const std::string& name, std::span<const std::byte> bytes);

  ~SafetensorsFile();

  const std::string& path() const { return path_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }

  // Gives the memory under these bytes of a mapped file back; they can be read again.
  void Forget(std::span<const std::byte> bytes) const;

  // KeyError names the file and the tensor.
  arrow::Result<TensorView> Get(const std::string& name) const;

 private:
  SafetensorsFile() = default;
  arrow::Status ReadHeader(std::span<const std::byte> file);

  std::string path_;
  std::map<std::string, std::string> metadata_;
  std::map<std::string, TensorView> tensors_;
  void* map_ = nullptr;
  size_t map_size_ = 0;
  std::unique_ptr<std::byte[]> copy_;
};

// The bytes of a file of these tensors, in the order given. The same arguments give the same bytes.
// Errors: Invalid names the tensor at fault.
arrow::Result<std::string> SerializeSafetensors(const std::vector<NamedTensor>& tensors,
                                                const std::map<std::string, std::string>& metadata);

// Writes these bytes. The file appears under `path` whole (written beside it under a temporary
// name, flushed to the disk, renamed) or not at all.
arrow::Status WriteSafetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                               const std::map<std::string, std::string>& metadata);

}  // namespace pomona
