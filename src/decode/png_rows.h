// Rows of a PNG: what was stored -> samples -> RGB.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace pomona {

// Bytes behind each row of samples that may be read and written, whatever they are.
inline constexpr size_t kPngRowPadding = 64;

// Adds to a row of `size` bytes what its filter, 0 to 4, foretells from the pixel before and the row
// above. A pixel takes `step` bytes: 1, 2, 3, 4, 6 or 8.
void UndoPngFilter(int filter, int step, const uint8_t* row, const uint8_t* above, size_t size,
                   uint8_t* samples);

// Picks three bytes out of the `step` (at most 8) of each pixel.
void PickColors(const uint8_t* samples, size_t step, const std::array<uint8_t, 3>& bytes,
                size_t width, uint8_t* rgb);

}  // namespace pomona
