// Pixels of JPEGs, by libjpeg alone and by the decoders that are to give the same.
#pragma once

#include <csetjmp>
#include <cstdint>
#include <cstdio>  // jpeglib.h needs it first
#include <optional>
#include <span>
#include <vector>

#include <jpeglib.h>

#include "decode/baseline_jpeg.h"
#include "decode/progressive_jpeg.h"

namespace pomona {

// libjpeg, whose errors lead to `failure`.
struct LibjpegReader {
  jpeg_decompress_struct cinfo = {};
  jpeg_error_mgr errors = {};
  jmp_buf failure;
  std::vector<uint8_t> rgb =
      {};  // here, for longjmp() forgets what changed in a function it returns to

  LibjpegReader() {
    cinfo.err = jpeg_std_error(&errors);
    cinfo.client_data = this;
    errors.error_exit = [](j_common_ptr info) {
      longjmp(static_cast<LibjpegReader*>(info->client_data)->failure, 1);
    };
    errors.output_message = [](j_common_ptr) {};
    jpeg_create_decompress(&cinfo);
  }
  ~LibjpegReader() { jpeg_destroy_decompress(&cinfo); }
};

// What libjpeg makes of a file; nothing where it gives up or finds fault behind the header.
inline std::optional<std::vector<uint8_t>> ByLibjpeg(std::span<const uint8_t> file) {
  LibjpegReader reader;
  jpeg_decompress_struct& cinfo = reader.cinfo;
  if (setjmp(reader.failure)) return std::nullopt;
  jpeg_mem_src(&cinfo, file.data(), file.size());  // which refuses an empty one
  jpeg_read_header(&cinfo, TRUE);
  const long warnings = reader.errors.num_warnings;
  cinfo.out_color_space = JCS_RGB;
  jpeg_start_decompress(&cinfo);
  const size_t stride = size_t{3} * cinfo.output_width;
  reader.rgb.resize(stride * cinfo.output_height);
  while (cinfo.output_scanline < cinfo.output_height) {
    JSAMPROW row = &reader.rgb[stride * cinfo.output_scanline];
    jpeg_read_scanlines(&cinfo, &row, 1);
  }
  jpeg_finish_decompress(&cinfo);
  if (reader.errors.num_warnings > warnings) return std::nullopt;
  return reader.rgb;
}

// What the decoders under test make of it; nothing where they leave the file to libjpeg.
inline std::optional<std::vector<uint8_t>> ByUs(std::span<const uint8_t> file) {
  Workspace memory(nullptr);  // new, so that what is not written does not look right
  Buffer whole;
  LibjpegReader reader;
  WholePicture rows(&whole);
  if (setjmp(reader.failure)) return std::nullopt;
  jpeg_mem_src(&reader.cinfo, file.data(), file.size());
  jpeg_read_header(&reader.cinfo, TRUE);
  constexpr int64_t kMaxPixels = 1 << 22;
  if (int64_t{reader.cinfo.image_width} * reader.cinfo.image_height > kMaxPixels) {
    return std::nullopt;
  }
  constexpr int kMaxScans = 100;
  if (!DecodeBaselineJpeg(reader.cinfo, &memory, &rows) &&
      !DecodeProgressiveJpeg(reader.cinfo, kMaxScans, &memory, &rows)) {
    return std::nullopt;
  }
  return std::vector<uint8_t>(rows.rgb().begin(), rows.rgb().end());
}

}  // namespace pomona
