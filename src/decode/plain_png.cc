#include "plain_png.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <utility>

#include "inflate.h"
#include "pixels.h"
#include "png_rows.h"

namespace pomona {
namespace {

using Bytes = std::span<const uint8_t>;

constexpr uint32_t kMaxChunk = 0x7fffffff;

enum ColorType { kGray = 0, kRgb = 2, kPalette = 3, kGrayAlpha = 4, kRgba = 6 };

uint32_t ReadInt(const uint8_t* bytes) { return Read32(bytes, ByteOrder::kBig); }

struct Chunk {
  std::string_view type;
  Bytes data;
  const uint8_t* checksum;  // null where the file ends before it

  static constexpr char kLowerCase = 0x20;

  bool IsCritical() const { return (type[0] & kLowerCase) == 0; }

  bool IsSound() const {
    const uint8_t* start = data.data() - type.size();
    const auto size = static_cast<uInt>(data.size() + type.size());
    return checksum != nullptr && crc32(0, start, size) == ReadInt(checksum) &&
           std::all_of(type.begin(), type.end(),
                       [](char c) { return (c | kLowerCase) >= 'a' && (c | kLowerCase) <= 'z'; });
  }
};

class Chunks {
 public:
  explicit Chunks(Bytes file) : rest_(file) {}  // after the signature

  // False where there is no other whole one.
  bool Next(Chunk* chunk) {
    constexpr size_t kHeader = 8;
    constexpr size_t kChecksum = 4;
    if (rest_.size() < kHeader) return false;
    const uint32_t length = ReadInt(rest_.data());
    if (length > kMaxChunk || length > rest_.size() - kHeader) return false;
    chunk->type = {reinterpret_cast<const char*>(&rest_[4]), 4};
    chunk->data = rest_.subspan(kHeader, length);
    rest_ = rest_.subspan(kHeader + length);
    chunk->checksum = rest_.size() < kChecksum ? nullptr : rest_.data();
    rest_ = rest_.subspan(std::min(kChecksum, rest_.size()));
    return true;
  }

 private:
  Bytes rest_;
};

class PlainPng {
 public:
  explicit PlainPng(Bytes chunks) : chunks_(chunks) {}

  bool Decode(Workspace* memory, RowSink* sink) {
    return ReadHeader() && ReadFront() && ReadPixels(memory, sink);
  }

 private:
  bool ReadHeader() {
    Chunk header;
    if (!chunks_.Next(&header) || header.type != "IHDR" || header.data.size() != 13 ||
        !header.IsSound()) {
      return false;
    }
    width_ = ReadInt(&header.data[0]);
    height_ = ReadInt(&header.data[4]);
    bits_ = header.data[8];
    color_type_ = header.data[9];
    if (header.data[10] != 0 || header.data[11] != 0 || header.data[12] != 0) return false;
    const bool whole_bytes = bits_ == 8 || bits_ == 16;
    const bool few_bits = bits_ == 1 || bits_ == 2 || bits_ == 4;
    size_t channels = 1;
    switch (color_type_) {
      case kGray:
        if (!whole_bytes && !few_bits) return false;
        break;
      case kPalette:
        if (bits_ != 8 && !few_bits) return false;
        break;
      case kGrayAlpha:
      case kRgb:
      case kRgba:
        if (!whole_bytes) return false;
        channels = color_type_ == kGrayAlpha ? 2 : color_type_ == kRgb ? 3 : 4;
        break;
      default: return false;
    }
    row_bytes_ = PackedBytes(width_, channels * bits_);
    step_ = std::max<size_t>(channels * bits_ / 8, 1);
    if (color_type_ == kGray && bits_ < 8) table_ = GrayTable(1 << bits_);
    return true;
  }

  // The chunks up to the picture's data: a palette and transparency as they should be, and those
  // that do not count.
  bool ReadFront() {
    size_t colors = 0;
    bool transparency = false;
    Chunk chunk;
    while (chunks_.Next(&chunk)) {
      if (chunk.type == "IDAT") {
        first_data_ = chunk.data;
        return color_type_ != kPalette || colors > 0;
      }
      if (!chunk.IsSound()) return false;
      const size_t size = chunk.data.size();
      if (chunk.type == "PLTE") {
        const size_t most = color_type_ == kPalette ? size_t{1} << bits_ : 256;
        if (colors > 0 || transparency || (color_type_ & kRgb) == 0) return false;
        if (size == 0 || size % 3 != 0 || size / 3 > most) return false;
        colors = size / 3;
        if (color_type_ == kPalette) std::memcpy(table_.data(), chunk.data.data(), size);
      } else if (chunk.type == "tRNS") {
        const bool good = color_type_ == kPalette ? size > 0 && size <= colors
                                                  : (color_type_ == kGray && size == 2) ||
                                                        (color_type_ == kRgb && size == 6);
        if (transparency || !good) return false;
        transparency = true;
      } else if (chunk.IsCritical()) {
        return false;
      }
    }
    return false;
  }

  // The data, chunk by chunk. Another chunk ends them for good.
  Bytes NextData() {
    Bytes data = std::exchange(first_data_, {});
    Chunk chunk;
    while (data.empty() && chunks_.Next(&chunk)) {
      if (chunk.type != "IDAT")
        chunks_ = Chunks({});
      else
        data = chunk.data;
    }
    return data;
  }

  bool ReadPixels(Workspace* memory, RowSink* sink) {
    const size_t room = Inflater::RoomFor(1 + row_bytes_);
    const size_t padded_row = row_bytes_ + kPngRowPadding;
    if (room + 2 * padded_row > kUncountedBytes) return false;  // rows of half a million pixels
    uint8_t* const bytes = memory->samples.Reserve(room + 2 * padded_row);
    uint8_t* above = bytes + room;
    uint8_t* samples = above + padded_row;
    std::memset(above, 0, padded_row);

    Inflater inflater([this] { return NextData(); }, {bytes, room});
    Band band(width_, height_, &memory->rgb, sink);
    for (int64_t y = 0; y < height_; ++y) {
      const uint8_t* row = inflater.Read(1 + row_bytes_);
      if (row == nullptr || row[0] > 4) return false;
      UndoPngFilter(row[0], static_cast<int>(step_), row + 1, above, row_bytes_, samples);
      ToRgb(samples, band.Next());
      std::swap(above, samples);
    }
    band.Flush();
    return inflater.Ends();
  }

  // Alpha is dropped, 16 bits of colour give their upper half, 16 bits of gray without alpha are
  // clipped at 255.
  void ToRgb(const uint8_t* samples, uint8_t* rgb) const {
    const uint8_t channel = static_cast<uint8_t>(bits_ / 8);
    if (color_type_ == kPalette || bits_ < 8) {
      TableToRgb(table_, static_cast<int>(bits_), samples, width_, rgb);
    } else if (color_type_ == kGray && bits_ == 16) {
      for (size_t x = 0; x < width_; ++x, samples += 2) {
        std::memset(rgb + 3 * x, samples[0] != 0 ? 255 : samples[1], 3);
      }
    } else if ((color_type_ & kRgb) == 0) {
      PickColors(samples, step_, {0, 0, 0}, width_, rgb);
    } else if (step_ == 3) {
      std::memcpy(rgb, samples, row_bytes_);
    } else {
      PickColors(samples, step_, {0, channel, static_cast<uint8_t>(2 * channel)}, width_, rgb);
    }
  }

  Chunks chunks_;
  Bytes first_data_;
  uint32_t width_ = 0;
  uint32_t height_ = 0;
  size_t bits_ = 0;  // of a sample
  int color_type_ = 0;
  size_t row_bytes_ = 0;
  size_t step_ = 0;  // bytes from a pixel to the next, as filters take it
  ColorTable table_ = {};
};

}  // namespace

bool DecodePlainPng(std::span<const uint8_t> file, Workspace* memory, RowSink* sink) {
  constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
  const size_t size = kSignature.size();
  return file.size() >= size && std::memcmp(file.data(), kSignature.data(), size) == 0 &&
         PlainPng(file.subspan(size)).Decode(memory, sink);
}

}  // namespace pomona
