#include <algorithm>
#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it first
#include <memory>
#include <new>

#include <jerror.h>
#include <jpeglib.h>

#include "baseline_jpeg.h"
#include "codecs.h"
#include "libjpeg.h"
#include "pixels.h"
#include "progressive_jpeg.h"
#include "tiff_directory.h"

namespace pomona {
namespace {

enum class ReadOutcome {
  kComplete,
  kTruncated,
  kFailed,  // libjpeg's error manager knows why
  kTooLarge,
  kRefused,  // Reader::refused says why
  kTooManyScans,
  kScansMissing,
  kUnsupportedComponents,
};

// libjpeg's state and what its callbacks need. Plain data: longjmp runs no destructors.
struct Reader {
  jpeg_decompress_struct cinfo;
  jpeg_error_mgr errors;
  jpeg_source_mgr source;
  jpeg_progress_mgr progress;
  jmp_buf failure;
  ReadOutcome outcome;
  int max_scans;
  bool several_pictures;
  bool gain_map;
  std::optional<Reject>* refused;
  int scaled_side;
};

[[noreturn]] void Stop(Reader* reader, ReadOutcome outcome) {
  reader->outcome = outcome;
  longjmp(reader->failure, 1);
}

[[noreturn]] void OnError(j_common_ptr cinfo) {
  Stop(static_cast<Reader*>(cinfo->client_data), ReadOutcome::kFailed);
}

void OnProgress(j_common_ptr cinfo) {
  Reader* reader = static_cast<Reader*>(cinfo->client_data);
  if (reader->cinfo.input_scan_number > reader->max_scans) Stop(reader, ReadOutcome::kTooManyScans);
}

// The whole file is in memory, so libjpeg wants more only where the file is truncated. Suspending
// then, as Pillow does, tells this from a picture that is complete though its end is missing.
boolean Suspend(j_decompress_ptr) { return FALSE; }

void Skip(j_decompress_ptr cinfo, long count) {
  const size_t skipped = std::min(static_cast<size_t>(count), cinfo->src->bytes_in_buffer);
  cinfo->src->next_input_byte += skipped;
  cinfo->src->bytes_in_buffer -= skipped;
}

// Looks into the application segments that tell an MPO, then passes over them as libjpeg would.
boolean OnApplicationSegment(j_decompress_ptr cinfo) {
  Reader* reader = static_cast<Reader*>(cinfo->client_data);
  constexpr size_t kLengthSize = 2;
  const std::span<const uint8_t> rest(cinfo->src->next_input_byte, cinfo->src->bytes_in_buffer);
  if (rest.size() < kLengthSize) return FALSE;
  const size_t length =
      std::clamp<size_t>(Read16(rest.data(), ByteOrder::kBig), kLengthSize, rest.size());
  const auto segment = rest.first(length).subspan(kLengthSize);
  const std::string_view text(reinterpret_cast<const char*>(segment.data()), segment.size());
  constexpr std::string_view kSeveralPictures("MPF\0", 4);
  if (cinfo->unread_marker == JPEG_APP0 + 1) {
    reader->gain_map |= text.find(" hdrgm:Version=\"") != std::string_view::npos;
  } else if (text.starts_with(kSeveralPictures)) {
    constexpr int kNumberOfImages = 0xb001;
    const auto index = TiffDirectory::Read(segment.subspan(kSeveralPictures.size()));
    reader->several_pictures = index && index->Number(kNumberOfImages, 1) > 1;
  }
  Skip(cinfo, static_cast<long>(length));
  return TRUE;
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
  jpeg_set_marker_processor(&cinfo, JPEG_APP0 + 1, OnApplicationSegment);
  jpeg_set_marker_processor(&cinfo, JPEG_APP0 + 2, OnApplicationSegment);
  reader->progress.progress_monitor = OnProgress;
  cinfo.progress = &reader->progress;
}

// Whether scans of the luma or chroma are so incomplete that libjpeg would guess the missing detail
// from the neighbourhood.
bool WouldGuess(const jpeg_decompress_struct& cinfo) {
  if (!cinfo.progressive_mode || cinfo.coef_bits == nullptr) return false;
  bool missing = false;
  for (int i = 0; i < cinfo.num_components; ++i) {
    const int* bits = cinfo.coef_bits[i];  // of each coefficient, still to come; -1: all
    if (bits[0] < 0) return false;
    missing = missing || std::any_of(bits + 1, bits + 10, [](int b) { return b != 0; });
  }
  return missing;
}

// By how much the sides may shrink: 1, 2, 4 or 8.
unsigned Reduction(const jpeg_decompress_struct& cinfo, int scaled_side) {
  if (scaled_side == 0) return 1;
  const unsigned side = std::min(cinfo.image_width, cinfo.image_height);
  unsigned reduction = 1;
  while (reduction < 8 && side / (2 * reduction) >= static_cast<unsigned>(scaled_side)) {
    reduction *= 2;
  }
  return reduction;
}

// Where a file has several scans, the coefficients of all its pixels are kept.
bool ClaimCoefficients(j_decompress_ptr cinfo, Workspace* memory, std::optional<Reject>* refused) {
  if (!jpeg_has_multiple_scans(cinfo)) return true;
  *refused = memory->Claim(CoefficientBytes(*cinfo));
  return !*refused;
}

// A function of its own, as a reject has a destructor.
bool IsTooLarge(const jpeg_decompress_struct& cinfo, const DecodeLimits& limits) {
  return CheckSize(cinfo.image_width, cinfo.image_height, limits).has_value();
}

// No object with a destructor may live here: errors leave by longjmp.
ReadOutcome Read(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                 RowSink* rows, Reader* reader) {
  if (setjmp(reader->failure)) return reader->outcome;
  Open(file, reader);
  jpeg_decompress_struct& cinfo = reader->cinfo;

  int header;
  do {
    header = jpeg_read_header(&cinfo, FALSE);
  } while (header == JPEG_HEADER_TABLES_ONLY);
  if (header == JPEG_SUSPENDED) return ReadOutcome::kTruncated;
  // Version 2 has said so itself; 3 has other functions for samples of 12 or 16 bits, and takes 2 to 7.
  if (cinfo.data_precision != 8) ERREXIT1(&cinfo, JERR_BAD_PRECISION, cinfo.data_precision);
  if (IsTooLarge(cinfo, limits)) return ReadOutcome::kTooLarge;
  reader->max_scans = static_cast<int>(std::min<int64_t>(
      limits.max_scans, MaxScanPixels(limits, cinfo.arith_code, cinfo.num_components) /
                            (int64_t{cinfo.image_width} * cinfo.image_height)));

  switch (cinfo.num_components) {
    case 1: cinfo.out_color_space = JCS_GRAYSCALE; break;  // nothing else of a lossless one
    case 3: cinfo.out_color_space = JCS_RGB; break;
    case 4: cinfo.out_color_space = JCS_CMYK; break;
    default: return ReadOutcome::kUnsupportedComponents;
  }
  cinfo.scale_denom = Reduction(cinfo, reader->scaled_side);
  const bool may_be_fast = cinfo.scale_denom == 1 && reader->max_scans > 0;
  if (may_be_fast && DecodeBaselineJpeg(cinfo, memory, rows)) return ReadOutcome::kComplete;
  if (!ClaimCoefficients(&cinfo, memory, reader->refused)) return ReadOutcome::kRefused;
  if (may_be_fast && DecodeProgressiveJpeg(cinfo, reader->max_scans, memory, rows)) {
    return ReadOutcome::kComplete;
  }
  if (!jpeg_start_decompress(&cinfo)) return ReadOutcome::kTruncated;
  if (WouldGuess(cinfo) && !IsLibjpegTurbo3()) return ReadOutcome::kScansMissing;

  Band band(cinfo.output_width, cinfo.output_height, &memory->rgb, rows);
  const ColorTable shades = GrayTable(256);
  const auto components = static_cast<size_t>(cinfo.num_components);
  uint8_t* samples =
      components != 3 ? memory->samples.Reserve(cinfo.output_width * components) : nullptr;
  while (cinfo.output_scanline < cinfo.output_height) {
    uint8_t* row = band.Next();
    uint8_t* target = samples != nullptr ? samples : row;
    if (jpeg_read_scanlines(&cinfo, &target, 1) != 1) return ReadOutcome::kTruncated;
    if (components == 1) TableToRgb(shades, 8, samples, cinfo.output_width, row);
    // Adobe stores CMYK inverted: each byte says how much paper is left.
    if (components == 4) CmykToRgb(samples, 4, 255, cinfo.output_width, row);
  }
  band.Flush();
  // Looks for what is wrong behind the picture, as Pillow does; a missing end is fine.
  jpeg_finish_decompress(&cinfo);
  return ReadOutcome::kComplete;
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
    case JERR_WIDTH_OVERFLOW: return Reason::kTooLarge;
    default: return Reason::kCorrupt;
  }
}

Reject Explain(const Reader& reader, const DecodeLimits& limits) {
  const jpeg_decompress_struct& cinfo = reader.cinfo;
  switch (reader.outcome) {
    case ReadOutcome::kTruncated:
      if (cinfo.image_height == 0) return Refuse(Reason::kTruncated, "the file ends in its header");
      return Refuse(Reason::kTruncated,
                    "the file ends in line " +
                        std::to_string(cinfo.output_scanline * cinfo.scale_denom) + " of " +
                        std::to_string(cinfo.image_height));
    case ReadOutcome::kTooLarge: return *CheckSize(cinfo.image_width, cinfo.image_height, limits);
    case ReadOutcome::kRefused: return **reader.refused;
    case ReadOutcome::kTooManyScans:
      return Refuse(Reason::kTooLarge, "more than " + std::to_string(reader.max_scans) + " scans");
    case ReadOutcome::kScansMissing: return Refuse(Reason::kTruncated, "scans are missing");
    case ReadOutcome::kUnsupportedComponents:
      return Refuse(Reason::kUnsupportedFormat,
                    std::to_string(cinfo.num_components) + " colour components");
    default: break;
  }
  constexpr int kJpegLs = 0xf7;
  if (reader.errors.msg_code == JERR_UNKNOWN_MARKER && cinfo.unread_marker == kJpegLs) {
    return Refuse(Reason::kUnsupportedFormat, "JPEG-LS images are not read");
  }
  char message[JMSG_LENGTH_MAX];
  reader.errors.format_message(reinterpret_cast<j_common_ptr>(const_cast<j_decompress_ptr>(&cinfo)),
                               message);
  return Refuse(ReasonOf(reader.errors.msg_code), message);
}

}  // namespace

DecodeResult DecodeJpeg(std::span<const uint8_t> file, const DecodeLimits& limits, int scaled_side,
                        Workspace* memory, RowSink* rows) {
  Reader reader = {};
  std::optional<Reject> refused;
  reader.refused = &refused;
  reader.scaled_side = scaled_side;
  jpeg_decompress_struct& cinfo = reader.cinfo;
  const std::unique_ptr<jpeg_decompress_struct, void (*)(j_decompress_ptr)> destroy(
      &cinfo, jpeg_destroy_decompress);
  reader.outcome = Read(file, limits, memory, rows, &reader);
  if (reader.outcome == ReadOutcome::kFailed && reader.errors.msg_code == JERR_OUT_OF_MEMORY) {
    throw std::bad_alloc();
  }
  if (reader.outcome != ReadOutcome::kComplete) return Explain(reader, limits);
  return PictureInfo{
      .width = static_cast<int>(cinfo.image_width),
      .height = static_cast<int>(cinfo.image_height),
      // Pillow takes a photograph with a gain map for a plain JPEG.
      .format =
          reader.several_pictures && !reader.gain_map ? ImageFormat::kMpo : ImageFormat::kJpeg,
      .mode = cinfo.num_components == 1   ? "L"
              : cinfo.num_components == 3 ? "RGB"
                                          : "CMYK",
  };
}

}  // namespace pomona
