#include "tiff_deflate.h"

#include <cstring>
#include <utility>

#include "inflate.h"
#include "png_rows.h"

namespace pomona {

static_assert(TiffDeflate::kPadding >= kPngRowPadding && Inflater::kPadding >= kPngRowPadding);

bool TiffDeflate::Knows(const Rows& rows) {
  if (rows.bits == 16) return true;
  if (!rows.differences) return rows.bits <= 8;
  return rows.bits == 8 && rows.pixel <= 4;  // as PNG has them
}

bool TiffDeflate::Expand(std::span<const uint8_t> data, size_t count, uint8_t* rows) {
  const size_t room = Inflater::RoomFor(rows_.bytes);
  if (room > kUncountedBytes) return false;
  Inflater inflater([&] { return std::exchange(data, {}); }, {room_.Reserve(room), room});
  for (; count > 0; --count, rows += rows_.bytes) {
    const uint8_t* row = inflater.Read(rows_.bytes);
    if (row == nullptr) return false;
    Finish(row, rows);
  }
  return inflater.Ends();
}

void TiffDeflate::Finish(const uint8_t* row, uint8_t* samples) const {
  if (rows_.bits < 16) {
    if (rows_.differences) {
      constexpr int kSub = 1;
      UndoPngFilter(kSub, static_cast<int>(rows_.pixel), row, row, rows_.bytes, samples);
    } else {
      std::memcpy(samples, row, rows_.bytes);
    }
    return;
  }
  const size_t back = rows_.differences ? 2 * rows_.pixel : 0;
  for (size_t at = 0; at < rows_.bytes; at += 2) {
    uint16_t before = 0;
    if (back > 0 && at >= back) std::memcpy(&before, samples + at - back, 2);
    const auto sample = static_cast<uint16_t>(Read16(row + at, rows_.order) + before);
    std::memcpy(samples + at, &sample, 2);
  }
}

}  // namespace pomona
