// Any PNG by libpng: what the plain way (plain_png.h) has to agree with.
#pragma once

#include "codecs.h"

namespace pomona {

DecodeResult DecodePngByLibpng(std::span<const uint8_t> file, const DecodeLimits& limits,
                               Workspace* memory, RowSink* rows);

}  // namespace pomona
