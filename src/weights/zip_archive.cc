// A zip archive ends with a record that says where its directory is; the directory says where each
// member begins and how long it is. What stands before a member itself is only skipped.
#include "zip_archive.h"

#include <zlib.h>

#include <algorithm>

namespace pomona {
namespace {

constexpr size_t kEndBytes = 22;
constexpr size_t kLongestComment = 65'535;
constexpr size_t kEntryBytes = 46;   // of the directory, without names
constexpr size_t kMemberBytes = 30;  // in front of a member, without names
constexpr size_t kLongestDirectory = 16 << 20;
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
arrow::Result<std::string_view> Part(std::string_view bytes, size_t at, size_t size) {
  if (size > bytes.size() || at > bytes.size() - size) return Damaged();
  return bytes.substr(at, size);
}

// The archive's directory: its entries, one after another.
arrow::Result<std::string_view> Directory(std::string_view bytes) {
  const std::string_view tail =
      bytes.substr(bytes.size() - std::min(bytes.size(), kEndBytes + kLongestComment));
  if (tail.size() < kEndBytes) return Damaged();
  for (size_t at = tail.size() - kEndBytes + 1; at-- > 0;) {
    const std::string_view end = tail.substr(at);
    if (Number<uint32_t>(end, 0) != kEnd || Number<uint16_t>(end, 20) + 22u != end.size()) continue;
    const uint32_t size = Number<uint32_t>(end, 12);
    if (size > kLongestDirectory) {
      return arrow::Status::CapacityError("is a larger zip archive than is read here");
    }
    return Part(bytes, Number<uint32_t>(end, 16), size);
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

arrow::Result<ZipArchive> ZipArchive::Open(std::string_view bytes) {
  ZipArchive archive;
  archive.bytes_ = bytes;
  ARROW_ASSIGN_OR_RAISE(std::string_view rest, Directory(bytes));
  while (rest.size() >= kEntryBytes) {
    const std::string_view entry = rest;
    if (Number<uint32_t>(entry, 0) != kEntry) return Damaged();
    const size_t name_bytes = Number<uint16_t>(entry, 28);
    const size_t entry_bytes =
        kEntryBytes + name_bytes + Number<uint16_t>(entry, 30) + Number<uint16_t>(entry, 32);
    if (entry_bytes > entry.size()) return Damaged();
    rest.remove_prefix(entry_bytes);
    // Of two members of one name each reader takes another.
    if (!archive.entries_.emplace(entry.substr(kEntryBytes, name_bytes), entry).second) {
      return Damaged();
    }
  }
  return archive;
}

std::vector<std::string> ZipArchive::EndingIn(std::string_view end) const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) {
    if (name.ends_with(end)) names.push_back(name);
  }
  return names;
}

arrow::Result<std::vector<uint8_t>> ZipArchive::Read(std::string_view name, size_t limit) const {
  const auto found = entries_.find(name);
  if (found == entries_.end()) return arrow::Status::KeyError("has no member '", name, "'");
  const std::string_view entry = found->second;
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
  const size_t begin = Number<uint32_t>(entry, 42);
  ARROW_ASSIGN_OR_RAISE(const auto member, Part(bytes_, begin, kMemberBytes));
  if (Number<uint32_t>(member, 0) != kMember) return Damaged();
  const size_t names = size_t{Number<uint16_t>(member, 26)} + Number<uint16_t>(member, 28);
  ARROW_ASSIGN_OR_RAISE(const auto data, Part(bytes_, begin + kMemberBytes + names, packed));
  std::vector<uint8_t> bytes(size);
  if (method == kDeflated) {
    ARROW_RETURN_NOT_OK(Inflate(data, &bytes));
  } else {
    if (packed != size) return Damaged();
    std::copy_n(data.data(), size, reinterpret_cast<char*>(bytes.data()));
  }
  if (crc32(0, bytes.data(), static_cast<uInt>(size)) != Number<uint32_t>(entry, 16)) {
    return Damaged();
  }
  return bytes;
}

}  // namespace pomona
