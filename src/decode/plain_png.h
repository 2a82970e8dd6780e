// PNGs as nearly all are, not interlaced and with nothing wrong, decoded without libpng in half the
// time. What is odd in any way is left to libpng (png.cc), so that there is one judge of it.
#pragma once

#include <cstdint>
#include <span>

#include "codecs.h"

namespace pomona {

// file: up to the end of the picture's data. False where libpng has to judge: what the sink got then
// counts for nothing. REQUIRES: the size that the file says is within the limits.
bool DecodePlainPng(std::span<const uint8_t> file, Workspace* memory, RowSink* sink);

}  // namespace pomona
