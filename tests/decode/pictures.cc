#include "pictures.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <variant>

namespace pomona {

Decoded Decode(Decoder* decoder, std::span<const uint8_t> file) {
  const auto result = decoder->Decode(file);
  if (const Reject* reject = std::get_if<Reject>(&result)) {
    EXPECT_EQ(reject->stage, Stage::kDecode);
    EXPECT_FALSE(reject->message.empty());
    return {.verdict = std::string(ReasonName(reject->reason))};
  }
  const Picture& picture = std::get<Picture>(result);
  EXPECT_EQ(picture.rgb.size(), size_t{3} * picture.width * picture.height);
  return {"ok", std::string(picture.mode), picture.width, picture.height,
          Bytes(picture.rgb.begin(), picture.rgb.end())};
}

Decoded Decode(std::span<const uint8_t> file, const DecodeLimits& limits) {
  Decoder decoder(limits);
  return Decode(&decoder, file);
}

Bytes Flat(int pixels, const Bytes& sample) {
  Bytes samples;
  for (int i = 0; i < pixels; ++i) samples.insert(samples.end(), sample.begin(), sample.end());
  return samples;
}

Bytes Ramp(int width, int height) {
  Bytes samples;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (const int value : {x * 8, y * 8, 255 - x * 8}) samples.push_back(value & 255);
    }
  }
  return samples;
}

Bytes MakeJpeg(int width, int height, const Bytes& samples, const JpegOptions& options) {
  jpeg_compress_struct cinfo;
  jpeg_error_mgr errors;
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_compress(&cinfo);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&cinfo, &buffer, &size);
  cinfo.image_width = width;
  cinfo.image_height = height;
  cinfo.input_components = static_cast<int>(samples.size() / (size_t{1} * width * height));
  cinfo.in_color_space = options.in;
  jpeg_set_defaults(&cinfo);
  jpeg_set_colorspace(&cinfo, options.stored);
  jpeg_set_quality(&cinfo, options.quality, TRUE);
  cinfo.arith_code = options.arithmetic;
  cinfo.optimize_coding = options.own_tables;
  cinfo.restart_interval = options.restart_interval;
  if (options.h != 0) cinfo.comp_info[0].h_samp_factor = options.h;
  if (options.v != 0) cinfo.comp_info[0].v_samp_factor = options.v;
  if (options.progressive) jpeg_simple_progression(&cinfo);
  if (!options.scans.empty()) {
    cinfo.scan_info = options.scans.data();
    cinfo.num_scans = static_cast<int>(options.scans.size());
  }
  jpeg_start_compress(&cinfo, TRUE);
  while (cinfo.next_scanline < cinfo.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(
        &samples[size_t{cinfo.next_scanline} * width * cinfo.input_components]);
    jpeg_write_scanlines(&cinfo, &row, 1);
  }
  jpeg_finish_compress(&cinfo);
  jpeg_destroy_compress(&cinfo);
  Bytes file(buffer, buffer + size);
  std::free(buffer);
  return file;
}

Bytes RepeatLastScan(const Bytes& file, int times) {
  size_t scan = 0;
  for (size_t i = 0; i + 1 < file.size(); ++i) {
    if (file[i] == 0xff && file[i + 1] == 0xda) scan = i;
  }
  Bytes longer(file.begin(), file.end() - 2);
  for (int i = 0; i < times; ++i) longer.insert(longer.end(), file.begin() + scan, file.end() - 2);
  longer.insert(longer.end(), file.end() - 2, file.end());
  return longer;
}

Bytes MakePng(int width, int height, int bit_depth, int color_type, const Bytes& rows,
              const PngOptions& options) {
  Bytes file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &file,
      [](png_structp self, png_bytep data, size_t size) {
        Bytes* out = static_cast<Bytes*>(png_get_io_ptr(self));
        out->insert(out->end(), data, data + size);
      },
      nullptr);
  png_set_check_for_invalid_index(png, 0);  // some pictures are to have such
  png_set_IHDR(png, info, width, height, bit_depth, color_type,
               options.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
  if (!options.palette.empty()) {
    png_set_PLTE(png, info, options.palette.data(), static_cast<int>(options.palette.size()));
  }
  if (!options.alphas.empty()) {
    png_set_tRNS(png, info, options.alphas.data(), static_cast<int>(options.alphas.size()),
                 nullptr);
  }
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  for (int y = 0; y < height; ++y) {
    pointers.push_back(const_cast<png_bytep>(&rows[rows.size() / height * y]));
  }
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

Bytes MakeTiff(std::vector<TiffTag> tags, const Bytes& data, bool strip) {
  Bytes file = {'I', 'I', '*', 0};
  const auto append = [&](size_t value, int bytes) {
    for (; bytes > 0; --bytes, value >>= 8) file.push_back(value & 255);
  };
  append(8 + data.size(), 4);
  file.insert(file.end(), data.begin(), data.end());
  if (strip) {
    tags.push_back({273, 4, 1, 8});
    tags.push_back({279, 4, 1, static_cast<uint32_t>(data.size())});
  }
  std::sort(tags.begin(), tags.end(), [](auto& a, auto& b) { return a.tag < b.tag; });
  append(tags.size(), 2);
  for (const TiffTag& tag : tags) {
    append(tag.tag, 2);
    append(tag.type, 2);
    append(tag.count, 4);
    append(tag.value, 4);
  }
  append(0, 4);
  return file;
}

}  // namespace pomona
