// Progressive JPEGs, scan by scan in less time than libjpeg takes.
#pragma once

#include <cstdint>
#include <cstdio>  // jpeglib.h needs it first

#include <jpeglib.h>

#include "codecs.h"

namespace pomona {

// What the coefficients of a file of several scans take, here or in libjpeg, or the samples of a
// lossless one: for the caller to claim. cinfo: after jpeg_read_header().
int64_t CoefficientBytes(const jpeg_decompress_struct& cinfo);

// As DecodeBaselineJpeg(), for files of up to `max_scans` scans. Where it is false, memory->samples is
// dropped, as libjpeg then takes as much.
bool DecodeProgressiveJpeg(const jpeg_decompress_struct& cinfo, int max_scans, Workspace* memory,
                           RowSink* rows);

}  // namespace pomona
