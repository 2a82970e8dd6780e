// Progressive JPEGs, scan by scan in less time than libjpeg takes.
#pragma once

#include <cstdint>
#include <cstdio>  // jpeglib.h needs it first

#include <jpeglib.h>

#include "codecs.h"

namespace pomona {

// What is kept of each block of coefficients until the last scan; the caller claims it.
constexpr int64_t kProgressiveBytes = sizeof(JBLOCK) + sizeof(uint64_t);

// As DecodeBaselineJpeg(), for files of up to `max_scans` scans. Where it is false, memory->samples is
// dropped: libjpeg keeps as much.
bool DecodeProgressiveJpeg(const jpeg_decompress_struct& cinfo, int max_scans, Workspace* memory,
                           RowSink* rows);

}  // namespace pomona
