#include <algorithm>
#include <array>
#include <string>

#include "codecs.h"
#include "pixels.h"

namespace pomona {
namespace {

constexpr size_t kFileHeaderSize = 14;
constexpr size_t kOs2HeaderSize = 12;

enum Compression : uint32_t { kRaw = 0, kRle8 = 1, kRle4 = 2, kBitfields = 3 };

// Where red, green and blue stand in a pixel of 32 bits.
struct Masks {
  uint32_t red, green, blue, alpha;
  int red_byte, green_byte, blue_byte;
  bool has_alpha;
};

// The layouts that Pillow knows; nobody writes others.
constexpr auto kMasks32 = std::to_array<Masks>({
    {0xff0000, 0xff00, 0xff, 0, 2, 1, 0, false},
    {0xff000000, 0xff0000, 0xff00, 0, 3, 2, 1, false},
    {0xff000000, 0xff00, 0xff, 0, 3, 1, 0, false},
    {0xff000000, 0xff0000, 0xff00, 0xff, 3, 2, 1, true},
    {0xff, 0xff00, 0xff0000, 0xff000000, 0, 1, 2, true},
    {0xff0000, 0xff00, 0xff, 0xff000000, 2, 1, 0, true},
    {0xff000000, 0xff00, 0xff, 0xff0000, 3, 1, 0, true},
    {0, 0, 0, 0, 2, 1, 0, true},
});

struct Header {
  int64_t width = 0;
  int64_t height = 0;
  bool top_down = false;
  int bits = 0;  // of a pixel in the file
  uint32_t compression = kRaw;
  size_t pixels_at = 0;

  int sample_bits = 0;  // of a sample of the colour table; 0 where there is none
  ColorTable table = {};
  Masks masks = kMasks32[0];
  bool six_green_bits = false;  // of 16
  std::string_view mode = "RGB";
};

uint16_t Read16(const uint8_t* bytes) { return Read16(bytes, ByteOrder::kLittle); }
uint32_t Read32(const uint8_t* bytes) { return Read32(bytes, ByteOrder::kLittle); }

Reject Truncated(std::string_view where) {
  return Refuse(Reason::kTruncated, "the file ends in its " + std::string(where));
}

Reject Unsupported(std::string message) {
  return Refuse(Reason::kUnsupportedFormat, std::move(message));
}

// `masks`: three, then the one of alpha where has_alpha.
std::optional<Reject> ReadMasks(const uint8_t* masks, bool has_alpha, Header* header) {
  const uint32_t red = Read32(masks);
  const uint32_t green = Read32(masks + 4);
  const uint32_t blue = Read32(masks + 8);
  const uint32_t alpha = has_alpha ? Read32(masks + 12) : 0;
  if (header->bits == 32) {
    for (const Masks& known : kMasks32) {
      if (red == known.red && green == known.green && blue == known.blue && alpha == known.alpha) {
        header->masks = known;
        if (known.has_alpha) header->mode = "RGBA";
        return std::nullopt;
      }
    }
  } else if (header->bits == 24 && red == 0xff0000 && green == 0xff00 && blue == 0xff) {
    return std::nullopt;
  } else if (header->bits == 16 && blue == 0x1f) {
    header->six_green_bits = red == 0xf800 && green == 0x7e0;
    if (header->six_green_bits || (red == 0x7c00 && green == 0x3e0)) return std::nullopt;
  }
  return Unsupported("bit fields of an unknown layout");
}

// A palette that runs through the shades of gray makes the picture one of gray. Pillow then reads
// samples of 1 or 8 bits, whatever the header says.
std::optional<Reject> ReadPalette(std::span<const uint8_t> palette, size_t entry_size,
                                  size_t colors, Header* header) {
  bool gray = true;
  for (size_t i = 0; i < colors && gray; ++i) {
    const auto value = static_cast<uint8_t>(colors == 2 ? i * 255 : i);
    gray = palette.size() >= i * entry_size + 3;
    for (size_t c = 0; c < 3 && gray; ++c) gray = palette[i * entry_size + c] == value;
  }
  if (gray) {
    header->table = GrayTable(colors == 2 ? 2 : 256);
    header->mode = colors == 2 ? "1" : "L";
    header->sample_bits = colors == 2 ? 1 : 8;
    return std::nullopt;
  }
  const size_t entries = palette.size() / entry_size;
  if (entries > header->table.size()) {
    return Refuse(Reason::kCorrupt, "a palette of " + std::to_string(entries) + " colours");
  }
  for (size_t i = 0; i < entries; ++i) {
    for (size_t c = 0; c < 3; ++c) header->table[i][c] = palette[i * entry_size + 2 - c];
  }
  header->mode = "P";
  header->sample_bits = header->bits;
  return std::nullopt;
}

// `at`: where the bitmap's header begins. `pixels_at`: where its pixels do; 0: behind the palette.
std::optional<Reject> ReadHeader(std::span<const uint8_t> file, size_t at, size_t pixels_at,
                                 const DecodeLimits& limits, Header* header) {
  if (file.size() - at < 4) return Truncated("header");
  const uint32_t size = Read32(&file[at]);
  const bool os2 = size == kOs2HeaderSize;
  constexpr auto kSizes = std::to_array<uint32_t>({12, 40, 52, 56, 64, 108, 124});
  if (std::find(kSizes.begin(), kSizes.end(), size) == kSizes.end()) {
    return Unsupported("a header of " + std::to_string(size) + " bytes");
  }
  if (file.size() - at < size) return Truncated("header");
  const uint8_t* fields = &file[at];
  size_t colors = 0;
  if (os2) {
    header->width = Read16(fields + 4);
    header->height = Read16(fields + 6);
    header->bits = Read16(fields + 10);
  } else {
    header->width = Read32(fields + 4);
    header->height = Read32(fields + 8);
    header->top_down = fields[11] == 0xff;
    if (header->top_down) header->height = (int64_t{1} << 32) - header->height;
    header->bits = Read16(fields + 14);
    header->compression = Read32(fields + 16);
    colors = Read32(fields + 32);
  }
  if (auto reject = CheckSize(header->width, header->height, limits)) return reject;

  const bool indexed = header->bits == 1 || header->bits == 4 || header->bits == 8;
  if (!indexed && header->bits != 16 && header->bits != 24 && header->bits != 32) {
    return Unsupported(std::to_string(header->bits) + " bits a pixel");
  }
  if (colors == 0) colors = indexed ? size_t{1} << header->bits : 0;
  size_t end = at + size;
  // Pillow takes an offset that leaves no room for the palette as one that forgot it.
  if (pixels_at == end && indexed) pixels_at += 4 * colors;

  if (header->compression == kBitfields) {
    if (size < 52) {
      if (file.size() - end < 12) return Truncated("header");
      end += 12;
    }
    if (auto reject = ReadMasks(fields + 40, size >= 56, header)) return reject;
  } else if (header->compression > kBitfields) {
    return Unsupported("compression " + std::to_string(header->compression));
  }
  if (indexed) {
    if (colors > 65536) {
      return Refuse(Reason::kCorrupt, "a palette of " + std::to_string(colors) + " colours");
    }
    const size_t entry_size = os2 ? 3 : 4;
    const auto palette = file.subspan(end).first(std::min(file.size() - end, entry_size * colors));
    if (auto reject = ReadPalette(palette, entry_size, colors, header)) return reject;
    end += palette.size();
  }
  header->pixels_at = pixels_at != 0 ? pixels_at : end;
  return std::nullopt;
}

void RowToRgb(const Header& header, const uint8_t* row, size_t width, uint8_t* rgb) {
  if (header.sample_bits != 0) {
    TableToRgb(header.table, header.sample_bits, row, width, rgb);
    return;
  }
  if (header.bits == 16) {
    const int green_bits = header.six_green_bits ? 6 : 5;
    const int green_levels = (1 << green_bits) - 1;
    for (size_t x = 0; x < width; ++x, row += 2, rgb += 3) {
      const int pixel = Read16(row);
      rgb[0] = static_cast<uint8_t>((pixel >> (5 + green_bits) & 31) * 255 / 31);
      rgb[1] = static_cast<uint8_t>((pixel >> 5 & green_levels) * 255 / green_levels);
      rgb[2] = static_cast<uint8_t>((pixel & 31) * 255 / 31);
    }
    return;
  }
  const size_t step = static_cast<size_t>(header.bits) / 8;
  for (size_t x = 0; x < width; ++x, row += step, rgb += 3) {
    rgb[0] = row[header.masks.red_byte];
    rgb[1] = row[header.masks.green_byte];
    rgb[2] = row[header.masks.blue_byte];
  }
}

// Fills `samples`, width x height indices in the order of the file. What the end of a line leaves
// out is 0.
std::optional<Reject> ExpandRuns(std::span<const uint8_t> file, const Header& header,
                                 uint8_t* samples) {
  const bool nibbles = header.compression == kRle4;
  const auto width = static_cast<size_t>(header.width);
  const size_t total = width * static_cast<size_t>(header.height);
  size_t filled = 0;  // may pass `total`, what is beyond is dropped
  size_t x = 0;
  size_t at = header.pixels_at;
  const auto put = [&](uint8_t sample) {
    if (filled < total) samples[filled] = sample;
    ++filled;
  };
  while (filled < total) {
    if (at >= file.size() || file.size() - at < 2) return Truncated("pixels");
    const size_t count = file[at];
    const uint8_t value = file[at + 1];
    at += 2;
    if (count != 0) {
      const size_t run = std::min(count, width - std::min(x, width));
      for (size_t i = 0; i < run; ++i) {
        put(!nibbles ? value : i % 2 == 0 ? value >> 4 : value & 15);
      }
      x += run;
    } else if (value == 0) {  // end of line
      while (filled % width != 0) put(0);
      x = 0;
    } else if (value == 1) {  // end of bitmap
      return Truncated("pixels");
    } else if (value == 2) {
      return Unsupported("runs that leave pixels out, which Pillow misreads");
    } else {  // literal samples, padded to an even offset; Pillow drops an odd nibble
      const size_t bytes = nibbles ? value / 2 : value;
      const size_t present = std::min(bytes, file.size() - at);
      for (size_t i = 0; i < present; ++i, ++at) {
        if (nibbles) {
          put(file[at] >> 4);
          put(file[at] & 15);
        } else {
          put(file[at]);
        }
      }
      if (present < bytes && filled < total) return Truncated("pixels");
      x += value;
      at += at % 2;
    }
  }
  return std::nullopt;
}

DecodeResult DecodePixels(std::span<const uint8_t> file, Header header, ImageFormat format,
                          Workspace* memory, RowSink* rows) {
  const auto width = static_cast<size_t>(header.width);
  const auto height = static_cast<size_t>(header.height);
  const uint8_t* pixels = nullptr;
  size_t stride = 0;
  if (header.compression == kRle8 || header.compression == kRle4) {
    if (header.mode != "P" && header.mode != "L") {
      return Refuse(Reason::kCorrupt, "runs of pixels that are no samples of 4 or 8 bits");
    }
    header.sample_bits = 8;
    if (auto reject = memory->Claim(header.width * header.height)) return std::move(*reject);
    uint8_t* samples = memory->samples.Reserve(width * height);
    if (auto reject = ExpandRuns(file, header, samples)) return std::move(*reject);
    pixels = samples;
    stride = width;
  } else {
    stride = (width * static_cast<size_t>(header.bits) + 31) / 32 * 4;
    const size_t row_size =
        PackedBytes(width, header.sample_bits != 0 ? header.sample_bits : header.bits);
    if (row_size > stride) {
      return Refuse(Reason::kCorrupt, "rows that are shorter than their shades of gray");
    }
    const size_t needed = stride * (height - 1) + row_size;
    if (header.pixels_at > file.size() || file.size() - header.pixels_at < needed) {
      return Truncated("pixels");
    }
    pixels = &file[header.pixels_at];
  }

  Band band(header.width, header.height, &memory->rgb, rows);
  for (size_t y = 0; y < height; ++y) {
    const size_t row = header.top_down ? y : height - 1 - y;
    RowToRgb(header, pixels + row * stride, width, band.Next());
  }
  band.Flush();
  return PictureInfo{.width = static_cast<int>(width),
                     .height = static_cast<int>(height),
                     .format = format,
                     .mode = header.mode};
}

DecodeResult DecodeBitmap(std::span<const uint8_t> file, size_t header_at, size_t pixels_at,
                          ImageFormat format, const DecodeLimits& limits, Workspace* memory,
                          RowSink* rows) {
  Header header;
  if (auto reject = ReadHeader(file, header_at, pixels_at, limits, &header)) {
    return std::move(*reject);
  }
  return DecodePixels(file, header, format, memory, rows);
}

}  // namespace

DecodeResult DecodeBmp(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows) {
  if (file.size() < kFileHeaderSize) return Truncated("header");
  return DecodeBitmap(file, kFileHeaderSize, Read32(&file[10]), ImageFormat::kBmp, limits, memory,
                      rows);
}

DecodeResult DecodeDib(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows) {
  return DecodeBitmap(file, 0, 0, ImageFormat::kDib, limits, memory, rows);
}

DecodeResult DecodeIconBitmap(std::span<const uint8_t> file, size_t header_at, int entry_bits,
                              const DecodeLimits& limits, Workspace* memory, RowSink* rows) {
  Header header;
  if (auto reject = ReadHeader(file, header_at, 0, limits, &header)) return std::move(*reject);
  header.height /= 2;  // it counts the rows of the mask as well
  if (header.height == 0) return Refuse(Reason::kCorrupt, "zero-sized image");
  // Pillow looks for alpha in the last of each four bytes, though the bitmap's pixels may be smaller.
  const auto with_alpha = static_cast<size_t>(4 * header.width * header.height);
  if (entry_bits == 32 &&
      (header.pixels_at > file.size() || file.size() - header.pixels_at < with_alpha)) {
    return Truncated("pixels");
  }
  return DecodePixels(file, header, ImageFormat::kIco, memory, rows);
}

}  // namespace pomona
