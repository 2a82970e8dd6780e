#include <algorithm>
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it first

#include <jerror.h>
#include <jpeglib.h>

#include "codecs.h"

namespace pomona {
namespace {

// A progressive file may ask for a pass over all coefficients every few bytes. Real ones have
// about ten scans.
constexpr int kMaxScans = 100;

enum class Outcome {
  kComplete,
  kTruncated,
  kFailed,  // libjpeg's error manager knows why
  kTooLarge,
  kTooManyScans,
  kUnsupportedComponents,
};

// libjpeg's state and what its callbacks need. Plain data: longjmp runs no destructors.
struct Reader {
  jpeg_decompress_struct cinfo;
  jpeg_error_mgr errors;
  jpeg_source_mgr source;
  jpeg_progress_mgr progress;
  jmp_buf failure;
  Outcome outcome;
};

[[noreturn]] void Stop(Reader* reader, Outcome outcome) {
  reader->outcome = outcome;
  longjmp(reader->failure, 1);
}

[[noreturn]] void OnError(j_common_ptr cinfo) {
  Stop(static_cast<Reader*>(cinfo->client_data), Outcome::kFailed);
}

void OnProgress(j_common_ptr cinfo) {
  if (reinterpret_cast<j_decompress_ptr>(cinfo)->input_scan_number > kMaxScans) {
    Stop(static_cast<Reader*>(cinfo->client_data), Outcome::kTooManyScans);
  }
}

// The whole file is in memory, so libjpeg wants more only where the file is truncated. Suspending
// then, as Pillow does, tells this from a picture that is complete though its end is missing.
boolean Suspend(j_decompress_ptr) { return FALSE; }

void Skip(j_decompress_ptr cinfo, long count) {
  const size_t skipped = std::min(static_cast<size_t>(count), cinfo->src->bytes_in_buffer);
  cinfo->src->next_input_byte += skipped;
  cinfo->src->bytes_in_buffer -= skipped;
}

void Open(std::span<const uint8_t> file, Reader* reader) {
  jpeg_decompress_struct& cinfo = reader->cinfo;
  cinfo.err = jpeg_std_error(&reader->errors);
  reader->errors.error_exit = OnError;
  reader->errors.output_message = [](j_common_ptr) {};
  cinfo.client_data = reader;
  // A new one for each file: tables would otherwise pass from one file to the next.
  jpeg_create_decompress(&cinfo);
  cinfo.src = &reader->source;
  reader->source.init_source = [](j_decompress_ptr) {};
  reader->source.fill_input_buffer = Suspend;
  reader->source.skip_input_data = Skip;
  reader->source.resync_to_restart = jpeg_resync_to_restart;
  reader->source.term_source = [](j_decompress_ptr) {};
  reader->source.next_input_byte = file.data();
  reader->source.bytes_in_buffer = file.size();
  reader->progress.progress_monitor = OnProgress;
  cinfo.progress = &reader->progress;
}

// Adobe's CMYK is stored inverted: each byte says how much paper is left. Pillow undoes that and
// then scales the paper left by each ink by the paper left by black, rounding in this way.
void CmykToRgb(const uint8_t* cmyk, int width, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, cmyk += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) {
      const int product = (255 - cmyk[c]) * cmyk[3] + 128;
      rgb[c] = static_cast<uint8_t>(std::max(0, cmyk[3] - (((product >> 8) + product) >> 8)));
    }
  }
}

// No object with a destructor may live here: errors leave by longjmp.
Outcome Read(std::span<const uint8_t> file, const DecodeLimits& limits, Buffer* rgb, Buffer* line,
             Reader* reader) {
  if (setjmp(reader->failure)) return reader->outcome;
  Open(file, reader);
  jpeg_decompress_struct& cinfo = reader->cinfo;

  int header;
  do {
    header = jpeg_read_header(&cinfo, FALSE);
  } while (header == JPEG_HEADER_TABLES_ONLY);
  if (header == JPEG_SUSPENDED) return Outcome::kTruncated;
  if (int64_t{cinfo.image_width} * cinfo.image_height > limits.max_pixels) {
    return Outcome::kTooLarge;
  }

  switch (cinfo.num_components) {
    case 1:
    case 3: cinfo.out_color_space = JCS_RGB; break;
    case 4: cinfo.out_color_space = JCS_CMYK; break;
    default: return Outcome::kUnsupportedComponents;
  }
  if (!jpeg_start_decompress(&cinfo)) return Outcome::kTruncated;

  const int width = static_cast<int>(cinfo.output_width);
  const size_t stride = size_t{cinfo.output_width} * 3;
  uint8_t* pixels = rgb->Reserve(stride * cinfo.output_height);
  uint8_t* cmyk =
      cinfo.num_components == 4 ? line->Reserve(size_t{cinfo.output_width} * 4) : nullptr;
  while (cinfo.output_scanline < cinfo.output_height) {
    uint8_t* row = pixels + cinfo.output_scanline * stride;
    uint8_t* target = cmyk != nullptr ? cmyk : row;
    if (jpeg_read_scanlines(&cinfo, &target, 1) != 1) return Outcome::kTruncated;
    if (cmyk != nullptr) CmykToRgb(cmyk, width, row);
  }
  // Looks for what is wrong behind the picture, as Pillow does; a missing end is fine.
  jpeg_finish_decompress(&cinfo);
  return Outcome::kComplete;
}

Reason ReasonOf(int error) {
  switch (error) {
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED: return Reason::kUnsupportedFormat;
    case JERR_IMAGE_TOO_BIG:
    case JERR_OUT_OF_MEMORY:
    case JERR_WIDTH_OVERFLOW: return Reason::kTooLarge;
    default: return Reason::kCorrupt;
  }
}

Reject Explain(const Reader& reader, const DecodeLimits& limits) {
  const jpeg_decompress_struct& cinfo = reader.cinfo;
  switch (reader.outcome) {
    case Outcome::kTruncated:
      if (cinfo.image_height == 0) return Refuse(Reason::kTruncated, "the file ends in its header");
      return Refuse(Reason::kTruncated, "the file ends in line " +
                                            std::to_string(cinfo.output_scanline) + " of " +
                                            std::to_string(cinfo.image_height));
    case Outcome::kTooLarge: return *CheckSize(cinfo.image_width, cinfo.image_height, limits);
    case Outcome::kTooManyScans:
      return Refuse(Reason::kTooLarge, "more than " + std::to_string(kMaxScans) + " scans");
    case Outcome::kUnsupportedComponents:
      return Refuse(Reason::kUnsupportedFormat,
                    std::to_string(cinfo.num_components) + " colour components");
    default: break;
  }
  char message[JMSG_LENGTH_MAX];
  reader.errors.format_message(reinterpret_cast<j_common_ptr>(const_cast<j_decompress_ptr>(&cinfo)),
                               message);
  return Refuse(ReasonOf(reader.errors.msg_code), message);
}

}  // namespace

std::variant<Picture, Reject> DecodeJpeg(std::span<const uint8_t> file, const DecodeLimits& limits,
                                         Buffer* rgb, Buffer* line) {
  Reader reader = {};
  reader.outcome = Read(file, limits, rgb, line, &reader);
  const jpeg_decompress_struct& cinfo = reader.cinfo;
  std::variant<Picture, Reject> result;
  if (reader.outcome == Outcome::kComplete) {
    const size_t bytes = size_t{cinfo.output_width} * cinfo.output_height * 3;
    result = Picture{
        .width = static_cast<int>(cinfo.output_width),
        .height = static_cast<int>(cinfo.output_height),
        .rgb = {rgb->Reserve(bytes), bytes},
        .format = ImageFormat::kJpeg,
        .mode = cinfo.num_components == 1   ? "L"
                : cinfo.num_components == 3 ? "RGB"
                                            : "CMYK",
    };
  } else {
    result = Explain(reader, limits);
  }
  jpeg_destroy_decompress(&reader.cinfo);
  return result;
}

}  // namespace pomona
