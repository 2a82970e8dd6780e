#include "tiff_directory.h"

#include <array>

namespace pomona {
namespace {

constexpr uint8_t kBigTiff = 43;
constexpr int kShort = 3;
constexpr int kLong = 4;
constexpr int kLong8 = 16;

bool IsWhole(int type) { return type == kShort || type == kLong || type == kLong8; }

size_t TypeSize(int type) {
  constexpr std::array<uint8_t, 17> kSizes = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8};
  return type < static_cast<int>(kSizes.size()) ? kSizes[type] : 0;
}

}  // namespace

std::optional<TiffDirectory> TiffDirectory::Read(std::span<const uint8_t> file) {
  if (file.size() < 8) return std::nullopt;
  TiffDirectory directory;
  directory.file_ = file;
  directory.order_ = file[0] == 'M' ? ByteOrder::kBig : ByteOrder::kLittle;
  directory.big_ = file[2] == kBigTiff;
  if (!directory.ReadEntries()) return std::nullopt;
  return directory;
}

std::vector<uint64_t> TiffDirectory::Numbers(int tag, size_t max) const {
  std::vector<uint64_t> numbers;
  const auto entry = entries_.find(tag);
  if (entry == entries_.end()) return numbers;
  const auto [type, bytes] = entry->second;
  if (!IsWhole(type)) return numbers;
  const size_t size = TypeSize(type);
  for (size_t at = 0; at + size <= bytes.size() && numbers.size() < max; at += size) {
    numbers.push_back(ReadNumber(&bytes[at], size));
  }
  return numbers;
}

uint64_t TiffDirectory::Number(int tag, uint64_t otherwise) const {
  const std::vector<uint64_t> numbers = Numbers(tag, 1);
  return numbers.empty() ? otherwise : numbers[0];
}

uint64_t TiffDirectory::ReadNumber(const uint8_t* bytes, size_t size) const {
  if (size == 2) return Read16(bytes, order_);
  if (size == 4) return Read32(bytes, order_);
  const uint64_t first = Read32(bytes, order_);
  const uint64_t second = Read32(bytes + 4, order_);
  return order_ == ByteOrder::kLittle ? first | second << 32 : first << 32 | second;
}

bool TiffDirectory::HasBytes(uint64_t at, uint64_t count) const {
  return at <= file_.size() && file_.size() - at >= count;
}

bool TiffDirectory::ReadEntries() {
  const size_t offset_size = big_ ? 8 : 4;
  const size_t count_size = big_ ? 8 : 2;
  const size_t entry_size = 4 + 2 * offset_size;
  if (!HasBytes(offset_size, offset_size)) return false;
  uint64_t at = ReadNumber(&file_[offset_size], offset_size);
  if (!HasBytes(at, count_size)) return false;
  uint64_t entries = ReadNumber(&file_[at], count_size);
  at += count_size;
  for (; entries > 0 && HasBytes(at, entry_size); --entries, at += entry_size) {
    const uint8_t* entry = &file_[at];
    const int tag = Read16(entry, order_);
    const int type = Read16(entry + 2, order_);
    const size_t unit = TypeSize(type);
    const uint64_t count = ReadNumber(entry + 4, offset_size);
    if (!IsWhole(type) || count == 0 || Has(tag)) malformed_.insert(tag);
    if (unit == 0 || count == 0) continue;
    if (count > file_.size() / unit) break;
    const uint64_t size = count * unit;
    uint64_t value_at = at + 4 + offset_size;
    if (size > offset_size) value_at = ReadNumber(entry + 4 + offset_size, offset_size);
    if (!HasBytes(value_at, size)) break;
    entries_[tag] = {type, file_.subspan(value_at, size)};
  }
  complete_ = entries == 0;
  return true;
}

}  // namespace pomona
