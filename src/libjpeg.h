// Which libjpeg-turbo the process runs with. Versions 2 and 3 go by one name and are loaded in place of
// each other, so the headers do not tell.
#pragma once

#include <cstdio>  // jpeglib.h needs it first
#include <cstring>

#include <jerror.h>
#include <jpeglib.h>

namespace pomona {

// Pillow has libjpeg-turbo 3, which reads lossless files, too, and guesses otherwise than 2 what missing
// scans of a progressive one held.
inline bool IsLibjpegTurbo3() {
  jpeg_error_mgr errors;
  jpeg_std_error(&errors);
  // No function tells its version, but a message does whether it knows lossless files.
  return std::strstr(errors.jpeg_message_table[JERR_BAD_PROGRESSION], "lossless") != nullptr;
}

// Whether a file is lossless: a unit of it is a sample then and no block. cinfo: after
// jpeg_read_header().
inline bool IsLossless(const jpeg_decompress_struct& cinfo) {
  return cinfo.comp_info[0].DCT_scaled_size != DCTSIZE;
}

}  // namespace pomona
