// A zip archive ends with a record that says where its directory is; the directory says where each
// member begins and how long it is. What stands before a member itself is only skipped.
#include "zip_member.h"

#include <arrow/buffer.h>
#include <arrow/io/file.h>
#include <arrow/memory_pool.h>
#include <zlib.h>

#include <algorithm>
#include <memory>

namespace pomona {
namespace {

constexpr int64_t kEndBytes = 22;
constexpr int64_t kLongestComment = 65'535;
constexpr int64_t kEntryBytes = 46;   // of the directory, without names
constexpr int64_t kMemberBytes = 30;  // in front of a member, without names
constexpr int64_t kLongestDirectory = 16 << 20;
constexpr uint32_t kEnd = 0x06054b50, kEntry = 0x02014b50, kMember = 0x04034b50;  // "PK.."
constexpr uint16_t kEncrypted = 1;
constexpr uint16_t kStored = 0, kDeflated = 8;

arrow::Status Damaged() { return arrow::Status::Invalid("is a damaged zip archive"); }

// A number of the format, which is little-endian. REQUIRES: it is within `bytes`.
template <typename T>
T Number(std::string_view bytes, size_t at) {
  T number = 0;
  for (size_t i = sizeof(T); i-- > 0;) {
    number = static_cast<T>(number << 8 | static_cast<uint8_t>(bytes[at + i]));
  }
  return number;
}

// Exactly `size` bytes at `at`.
arrow::Result<std::shared_ptr<arrow::Buffer>> ReadExactly(arrow::io::RandomAccessFile* file,
                                                          int64_t at, int64_t size) {
  ARROW_ASSIGN_OR_RAISE(const int64_t length, file->GetSize());
  if (size > length || at > length - size) return Damaged();
  ARROW_ASSIGN_OR_RAISE(auto buffer, file->ReadAt(at, size));
  return buffer->size() == size ? arrow::Result(std::move(buffer)) : Damaged();
}

// The archive's directory: its entries, one after another.
arrow::Result<std::shared_ptr<arrow::Buffer>> ReadDirectory(arrow::io::RandomAccessFile* file) {
  ARROW_ASSIGN_OR_RAISE(const int64_t length, file->GetSize());
  const int64_t tail = std::min(length, kEndBytes + kLongestComment);
  ARROW_ASSIGN_OR_RAISE(const auto buffer, ReadExactly(file, length - tail, tail));
  const std::string_view bytes(*buffer);
  for (int64_t at = tail - kEndBytes; at >= 0; --at) {
    const std::string_view end = bytes.substr(static_cast<size_t>(at));
    if (Number<uint32_t>(end, 0) != kEnd || Number<uint16_t>(end, 20) + 22u != end.size()) continue;
    const uint32_t size = Number<uint32_t>(end, 12);
    if (size > kLongestDirectory) {
      return arrow::Status::CapacityError("is a larger zip archive than is read here");
    }
    return ReadExactly(file, Number<uint32_t>(end, 16), size);
  }
  return Damaged();
}

arrow::Status Inflate(std::string_view deflated, std::vector<uint8_t>* bytes) {
  z_stream stream = {};
  if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return arrow::Status::OutOfMemory("zlib");
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(deflated.data()));
  stream.avail_in = static_cast<uInt>(deflated.size());
  stream.next_out = bytes->data();
  stream.avail_out = static_cast<uInt>(bytes->size());
  const int result = inflate(&stream, Z_FINISH);
  inflateEnd(&stream);
  return result == Z_STREAM_END && stream.avail_out == 0 ? arrow::Status::OK() : Damaged();
}

}  // namespace

arrow::Result<std::vector<uint8_t>> ReadZipMember(const std::string& path, std::string_view name,
                                                  size_t limit) {
  // Arrow's own pools reserve far more than they give, which the limits of a child do not allow.
  ARROW_ASSIGN_OR_RAISE(const auto file,
                        arrow::io::ReadableFile::Open(path, arrow::system_memory_pool()));
  ARROW_ASSIGN_OR_RAISE(const auto directory, ReadDirectory(file.get()));
  std::string_view rest(*directory);
  while (static_cast<int64_t>(rest.size()) >= kEntryBytes) {
    const std::string_view entry = rest;
    if (Number<uint32_t>(entry, 0) != kEntry) return Damaged();
    const size_t name_bytes = Number<uint16_t>(entry, 28);
    const size_t entry_bytes =
        kEntryBytes + name_bytes + Number<uint16_t>(entry, 30) + Number<uint16_t>(entry, 32);
    if (entry_bytes > entry.size()) return Damaged();
    rest.remove_prefix(entry_bytes);
    if (entry.substr(kEntryBytes, name_bytes) != name) continue;

    const uint16_t method = Number<uint16_t>(entry, 10);
    const uint32_t packed = Number<uint32_t>(entry, 20), size = Number<uint32_t>(entry, 24);
    if (Number<uint16_t>(entry, 8) & kEncrypted) return arrow::Status::Invalid("is encrypted");
    if (method != kStored && method != kDeflated) {
      return arrow::Status::Invalid("is compressed by method ", method, ", which is not read");
    }
    // Where a number does not fit, it is the largest: too large as well.
    if (size > limit || packed > limit) {
      return arrow::Status::CapacityError("'", name, "' has more than ", limit, " bytes");
    }
    const int64_t begin = Number<uint32_t>(entry, 42);
    ARROW_ASSIGN_OR_RAISE(const auto head, ReadExactly(file.get(), begin, kMemberBytes));
    const std::string_view member(*head);
    if (Number<uint32_t>(member, 0) != kMember) return Damaged();
    ARROW_ASSIGN_OR_RAISE(const auto data,
                          ReadExactly(file.get(),
                                      begin + kMemberBytes + Number<uint16_t>(member, 26) +
                                          Number<uint16_t>(member, 28),
                                      packed));
    std::vector<uint8_t> bytes(size);
    if (method == kDeflated) {
      ARROW_RETURN_NOT_OK(Inflate(std::string_view(*data), &bytes));
    } else {
      if (packed != size) return Damaged();
      std::copy_n(data->data(), size, bytes.data());
    }
    if (crc32(0, bytes.data(), static_cast<uInt>(size)) != Number<uint32_t>(entry, 16)) {
      return Damaged();
    }
    return bytes;
  }
  return arrow::Status::KeyError("has no member '", name, "'");
}

}  // namespace pomona
