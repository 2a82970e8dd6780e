#include "xz.h"

#include <cstddef>

namespace pomona {
namespace {

constexpr size_t kStreamHeader = 12;
constexpr uint64_t kLzma2 = 0x21;  // the filter that has a dictionary
constexpr uint8_t kHasCompressedSize = 0x40;
constexpr uint8_t kHasSize = 0x80;

// Takes a number of up to 63 bits off the header: 7 a byte, the lowest first.
bool Take(std::span<const uint8_t>* header, uint64_t* number) {
  *number = 0;
  for (int shift = 0; shift < 63 && !header->empty(); shift += 7) {
    const uint8_t byte = header->front();
    *header = header->subspan(1);
    *number |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

}  // namespace

// The XZ file format, 3.1 and 5.3.1.
uint64_t XzDictionaryBytes(std::span<const uint8_t> stream) {
  if (stream.size() < kStreamHeader + 2) return 0;
  std::span<const uint8_t> header = stream.subspan(kStreamHeader);
  const uint8_t flags = header[1];
  header = header.subspan(2);
  uint64_t skipped = 0;
  if ((flags & kHasCompressedSize) != 0 && !Take(&header, &skipped)) return 0;
  if ((flags & kHasSize) != 0 && !Take(&header, &skipped)) return 0;
  for (int filters = (flags & 3) + 1; filters > 0; --filters) {
    uint64_t id = 0, size = 0;
    if (!Take(&header, &id) || !Take(&header, &size) || size > header.size()) return 0;
    if (id == kLzma2 && size == 1) {
      const uint8_t code = header[0];
      if (code >= 40) return UINT32_MAX;
      return uint64_t{2u | (code & 1u)} << (code / 2 + 11);
    }
    header = header.subspan(size);
  }
  return 0;
}

}  // namespace pomona
