// CIE L*a*b* -> RGB.
#pragma once

#include <cstddef>
#include <cstdint>

namespace pomona {

// lab: `width` pixels of three bytes, of which a and b are signed. By the profiles and the intent
// that Pillow takes where it converts between these modes.
void LabToRgb(const uint8_t* lab, size_t width, uint8_t* rgb);

}  // namespace pomona
