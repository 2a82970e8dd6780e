// Bytes of an image file -> RGB pixels, the same that Pillow's convert("RGB") gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "pomona/item.h"

namespace pomona {

class MemoryBudget;
class RowSink;

enum class ImageFormat {
  kJpeg,
  kMpo,
  kPng,
  kWebp,
  kGif,
  kBmp,
  kDib,
  kIco,
  kTga,
  kTiff,
  kPnm,
  kOther
};

std::string_view FormatName(ImageFormat format);  // "JPEG", "PNG", ... as Pillow says

// How many of a file's first bytes say all that they can about its format.
inline constexpr size_t kSniffBytes = 512;

// The format that the first bytes announce (kSniffBytes of them, all of a shorter file); nothing
// where they announce no image.
std::optional<ImageFormat> SniffFormat(std::span<const uint8_t> first);

// Whether a file's name promises an image (by its extension, in any case).
bool HasImageExtension(std::string_view path);

// Whether the first bytes are those of an AppleDouble file, in which macOS keeps what another file
// system cannot: "._x.jpg" beside "x.jpg".
bool IsAppleDouble(std::span<const uint8_t> first);

// Whether a file is an image by its name or by its first bytes (as for SniffFormat). What is not
// need not be read any further; an AppleDouble file is not, whatever its name.
bool IsImage(std::string_view path, std::span<const uint8_t> first);

// The usual name of an image format that is not read here ("HEIF", "Canon CR3"), by the first bytes
// or else by the extension; empty where neither is that of such a format.
std::string_view UnreadFormatName(std::span<const uint8_t> first, std::string_view path);

// What a decoder refuses before it spends memory or time on it.
struct DecodeLimits {
  int64_t max_pixels = 178'956'970;  // where Pillow raises DecompressionBombError

  // A row takes its time even if it is one pixel wide. libpng's own limit.
  int64_t max_side = 1'000'000;

  // Passes over the coefficients of a JPEG, which a file may ask for every few bytes; real ones
  // have about ten. The second bounds their time: scans x pixels.
  int max_scans = 100;
  int64_t max_scan_pixels = 1'000'000'000;
  // Arithmetic coding makes up coefficients where the data end. Scans x pixels x components.
  int64_t max_arithmetic_samples = 150'000'000;

  // Text and colour profile of a PNG, expanded: one chunk, and all together. Pillow's limits.
  int64_t max_text_bytes = int64_t{1} << 20;
  int64_t max_texts_bytes = int64_t{64} << 20;

  int64_t max_frames = 65'536;  // of an animated WebP, which libwebp lists

  int64_t max_parts = int64_t{1} << 20;  // strips or tiles of a TIFF's plane, which are all listed

  // Bytes of the strips or tiles of a TIFF, which may be the same ones, beyond twice the file's and what
  // they expand to: they may expand to nothing, which takes its time.
  int64_t max_shared_bytes = int64_t{64} << 20;

  // The largest block that a codec may allocate besides the picture, as for a tile of a TIFF.
  int64_t max_codec_bytes = int64_t{1} << 30;
};

struct PictureInfo {
  int width = 0;
  int height = 0;
  ImageFormat format = ImageFormat::kOther;
  std::string_view mode;  // the pixels' layout in the file, in Pillow's words: "RGB", "L", "P", ...
};

// A decoded picture. The pixels belong to the Decoder that made it.
struct Picture : PictureInfo {
  std::span<const uint8_t> rgb;  // height x width x 3, row-major, no padding
};

// Decodes one file after another into buffers that it keeps.
//
// Threads: none shared; each worker owns one.
// Errors: whatever is wrong with a file is a Reject of stage decode. Memory that cannot be had says
// nothing about the file: std::bad_alloc, after which the decoder works as before.
class Decoder {
 public:
  // pictures: what those of several decoders may take together; outlives this. Null: no bound.
  // scaled_side: a JPEG may come at a half, a quarter or an eighth of its size, as far as both sides
  // keep so many pixels; 0: it may not. Rows are of that size then, PictureInfo is not.
  explicit Decoder(const DecodeLimits& limits = {}, MemoryBudget* pictures = nullptr,
                   int scaled_side = 0);
  ~Decoder();
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  // Hands the pixels to `rows` while it decodes; after a reject they may have got some of them. The
  // path only serves to name the format in the message of a reject, where the bytes do not tell.
  std::variant<PictureInfo, Reject> Decode(std::span<const uint8_t> file, RowSink* rows,
                                           std::string_view path = {});

  // The whole picture at once, as large as its rows are, valid until the next call or until the decoder dies.
  std::variant<Picture, Reject> Decode(std::span<const uint8_t> file);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pomona
