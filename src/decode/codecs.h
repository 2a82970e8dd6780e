// The codecs behind Decoder, one file each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <variant>

#include "memory_budget.h"
#include "pomona/decode.h"
#include "pomona/row_sink.h"

namespace pomona {

// Memory that is kept from picture to picture, but not what a huge one took once others are smaller.
// Another size loses what it held.
class Buffer {
 public:
  uint8_t* Reserve(size_t size) {
    const bool excessive = size_ > kUncountedBytes && size <= kUncountedBytes;
    if (size > size_ || excessive) {
      bytes_.reset();  // the old block goes before the new one comes
      size_ = 0;       // in case it does not come
      bytes_ = std::make_unique_for_overwrite<uint8_t[]>(size);
      size_ = size;
    }
    return bytes_.get();
  }

  void Drop() {
    bytes_.reset();
    size_ = 0;
  }

 private:
  std::unique_ptr<uint8_t[]> bytes_;
  size_t size_ = 0;
};

// A codec's memory.
class Workspace {
 public:
  // pictures: may be null, outlives this.
  explicit Workspace(MemoryBudget* pictures) : pictures_(pictures) {}

  Buffer rgb;      // pixels that cannot go to the sink yet
  Buffer samples;  // what they are made of

  // For a codec that is about to take so many bytes, here or elsewhere: once a picture, as it might
  // wait for others that wait for it. A reject where they are more than there is.
  std::optional<Reject> Claim(int64_t bytes);

  // After the picture.
  void Release();

 private:
  MemoryBudget* const pictures_;
  MemoryBudget::Claim claim_;
};

using DecodeResult = std::variant<PictureInfo, Reject>;

inline Reject Refuse(Reason reason, std::string message) {
  return {Stage::kDecode, reason, std::move(message)};
}

// Rows on their way to a sink, some at a time: the next step has work for whole vectors, and the
// rows are still in the cache then.
class Band {
 public:
  // A codec may write so many bytes behind a row, until it asks for the next one.
  static constexpr size_t kPadding = 256;

  // Begins the picture.
  Band(int64_t width, int64_t height, Buffer* memory, RowSink* sink);

  // Where the next row is to be written. Hands those before it on where they are enough.
  uint8_t* Next() {
    if (rows_ == capacity_) Flush();
    return pixels_ + stride_ * static_cast<size_t>(rows_++);
  }
  // After the last row.
  void Flush() {
    if (rows_ > 0) sink_->Add(pixels_, rows_);
    rows_ = 0;
  }

 private:
  const size_t stride_;
  const int capacity_;
  uint8_t* const pixels_;
  RowSink* const sink_;
  int rows_ = 0;
};

// Keeps all rows, for codecs whose pictures come in another order than from top to bottom.
class WholePicture : public RowSink {
 public:
  explicit WholePicture(Buffer* memory) : memory_(memory) {}

  void Begin(int width, int height) override;
  void Add(const uint8_t* rows, int count) noexcept override;

  int width() const { return width_; }
  int height() const { return height_; }
  std::span<const uint8_t> rgb() const { return {pixels_, bytes()}; }

 private:
  size_t bytes() const {
    return size_t{3} * static_cast<size_t>(width_) * static_cast<size_t>(height_);
  }

  Buffer* const memory_;
  uint8_t* pixels_ = nullptr;
  int width_ = 0;
  int height_ = 0;
  int rows_ = 0;
};

// Nothing where the sides are above 0, and they and width x height are within the limits.
std::optional<Reject> CheckSize(int64_t width, int64_t height, const DecodeLimits& limits);

// Scans x pixels that a JPEG may ask for.
inline int64_t MaxScanPixels(const DecodeLimits& limits, bool arithmetic, int64_t components) {
  if (!arithmetic) return limits.max_scan_pixels;
  return std::min(limits.max_scan_pixels, limits.max_arithmetic_samples / components);
}

// Each decodes a whole file of its format.
DecodeResult DecodeBmp(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows);
DecodeResult DecodeDib(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows);
DecodeResult DecodeGif(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows);
DecodeResult DecodeIco(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows);
DecodeResult DecodePng(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows);
DecodeResult DecodePnm(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows);
DecodeResult DecodeTga(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows);
DecodeResult DecodeTiff(std::span<const uint8_t> file, const DecodeLimits& limits,
                        Workspace* memory, RowSink* rows);
DecodeResult DecodeWebp(std::span<const uint8_t> file, const DecodeLimits& limits,
                        Workspace* memory, RowSink* rows);

// scaled_side: see Decoder.
DecodeResult DecodeJpeg(std::span<const uint8_t> file, const DecodeLimits& limits, int scaled_side,
                        Workspace* memory, RowSink* rows);

// The bitmap of an icon, whose header is at `header_at` and whose entry says that it has so many bits
// a pixel.
DecodeResult DecodeIconBitmap(std::span<const uint8_t> file, size_t header_at, int entry_bits,
                              const DecodeLimits& limits, Workspace* memory, RowSink* rows);

// Whether a file's header is that of a TGA, which has no signature.
bool IsTga(std::span<const uint8_t> file);
bool IsInterleavedTga(std::span<const uint8_t> file);  // not read

}  // namespace pomona
