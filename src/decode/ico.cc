// The largest picture of an icon: a PNG, or a bitmap with a mask of one bit behind it.
#include <bit>
#include <string>

#include "codecs.h"
#include "pixels.h"

namespace pomona {
namespace {

constexpr size_t kHeaderSize = 6;
constexpr size_t kEntrySize = 16;

struct Entry {
  int area;
  int depth;  // bits of a pixel
  int bits;   // as the entry says it, may be 0
  size_t size;
  size_t at;
};

Entry ReadEntry(const uint8_t* bytes) {
  const auto side = [](uint8_t value) { return value == 0 ? 256 : value; };
  const int colors = bytes[2];
  const int bits = Read16(bytes + 6, ByteOrder::kLittle);
  // The number of colours rounded up to a power of 2.
  const int depth = bits != 0 ? bits : colors != 0 ? std::bit_width(colors - 1u) : 0;
  return {.area = side(bytes[0]) * side(bytes[1]),
          .depth = depth != 0 ? depth : 256,
          .bits = bits,
          .size = Read32(bytes + 8, ByteOrder::kLittle),
          .at = Read32(bytes + 12, ByteOrder::kLittle)};
}

}  // namespace

DecodeResult DecodeIco(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows) {
  const auto truncated = [] { return Refuse(Reason::kTruncated, "the file ends in its pictures"); };
  if (file.size() < kHeaderSize) return truncated();
  const size_t count = Read16(&file[4], ByteOrder::kLittle);
  if (count == 0) return Refuse(Reason::kCorrupt, "no picture");
  if (file.size() - kHeaderSize < count * kEntrySize) return truncated();
  // The largest, and of several the one with the fewest colours, as Pillow chooses.
  Entry best = ReadEntry(&file[kHeaderSize]);
  for (size_t i = 1; i < count; ++i) {
    const Entry entry = ReadEntry(&file[kHeaderSize + i * kEntrySize]);
    if (entry.area > best.area || (entry.area == best.area && entry.depth < best.depth)) {
      best = entry;
    }
  }
  if (best.at >= file.size()) return truncated();

  const std::optional<ImageFormat> format = SniffFormat(file.subspan(best.at));
  DecodeResult result;
  if (format == ImageFormat::kPng) {
    result = DecodePng(file.subspan(best.at), limits, memory, rows);
  } else {
    result = DecodeIconBitmap(file, best.at, best.bits, limits, memory, rows);
  }
  PictureInfo* picture = std::get_if<PictureInfo>(&result);
  if (picture == nullptr) return result;
  picture->format = ImageFormat::kIco;
  if (format == ImageFormat::kPng) return result;
  picture->mode = "RGBA";
  // The mask makes alpha, which is dropped, but it must be there.
  const size_t mask_row = (static_cast<size_t>(picture->width) + 31) / 32 * 4;
  const size_t mask_size = mask_row * static_cast<size_t>(picture->height);
  const size_t end = best.at + best.size;
  if (best.bits != 32 && (end > file.size() || end < mask_size)) return truncated();
  return result;
}

}  // namespace pomona
