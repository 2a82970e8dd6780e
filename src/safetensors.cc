#include "pomona/safetensors.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>

#include "disk.h"
#include "json.h"

namespace pomona {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

// The file starts with the header's length, 8 bytes; then come the header (JSON) and the data.
constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr size_t kDataAlignment = 8;             // of the widest type

struct DTypeInfo {
  DType dtype;
  std::string_view name;
  size_t size;
};

constexpr DTypeInfo kDTypes[] = {
    {DType::kF32, "F32", 4},   {DType::kF64, "F64", 8}, {DType::kF16, "F16", 2},
    {DType::kBF16, "BF16", 2}, {DType::kI32, "I32", 4}, {DType::kI64, "I64", 8},
    {DType::kU8, "U8", 1},
};

const DTypeInfo& Info(DType dtype) { return *std::ranges::find(kDTypes, dtype, &DTypeInfo::dtype); }

// Bytes of an array, or nothing where the number fits no size_t.
std::optional<size_t> ByteSize(const std::vector<int64_t>& shape, size_t item_size) {
  size_t bytes = item_size;
  for (int64_t extent : shape) {
    if (extent < 0 || __builtin_mul_overflow(bytes, static_cast<size_t>(extent), &bytes)) return {};
  }
  return bytes;
}

// Fills `bytes` from the file's beginning. Where it has become shorter, the rest is zeros.
arrow::Status ReadAll(int fd, const std::string& path, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = read(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return DiskError("read", path, errno);
    if (count == 0) std::ranges::fill(bytes, std::byte{0});
    bytes = bytes.subspan(count == 0 ? bytes.size() : static_cast<size_t>(count));
  }
  return arrow::Status::OK();
}

// Turns one entry of the header into a view of `data`.
arrow::Result<TensorView> ParseTensor(const nlohmann::json& entry,
                                      std::span<const std::byte> data) {
  if (!entry.is_object() || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets")) {
    return arrow::Status::Invalid("needs dtype, shape and data_offsets");
  }
  TensorView tensor;
  const auto& dtype = entry["dtype"];
  const auto* info =
      std::ranges::find_if(kDTypes, [&](const DTypeInfo& known) { return dtype == known.name; });
  if (info == std::end(kDTypes)) {
    return arrow::Status::Invalid("type ", JsonText(dtype),
                                  " is not supported (F32, F64, F16, BF16, I32, I64 and U8 are)");
  }
  tensor.dtype = info->dtype;

  const auto is_size = [](const nlohmann::json& number) {
    return number.is_number_unsigned() && number <= std::numeric_limits<int64_t>::max();
  };
  const auto& shape = entry["shape"];
  const auto& offsets = entry["data_offsets"];
  if (!shape.is_array() || !std::ranges::all_of(shape, is_size)) {
    return arrow::Status::Invalid("shape is no list of sizes");
  }
  if (!offsets.is_array() || offsets.size() != 2 || !std::ranges::all_of(offsets, is_size)) {
    return arrow::Status::Invalid("data_offsets is no pair of offsets");
  }
  for (const auto& extent : shape) tensor.shape.push_back(extent.get<int64_t>());
  const size_t begin = offsets[0].get<size_t>();
  const size_t end = offsets[1].get<size_t>();
  if (begin > end || end > data.size()) {
    return arrow::Status::Invalid("offsets ", begin, "..", end, " leave the data of ", data.size(),
                                  " bytes");
  }
  if (ByteSize(tensor.shape, info->size) != end - begin) {
    return arrow::Status::Invalid("holds ", end - begin, " bytes, which is not shape x type");
  }
  tensor.bytes = data.subspan(begin, end - begin);
  if (reinterpret_cast<uintptr_t>(tensor.bytes.data()) % info->size != 0) {
    return arrow::Status::Invalid("its data is not aligned to its type");
  }
  return tensor;
}

// The tensors must cover the data exactly, one after another.
arrow::Status CheckCover(const std::map<std::string, TensorView>& tensors,
                         std::span<const std::byte> data) {
  struct Extent {
    const std::byte* begin;
    const std::byte* end;
    const std::string* name;
    auto operator<=>(const Extent&) const = default;
  };
  std::vector<Extent> extents;
  for (const auto& [name, tensor] : tensors) {
    extents.push_back(
        {std::to_address(tensor.bytes.begin()), std::to_address(tensor.bytes.end()), &name});
  }
  std::ranges::sort(extents);
  const std::byte* expected = data.data();
  for (const Extent& extent : extents) {
    if (extent.begin != expected) {
      return arrow::Status::Invalid(
          "tensor '", *extent.name,
          "': ", extent.begin < expected ? "overlaps the one before it" : "is preceded by a gap");
    }
    expected = extent.end;
  }
  const size_t covered = expected - data.data();
  if (covered != data.size()) {
    return arrow::Status::Invalid(data.size() - covered, " bytes follow the last tensor");
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Result<std::shared_ptr<const SafetensorsFile>> SafetensorsFile::Open(
    const std::string& path) {
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  file->path_ = path;

  ARROW_ASSIGN_OR_RAISE(const int fd, OpenRegularFile(path));
  const auto load = [&]() -> arrow::Result<std::span<const std::byte>> {
    struct stat status;
    if (fstat(fd, &status) != 0) return DiskError("look at", path, errno);
    const auto size = static_cast<size_t>(status.st_size);
    if (size < kLengthBytes) {
      return arrow::Status::Invalid(path, ": too short for a safetensors file");
    }
    void* const map = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map != MAP_FAILED) {
      file->map_ = map;
      file->map_size_ = size;
      return std::span(static_cast<const std::byte*>(map), size);
    }
    if (errno != ENODEV) return DiskError("map", path, errno);
    // A file system without mmap().
    file->copy_ = std::make_unique_for_overwrite<std::byte[]>(size);
    ARROW_RETURN_NOT_OK(ReadAll(fd, path, {file->copy_.get(), size}));
    return std::span<const std::byte>(file->copy_.get(), size);
  };
  const auto bytes = load();
  close(fd);
  ARROW_RETURN_NOT_OK(bytes);
  ARROW_RETURN_NOT_OK(file->ReadHeader(*bytes));
  return file;
}

arrow::Result<std::shared_ptr<const SafetensorsFile>> SafetensorsFile::Copy(
    const std::string& name, std::span<const std::byte> bytes) {
  std::shared_ptr<SafetensorsFile> file(new SafetensorsFile);
  file->path_ = name;
  file->copy_ = std::make_unique_for_overwrite<std::byte[]>(bytes.size());  // aligned for any type
  std::ranges::copy(bytes, file->copy_.get());
  ARROW_RETURN_NOT_OK(file->ReadHeader({file->copy_.get(), bytes.size()}));
  return file;
}

arrow::Status SafetensorsFile::ReadHeader(std::span<const std::byte> all) {
  if (all.size() < kLengthBytes) {
    return arrow::Status::Invalid(path_, ": too short for a safetensors file");
  }
  uint64_t header_bytes;
  std::memcpy(&header_bytes, all.data(), kLengthBytes);
  if (header_bytes > kMaxHeaderBytes || header_bytes > all.size() - kLengthBytes) {
    return arrow::Status::Invalid(path_, ": no safetensors file, or a truncated one (a header of ",
                                  header_bytes, " bytes in a file of ", all.size(), ")");
  }
  const char* text = reinterpret_cast<const char*>(all.data()) + kLengthBytes;
  const auto header = ParseJson({text, header_bytes});
  if (!header.is_object()) return arrow::Status::Invalid(path_, ": the header is no JSON object");

  const std::span data = all.subspan(kLengthBytes + header_bytes);
  for (const auto& [name, entry] : header.items()) {
    if (name != "__metadata__") {
      auto tensor = ParseTensor(entry, data);
      if (!tensor.ok()) {
        return arrow::Status::Invalid(path_, ": tensor '", name, "': ", tensor.status().message());
      }
      tensors_.emplace(name, *std::move(tensor));
      continue;
    }
    if (!entry.is_object()) return arrow::Status::Invalid(path_, ": __metadata__ is no object");
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string()) {
        return arrow::Status::Invalid(path_, ": __metadata__ '", key, "' is no string");
      }
      metadata_.emplace(key, value.get<std::string>());
    }
  }
  const arrow::Status cover = CheckCover(tensors_, data);
  if (!cover.ok()) return arrow::Status::Invalid(path_, ": ", cover.message());
  return arrow::Status::OK();
}

SafetensorsFile::~SafetensorsFile() {
  if (map_ != nullptr) munmap(map_, map_size_);
}

void SafetensorsFile::Forget(std::span<const std::byte> bytes) const {
  if (map_ == nullptr) return;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto at = reinterpret_cast<uintptr_t>(bytes.data());
  const uintptr_t begin = (at + page - 1) / page * page;
  const uintptr_t end = (at + bytes.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

arrow::Result<TensorView> SafetensorsFile::Get(const std::string& name) const {
  const auto tensor = tensors_.find(name);
  if (tensor == tensors_.end()) {
    return arrow::Status::KeyError(path_, ": there is no tensor '", name, "'");
  }
  return tensor->second;
}

namespace {

// What stands before the data: the header's length and the header.
arrow::Result<std::string> Header(const std::vector<NamedTensor>& tensors,
                                  const std::map<std::string, std::string>& metadata) {
  auto header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    const DTypeInfo& info = Info(tensor.dtype);
    if (name == "__metadata__" || header.contains(name)) {
      return arrow::Status::Invalid("tensor '", name, "': the name is taken");
    }
    if (ByteSize(tensor.shape, info.size) != tensor.bytes.size()) {
      return arrow::Status::Invalid("tensor '", name, "': ", tensor.bytes.size(),
                                    " bytes are not shape x type");
    }
    if (offset % info.size != 0) {
      return arrow::Status::Invalid("tensor '", name,
                                    "': would not be aligned; give wider types first");
    }
    header[name] = {{"dtype", info.name},
                    {"shape", tensor.shape},
                    {"data_offsets", {offset, offset + tensor.bytes.size()}}};
    offset += tensor.bytes.size();
  }
  std::string text = JsonText(header);
  text.resize((text.size() + kDataAlignment - 1) / kDataAlignment * kDataAlignment, ' ');
  const uint64_t header_bytes = text.size();
  text.insert(0, reinterpret_cast<const char*>(&header_bytes), kLengthBytes);
  return text;
}

}  // namespace

arrow::Result<std::string> SerializeSafetensors(
    const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata) {
  ARROW_ASSIGN_OR_RAISE(std::string bytes, Header(tensors, metadata));
  for (const auto& [name, tensor] : tensors) {
    bytes.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
  }
  return bytes;
}

arrow::Status WriteSafetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                               const std::map<std::string, std::string>& metadata) {
  const arrow::Result<std::string> header = Header(tensors, metadata);
  if (!header.ok()) return header.status().WithMessage(path, ": ", header.status().message());
  return ReplaceFile(path, [&](OutputFile& file) -> arrow::Status {
    ARROW_RETURN_NOT_OK(file.Write(header->data(), static_cast<int64_t>(header->size())));
    for (const auto& [name, tensor] : tensors) {
      const auto size = static_cast<int64_t>(tensor.bytes.size());
      ARROW_RETURN_NOT_OK(file.Write(tensor.bytes.data(), size));
    }
    return arrow::Status::OK();
  });
}

}  // namespace pomona
