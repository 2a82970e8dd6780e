// Most photographs are baseline JPEGs. What libjpeg does with them is done here in less time.
#pragma once

#include <cstdio>  // jpeglib.h needs it first

#include <jpeglib.h>

#include "codecs.h"

namespace pomona {

// cinfo: after jpeg_read_header(), with all of the file in its source. Nothing of it is changed.
// Gives `rows` the pixels that libjpeg gives by default: its accurate DCT, smooth chroma.
// False where the file is of another kind, or damaged or unusual in any way. libjpeg is then to decode
// it from here on, and to judge it; `rows` may have got some.
bool DecodeBaselineJpeg(const jpeg_decompress_struct& cinfo, Workspace* memory, RowSink* rows);

}  // namespace pomona
