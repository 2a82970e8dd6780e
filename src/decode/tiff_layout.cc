#include "tiff_layout.h"

#include <tiff.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>

#include "lab.h"

namespace pomona {
namespace {

using Samples = TiffLayout::Samples;

Reject Unsupported(std::string message) {
  return Refuse(Reason::kUnsupportedFormat, std::move(message));
}
Reject Corrupt(std::string message) { return Refuse(Reason::kCorrupt, std::move(message)); }

// Those that Pillow reads, too.
bool IsKnown(uint64_t compression) {
  constexpr auto kKnown = std::to_array<uint64_t>(
      {COMPRESSION_NONE, COMPRESSION_CCITTRLE, COMPRESSION_CCITTFAX3, COMPRESSION_CCITTFAX4,
       COMPRESSION_LZW, COMPRESSION_OJPEG, COMPRESSION_JPEG, COMPRESSION_ADOBE_DEFLATE,
       COMPRESSION_CCITTRLEW, COMPRESSION_PACKBITS, COMPRESSION_THUNDERSCAN, COMPRESSION_DEFLATE,
       COMPRESSION_LZMA});
  return std::find(kKnown.begin(), kKnown.end(), compression) != kKnown.end();
}

bool AllAre(const std::vector<uint64_t>& values, uint64_t value) {
  return std::all_of(values.begin(), values.end(), [&](uint64_t v) { return v == value; });
}

// Gray, a palette or colours: those combinations of tags that Pillow knows.
bool FindSamples(const TiffDirectory& directory, const std::vector<uint64_t>& extra,
                 uint64_t format, TiffLayout* layout) {
  const bool little = directory.order() == ByteOrder::kLittle;
  const size_t samples = layout->bits.size();
  const uint64_t bits = layout->bits[0];
  if (!AllAre(layout->bits, bits)) return false;
  const auto extras_are = [&](std::vector<uint64_t> values) { return extra == values; };
  const bool single = samples == 1 && extra.empty();
  const bool small = bits == 1 || bits == 2 || bits == 4 || bits == 8;
  const bool is_unsigned = format == SAMPLEFORMAT_UINT;
  const auto set = [&](Samples meaning, std::string_view mode) {
    layout->samples = meaning;
    layout->mode = mode;
  };
  switch (layout->photometric) {
    case PHOTOMETRIC_MINISWHITE:
    case PHOTOMETRIC_MINISBLACK: {
      const bool black = layout->photometric == PHOTOMETRIC_MINISBLACK;
      if (single && small && (is_unsigned || (format == SAMPLEFORMAT_INT && bits == 8 && black))) {
        const int levels = 1 << bits;
        layout->table = GrayTable(levels);
        if (!black) std::reverse(layout->table.begin(), layout->table.begin() + levels);
        set(Samples::kTable, bits == 1 ? "1" : "L");
        return true;
      }
      if (samples == 2 && bits == 8 && is_unsigned && black && extras_are({2})) {
        layout->table = GrayTable(256);
        set(Samples::kTable, "LA");
        return true;
      }
      if (!single) return false;
      if (bits == 12 && is_unsigned && black && little) {
        set(Samples::kGray12, "I;16");
      } else if (bits == 16 && is_unsigned && (black || little)) {
        set(Samples::kUnsigned16, little ? "I;16" : "I;16B");
      } else if (bits == 16 && format == SAMPLEFORMAT_INT && black) {
        set(Samples::kSigned16, "I");
      } else if (bits == 32 && format == SAMPLEFORMAT_IEEEFP) {
        set(Samples::kFloat32, "F");
      } else if (bits == 32 && black && (format == SAMPLEFORMAT_INT || (is_unsigned && little))) {
        set(Samples::kSigned32, "I");
      } else {
        return false;
      }
      return true;
    }
    case PHOTOMETRIC_PALETTE: {
      const bool alpha = samples == 2 && bits == 8 && extras_are({2});
      const bool ignored = samples == 2 && bits == 8 && extras_are({0}) && little;
      if (!is_unsigned || !((single && small) || alpha || ignored)) return false;
      set(Samples::kTable, alpha ? "PA" : "P");
      return true;
    }
    case PHOTOMETRIC_RGB: {
      if (!is_unsigned || (bits != 8 && bits != 16) || samples < 3) return false;
      const bool alpha = samples > 3 && (extra.empty() || extra[0] != 0);
      const bool premultiplied = alpha && !extra.empty() && extra[0] == 1;
      if (samples == 3) {
        if (!extra.empty()) return false;
      } else if (samples == 4) {
        constexpr uint64_t kCorelDraw = 999;
        if (extra.size() > 1) return false;
        if (!extra.empty() && extra[0] > 2 && (extra[0] != kCorelDraw || bits != 8)) return false;
      } else {
        if (bits != 8 || extra.size() != samples - 3 || extra[0] > 2) return false;
        if (!AllAre({extra.begin() + 1, extra.end()}, 0)) return false;
      }
      layout->unnamed_alpha = alpha && extra.empty();
      set(premultiplied ? Samples::kPremultiplied : Samples::kRgb, alpha ? "RGBA" : "RGB");
      return true;
    }
    case PHOTOMETRIC_SEPARATED:
      set(Samples::kCmyk, "CMYK");
      return is_unsigned && samples >= 4 && extra.size() == samples - 4 && AllAre(extra, 0) &&
             (bits == 8 || (bits == 16 && little && samples == 4));
    case PHOTOMETRIC_YCBCR:
      if (!is_unsigned || bits != 8 || !extra.empty()) return false;
      if (samples == 1) {
        layout->table = GrayTable(256);
        set(Samples::kTable, "L");
      } else if (samples == 3) {
        set(Samples::kRgb, "RGB");
      } else {
        return false;
      }
      return true;
    case PHOTOMETRIC_CIELAB:
      set(Samples::kLab, "LAB");
      return is_unsigned && bits == 8 && samples == 3 && extra.empty();
    default: return false;
  }
}

// Where Pillow calls a single sample a plane of its own: not compressed, it reads that by the first
// letter of its raw mode alone (`L` of `L;I`), and by a wrong width of tiles where that is YCbCr.
bool LosesRawMode(const TiffLayout& layout, bool tiled, ByteOrder order) {
  const uint64_t bits = layout.bits[0];
  if (layout.reverse_bits) return true;
  if (bits == 32) return order == ByteOrder::kBig;
  if (bits == 1) return layout.photometric != PHOTOMETRIC_MINISBLACK;
  if (bits != 8 || layout.photometric == PHOTOMETRIC_MINISWHITE) return true;
  return tiled && layout.photometric == PHOTOMETRIC_YCBCR;
}

// Where Pillow knows the layout but has no way, or a wrong one, to read it from uncompressed
// (`raw`) or from compressed data.
bool PillowFails(const TiffLayout& layout, bool raw, ByteOrder order) {
  const size_t samples = layout.bits.size();
  const uint64_t bits = layout.bits[0];
  const bool planes = layout.planes;
  const bool palette = layout.photometric == PHOTOMETRIC_PALETTE;
  const bool rgb = layout.samples == Samples::kRgb;
  const bool alpha = layout.mode == "RGBA";
  if (planes && layout.samples == Samples::kLab) return true;
  if (layout.reverse_bits) {
    const bool gray16 = layout.samples == Samples::kUnsigned16 && order == ByteOrder::kLittle &&
                        layout.photometric == PHOTOMETRIC_MINISBLACK;
    if (!(samples == 1 && bits <= 8) && !(rgb && samples == 3 && bits == 8) && !gray16) return true;
    if (layout.photometric == PHOTOMETRIC_YCBCR || (raw && planes)) return true;
    if (raw && palette && bits < 8) return true;
    if (raw && bits == 8 && layout.photometric == PHOTOMETRIC_MINISWHITE) return true;
  }
  if (raw) {
    if (layout.photometric == PHOTOMETRIC_YCBCR) return samples == 3;
    const bool named = layout.samples == Samples::kCmyk || (rgb && alpha && !layout.unnamed_alpha);
    return planes && (bits != 8 || !(samples == 3 || (samples == 4 && named)));
  }
  if (bits == 32) return order == ByteOrder::kBig;
  if (planes && samples > 4) return true;
  if (palette) return planes && layout.mode == "P";
  return rgb && samples > 3 && !alpha && (planes || bits == 16);
}

// Tags that decide about the pixels.
constexpr auto kPixelTags =
    std::to_array<int>({TIFFTAG_IMAGEWIDTH,    TIFFTAG_IMAGELENGTH,     TIFFTAG_BITSPERSAMPLE,
                        TIFFTAG_COMPRESSION,   TIFFTAG_PHOTOMETRIC,     TIFFTAG_FILLORDER,
                        TIFFTAG_STRIPOFFSETS,  TIFFTAG_ORIENTATION,     TIFFTAG_SAMPLESPERPIXEL,
                        TIFFTAG_ROWSPERSTRIP,  TIFFTAG_STRIPBYTECOUNTS, TIFFTAG_PLANARCONFIG,
                        TIFFTAG_GROUP3OPTIONS, TIFFTAG_GROUP4OPTIONS,   TIFFTAG_PREDICTOR,
                        TIFFTAG_COLORMAP,      TIFFTAG_TILEWIDTH,       TIFFTAG_TILELENGTH,
                        TIFFTAG_TILEOFFSETS,   TIFFTAG_TILEBYTECOUNTS,  TIFFTAG_EXTRASAMPLES,
                        TIFFTAG_SAMPLEFORMAT,  TIFFTAG_YCBCRSUBSAMPLING});

// The upper byte of each sample of 16 bits; samples of 8 bits as they are.
uint8_t Upper(const uint8_t* samples, size_t index, uint64_t bits, ByteOrder order) {
  return bits == 8 ? samples[index] : static_cast<uint8_t>(Read16(samples + 2 * index, order) >> 8);
}

}  // namespace

std::variant<TiffLayout, Reject> ReadTiffLayout(const TiffDirectory& directory,
                                                const DecodeLimits& limits) {
  TiffLayout layout;
  for (const int tag : kPixelTags) {
    if (directory.IsMalformed(tag)) {
      return Corrupt("tag " + std::to_string(tag) +
                     " is there twice, or of a type or count that it may not have");
    }
  }
  if (!directory.Has(TIFFTAG_IMAGEWIDTH) || !directory.Has(TIFFTAG_IMAGELENGTH)) {
    return Corrupt("no size");
  }
  constexpr uint64_t kNoSide = uint64_t{1} << 32;
  layout.width = static_cast<int64_t>(std::min(directory.Number(TIFFTAG_IMAGEWIDTH, 0), kNoSide));
  layout.height = static_cast<int64_t>(std::min(directory.Number(TIFFTAG_IMAGELENGTH, 0), kNoSide));
  if (auto reject = CheckSize(layout.width, layout.height, limits)) return std::move(*reject);

  layout.compression = directory.Number(TIFFTAG_COMPRESSION, COMPRESSION_NONE);
  if (!IsKnown(layout.compression)) {
    return Unsupported("compression " + std::to_string(layout.compression));
  }
  layout.photometric = layout.compression == COMPRESSION_OJPEG
                           ? uint64_t{PHOTOMETRIC_YCBCR}
                           : directory.Number(TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISWHITE);
  const uint64_t fill_order = directory.Number(TIFFTAG_FILLORDER, FILLORDER_MSB2LSB);
  if (fill_order != FILLORDER_MSB2LSB && fill_order != FILLORDER_LSB2MSB) {
    return Unsupported("fill order " + std::to_string(fill_order));
  }
  layout.reverse_bits = fill_order == FILLORDER_LSB2MSB;
  // Pillow turns a TIFF the way it should be seen, unlike other formats.
  layout.orientation = static_cast<int>(std::min<uint64_t>(
      directory.Number(TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT), ORIENTATION_LEFTBOT + 1));

  constexpr size_t kMaxSamples = 6;
  const uint64_t samples =
      directory.Number(TIFFTAG_SAMPLESPERPIXEL, layout.compression == COMPRESSION_OJPEG ? 3 : 1);
  if (samples == 0 || samples > kMaxSamples) {
    return Unsupported(std::to_string(samples) + " samples a pixel");
  }
  const bool separate =
      directory.Number(TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) == PLANARCONFIG_SEPARATE;
  layout.planes = separate && samples > 1;
  layout.bits = directory.Numbers(TIFFTAG_BITSPERSAMPLE, samples);
  if (layout.bits.empty()) layout.bits = {1};
  if (layout.bits.size() == 1) layout.bits.resize(samples, layout.bits[0]);
  if (layout.bits.size() != samples) return Corrupt("not all samples say how many bits they have");
  // Of lossless data of fewer bits libjpeg-turbo 3.1 gives a byte for each sample, and libtiff hands it rows
  // in which they are packed: too short ones.
  if (layout.compression == COMPRESSION_JPEG && !AllAre(layout.bits, 8)) {
    return Unsupported("JPEG data of other than 8 bits a sample");
  }
  const std::vector<uint64_t> extra = directory.Numbers(TIFFTAG_EXTRASAMPLES, kMaxSamples);
  const std::vector<uint64_t> formats = directory.Numbers(TIFFTAG_SAMPLEFORMAT, kMaxSamples);
  const uint64_t format = formats.empty() ? SAMPLEFORMAT_UINT : formats[0];
  const bool one_format = formats.size() <= 1 || AllAre(formats, SAMPLEFORMAT_UINT);
  if (!one_format || !FindSamples(directory, extra, format, &layout)) {
    return Unsupported("photometric interpretation " + std::to_string(layout.photometric) + ", " +
                       std::to_string(samples) + " samples of " + std::to_string(layout.bits[0]) +
                       " bits, format " + std::to_string(format));
  }
  if (layout.photometric == PHOTOMETRIC_PALETTE) {
    const std::vector<uint64_t> map = directory.Numbers(TIFFTAG_COLORMAP, 3 * 65536);
    const size_t colors = map.size() / 3;
    if (colors == 0) return Corrupt("no palette");
    if (colors > layout.table.size()) {
      return Corrupt("a palette of " + std::to_string(colors) + " colours");
    }
    for (size_t i = 0; i < colors; ++i) {
      for (size_t c = 0; c < 3; ++c) {
        layout.table[i][c] =
            static_cast<uint8_t>(std::min<uint64_t>(map[c * colors + i] / 256, 255));
      }
    }
  }
  if (layout.photometric == PHOTOMETRIC_YCBCR && directory.Has(TIFFTAG_YCBCRSUBSAMPLING) &&
      directory.Numbers(TIFFTAG_YCBCRSUBSAMPLING, 3).size() != 2) {
    return Corrupt("a subsampling that is not two numbers");
  }
  // libtiff may know of the alpha or of the subsampling what Pillow does not.
  const bool ycbcr = layout.photometric == PHOTOMETRIC_YCBCR;
  if (((layout.planes && layout.unnamed_alpha) || ycbcr) && !directory.complete()) {
    return Corrupt("a tag refers to what is not in the file");
  }
  // Then libtiff looks into the JPEG, moves the file's position, and Pillow finds no Orientation.
  const bool lost = ycbcr && layout.compression == COMPRESSION_JPEG &&
                    !directory.Has(TIFFTAG_YCBCRSUBSAMPLING) &&
                    layout.orientation > ORIENTATION_TOPLEFT;
  const bool raw = layout.compression == COMPRESSION_NONE;
  const bool tiled = !directory.Has(TIFFTAG_STRIPOFFSETS);
  const uint64_t tile_width = directory.Number(TIFFTAG_TILEWIDTH, 0);
  const uint64_t tile_bits = tile_width % 8 * layout.bits[0] * (layout.planes ? 1 : samples);
  // Of uncompressed tiles that pass the right edge it takes rows of as many whole bytes as they have.
  const bool cut = !raw || tile_width == 0 || static_cast<uint64_t>(layout.width) % tile_width != 0;
  const bool misread =
      (raw && separate && samples == 1 && LosesRawMode(layout, tiled, directory.order())) ||
      (tiled && tile_bits % 8 != 0 && cut);
  if (lost || misread || PillowFails(layout, raw, directory.order())) {
    return Unsupported("a layout that Pillow rejects or misreads");
  }
  return layout;
}

void TiffRowToRgb(const TiffLayout& layout, const uint8_t* row, ByteOrder order, size_t width,
                  uint8_t* rgb) {
  const size_t samples = layout.bits.size();
  const uint64_t bits = layout.bits[0];
  const auto each_gray = [&](auto gray) {
    for (size_t x = 0; x < width; ++x) std::memset(rgb + 3 * x, gray(x), 3);
  };
  switch (layout.samples) {
    case Samples::kTable:
      if (samples == 1) {
        TableToRgb(layout.table, static_cast<int>(bits), row, width, rgb);
      } else {
        for (size_t x = 0; x < width; ++x) {
          std::memcpy(rgb + 3 * x, layout.table[row[samples * x]].data(), 3);
        }
      }
      break;
    case Samples::kGray12:
      each_gray([&](size_t x) {
        const uint8_t* pair = row + x / 2 * 3;
        return ClipInteger(x % 2 == 0 ? pair[0] << 4 | pair[1] >> 4
                                      : (pair[1] & 15) << 8 | pair[2]);
      });
      break;
    case Samples::kUnsigned16:
      each_gray([&](size_t x) { return ClipInteger(Read16(row + 2 * x, order)); });
      break;
    case Samples::kSigned16:
      each_gray(
          [&](size_t x) { return ClipInteger(static_cast<int16_t>(Read16(row + 2 * x, order))); });
      break;
    case Samples::kSigned32:
      each_gray(
          [&](size_t x) { return ClipInteger(static_cast<int32_t>(Read32(row + 4 * x, order))); });
      break;
    case Samples::kFloat32:
      each_gray(
          [&](size_t x) { return ClipFloat(std::bit_cast<float>(Read32(row + 4 * x, order))); });
      break;
    case Samples::kRgb:
      if (samples == 3 && bits == 8) {
        std::memcpy(rgb, row, 3 * width);
        break;
      }
      for (size_t x = 0; x < width; ++x) {
        for (size_t c = 0; c < 3; ++c) rgb[3 * x + c] = Upper(row, samples * x + c, bits, order);
      }
      break;
    case Samples::kPremultiplied:
      for (size_t x = 0; x < width; ++x) {
        const int alpha = Upper(row, samples * x + 3, bits, order);
        for (size_t c = 0; c < 3; ++c) {
          const int color = Upper(row, samples * x + c, bits, order);
          rgb[3 * x + c] = alpha == 0 ? 0 : ClipInteger(color * 255 / alpha);
        }
      }
      break;
    case Samples::kLab: LabToRgb(row, width, rgb); break;
    case Samples::kCmyk: {
      if (bits == 8) {
        CmykToRgb(row, samples, 0, width, rgb);
        break;
      }
      for (size_t x = 0; x < width; ++x) {
        std::array<uint8_t, 4> cmyk;
        for (size_t c = 0; c < 4; ++c) cmyk[c] = Upper(row, samples * x + c, bits, order);
        CmykToRgb(cmyk.data(), 4, 0, 1, rgb + 3 * x);
      }
      break;
    }
  }
}

void TiffRowToPlane(const TiffLayout& layout, const uint8_t* row, ByteOrder order, size_t width,
                    uint8_t* samples) {
  const size_t step = layout.bits.size();
  for (size_t x = 0; x < width; ++x) samples[step * x] = Upper(row, x, layout.bits[0], order);
}

TiffLayout JoinedPlanes(const TiffLayout& layout) {
  TiffLayout joined = layout;
  joined.planes = false;
  std::fill(joined.bits.begin(), joined.bits.end(), 8);
  // Pillow takes alpha for a factor of the colours, unless they are not compressed.
  if (layout.unnamed_alpha) joined.samples = Samples::kPremultiplied;
  return joined;
}

}  // namespace pomona
