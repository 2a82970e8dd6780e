// The first picture of a TIFF: libtiff expands what is compressed.
#include <tiffio.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "codecs.h"
#include "pixels.h"
#include "tiff_deflate.h"
#include "tiff_directory.h"
#include "tiff_layout.h"
#include "xz.h"

namespace pomona {
namespace {

constexpr ByteOrder kHostOrder =
    std::endian::native == std::endian::little ? ByteOrder::kLittle : ByteOrder::kBig;

Reject Corrupt(std::string message) { return Refuse(Reason::kCorrupt, std::move(message)); }
Reject Truncated() { return Refuse(Reason::kTruncated, "the file ends in its pixels"); }

// Strips or tiles: the image is cut into parts of so many columns and rows, plane by plane.
struct Parts {
  bool tiled = false;
  size_t columns = 0;
  size_t rows = 0;
  size_t count = 0;
};

// One of them, less what of a tile lies outside the image.
struct Part {
  size_t index;
  size_t plane;
  size_t x, y;
  size_t columns, rows;
};

std::variant<Parts, Reject> ReadParts(const TiffDirectory& directory, const TiffLayout& layout,
                                      const DecodeLimits& limits) {
  const auto width = static_cast<uint64_t>(layout.width);
  const auto height = static_cast<uint64_t>(layout.height);
  const bool tiled = !directory.Has(TIFFTAG_STRIPOFFSETS);
  const uint64_t columns = tiled ? directory.Number(TIFFTAG_TILEWIDTH, 0) : width;
  const uint64_t rows = tiled ? directory.Number(TIFFTAG_TILELENGTH, 0)
                              : std::min(directory.Number(TIFFTAG_ROWSPERSTRIP, height), height);
  constexpr uint64_t kMaxSide = uint64_t{1} << 31;
  if (columns == 0 || rows == 0 || columns > kMaxSide || rows > kMaxSide) {
    return Corrupt("strips or tiles of no size");
  }
  const size_t planes = layout.planes ? layout.bits.size() : 1;
  const size_t count = ((width + columns - 1) / columns) * ((height + rows - 1) / rows) * planes;
  // Tiles may be far larger than what they show of a narrow picture, and share their data.
  const auto max_pixels = static_cast<uint64_t>(limits.max_pixels) * 2 * planes;
  if (columns > max_pixels / rows || count > max_pixels / (columns * rows) ||
      count > static_cast<uint64_t>(limits.max_parts) * planes) {
    return Refuse(Reason::kTooLarge, std::to_string(count) + " tiles of " +
                                         std::to_string(columns) + " x " + std::to_string(rows) +
                                         " pixels");
  }
  return Parts{.tiled = tiled, .columns = columns, .rows = rows, .count = count};
}

// Where the rows of a picture go.
struct Target {
  RowSink* rows;
  Buffer* memory;   // for those on their way
  uint8_t* planes;  // samples side by side, in place of rows; nullptr where there are no planes
};

// Calls read(part, stride) for each part, which gives its rows, `stride` bytes apart, or nullptr
// where they cannot be had; false then.
template <typename ReadPart>
bool ReadRows(const TiffLayout& layout, const Parts& parts, ByteOrder order, const Target& target,
              ReadPart read) {
  const auto width = static_cast<size_t>(layout.width);
  const auto height = static_cast<size_t>(layout.height);
  const size_t stride = layout.RowBytes(parts.columns);
  std::optional<Band> band;
  uint8_t* side_by_side = nullptr;  // the rows of tiles that make whole rows together
  if (target.planes == nullptr && parts.columns >= width) {
    band.emplace(layout.width, layout.height, target.memory, target.rows);
  } else if (target.planes == nullptr) {
    side_by_side = target.memory->Reserve(3 * width * std::min(parts.rows, height));
    target.rows->Begin(static_cast<int>(width), static_cast<int>(height));
  }
  Part part = {};
  for (; part.index < parts.count; ++part.index) {
    part.columns = std::min(parts.columns, width - part.x);
    part.rows = std::min(parts.rows, height - part.y);
    const uint8_t* rows = read(part, stride);
    if (rows == nullptr) return false;
    for (size_t i = 0; i < part.rows; ++i, rows += stride) {
      if (target.planes == nullptr) {
        TiffRowToRgb(layout, rows, order, part.columns,
                     band ? band->Next() : side_by_side + 3 * (i * width + part.x));
      } else {
        const size_t at = (part.y + i) * width + part.x;
        TiffRowToPlane(layout, rows, order, part.columns,
                       target.planes + layout.bits.size() * at + part.plane);
      }
    }
    part.x += parts.columns;
    if (part.x < width) continue;
    if (side_by_side != nullptr) target.rows->Add(side_by_side, static_cast<int>(part.rows));
    part.x = 0;
    part.y += parts.rows;
    if (part.y < height) continue;
    part.y = 0;
    ++part.plane;
  }
  if (band) band->Flush();
  return true;
}

// Uncompressed parts, read as Pillow does: as many bytes as they need, whatever their size is said
// to be.
std::optional<Reject> ReadRaw(std::span<const uint8_t> file, const TiffDirectory& directory,
                              const TiffLayout& layout, const Parts& parts, const Target& target) {
  const auto offsets =
      directory.Numbers(parts.tiled ? TIFFTAG_TILEOFFSETS : TIFFTAG_STRIPOFFSETS, parts.count + 1);
  if (offsets.size() < parts.count) return Truncated();
  if (offsets.size() > parts.count) return Corrupt("more strips or tiles than the picture has");
  Buffer reversed;
  const auto read = [&](const Part& part, size_t stride) -> const uint8_t* {
    const uint64_t offset = offsets[part.index];
    const size_t size = stride * (part.rows - 1) + layout.RowBytes(part.columns);
    if (offset > file.size() || file.size() - offset < size) return nullptr;
    if (!layout.reverse_bits) return &file[offset];
    uint8_t* rows = reversed.Reserve(size);
    std::memcpy(rows, &file[offset], size);
    TIFFReverseBits(rows, static_cast<tmsize_t>(size));
    return rows;
  };
  if (!ReadRows(layout, parts, directory.order(), target, read)) return Truncated();
  return std::nullopt;
}

// The file as libtiff sees it: memory that is there already.
struct Memory {
  std::span<const uint8_t> file;
  uint64_t at = 0;
  std::string error = {};
  bool truncated = false;
  bool over_limit = false;     // it wanted more memory than it may have
  bool out_of_memory = false;  // there was none
};

tmsize_t ReadMemory(thandle_t handle, void* out, tmsize_t size) {
  Memory* memory = static_cast<Memory*>(handle);
  if (memory->at > memory->file.size()) return 0;
  const size_t count = std::min(static_cast<size_t>(size), memory->file.size() - memory->at);
  if (count > 0) std::memcpy(out, &memory->file[memory->at], count);
  memory->at += count;
  return static_cast<tmsize_t>(count);
}

uint64_t SeekMemory(thandle_t handle, uint64_t offset, int whence) {
  Memory* memory = static_cast<Memory*>(handle);
  const uint64_t base = whence == SEEK_SET   ? 0
                        : whence == SEEK_CUR ? memory->at
                                             : memory->file.size();
  return memory->at = base + offset;
}

int MapMemory(thandle_t handle, void** base, toff_t* size) {
  Memory* memory = static_cast<Memory*>(handle);
  *base = const_cast<uint8_t*>(memory->file.data());
  *size = memory->file.size();
  return 1;
}

bool HasAnyOf(std::string_view message, std::initializer_list<std::string_view> texts) {
  return std::any_of(texts.begin(), texts.end(), [&](std::string_view text) {
    return message.find(text) != std::string_view::npos;
  });
}

// All that libtiff says of a failure is a message.
void Note(Memory* memory, bool error, const char* format, va_list arguments) {
  std::array<char, 256> text;
  std::vsnprintf(text.data(), text.size(), format, arguments);
  std::replace(text.begin(), text.end(), '\n', ' ');  // a message is one line
  const std::string_view message = text.data();
  // Codecs may leave rows as they are, or fill them up, and only warn.
  memory->truncated |= HasAnyOf(
      message, {"Premature EOF", "Premature end of JPEG file", "Improper JPEG strip/tile size"});
  memory->over_limit |=
      HasAnyOf(message, {"limit defined in open options", "would require libjpeg to allocate"});
  // Without words: zlib could not begin.
  memory->out_of_memory |=
      error && (message.empty() ||
                HasAnyOf(message, {"No space", "ut of memory", "ot enough memory",
                                   "nsufficient memory", "annot allocate", "ailed to allocate"}));
  // Values that it does not know, of tags that leave the samples as they are.
  if (HasAnyOf(message, {"for \"Orientation\" tag", "for \"ResolutionUnit\" tag"})) return;
  if (error && memory->error.empty()) memory->error = message;
}

int OnError(TIFF*, void* memory, const char*, const char* format, va_list arguments) {
  Note(static_cast<Memory*>(memory), true, format, arguments);
  return 1;
}

int OnWarning(TIFF*, void* memory, const char*, const char* format, va_list arguments) {
  Note(static_cast<Memory*>(memory), false, format, arguments);
  return 1;
}

constexpr tmsize_t kMaxAllocation = tmsize_t{1} << 28;  // of libtiff; it reads from memory

struct CloseTiff {
  void operator()(TIFF* tiff) const { TIFFClose(tiff); }
};

using TiffHandle = std::unique_ptr<TIFF, CloseTiff>;

TiffHandle OpenTiff(Memory* memory) {
  TIFFOpenOptions* options = TIFFOpenOptionsAlloc();
  if (options == nullptr) throw std::bad_alloc();
  TIFFOpenOptionsSetMaxSingleMemAlloc(options, kMaxAllocation);
  TIFFOpenOptionsSetErrorHandlerExtR(options, OnError, memory);
  TIFFOpenOptionsSetWarningHandlerExtR(options, OnWarning, memory);
  const auto write = [](thandle_t, void*, tmsize_t) -> tmsize_t { return 0; };
  const auto close = [](thandle_t) { return 0; };
  const auto size = [](thandle_t handle) -> toff_t {
    return static_cast<Memory*>(handle)->file.size();
  };
  const auto unmap = [](thandle_t, void*, toff_t) {};
  TIFF* tiff = TIFFClientOpenExt("", "r", memory, ReadMemory, write, SeekMemory, close, size,
                                 MapMemory, unmap, options);
  TIFFOpenOptionsFree(options);
  return TiffHandle(tiff);
}

// Subsampled YCbCr that libjpeg does not turn into RGB itself: by libtiff's own conversion, which
// mirrors each strip where the tag Orientation says so. Pillow lets it, and turns the picture
// afterwards all the same.
bool ReadYcbcr(TIFF* tiff, const TiffLayout& layout, const Parts& parts, const DecodeLimits& limits,
               Memory* memory, const Target& target) {
  std::array<char, 1024> message = {};
  TIFFRGBAImage reader;
  if (!TIFFRGBAImageOK(tiff, message.data()) ||
      !TIFFRGBAImageBegin(&reader, tiff, 1, message.data())) {
    return false;
  }
  const std::unique_ptr<TIFFRGBAImage, void (*)(TIFFRGBAImage*)> end(&reader, TIFFRGBAImageEnd);
  reader.req_orientation = ORIENTATION_TOPLEFT;
  const auto width = static_cast<size_t>(layout.width);
  const auto height = static_cast<size_t>(layout.height);
  if (reader.width != width || reader.height != height) return false;
  const size_t rows = std::min(parts.rows, height);
  if (rows > static_cast<size_t>(limits.max_codec_bytes) / (4 * width)) return false;
  const auto pixels = std::make_unique<uint32_t[]>(width * rows);
  Band band(layout.width, layout.height, target.memory, target.rows);
  for (size_t y = 0; y < height; y += rows) {
    const size_t count = std::min(rows, height - y);
    reader.row_offset = static_cast<int>(y);
    if (!TIFFRGBAImageGet(&reader, pixels.get(), reader.width, static_cast<uint32_t>(count))) {
      return false;
    }
    for (size_t i = 0; i < count; ++i) {
      uint8_t* rgb = band.Next();
      for (const uint32_t pixel : std::span(pixels.get() + i * width, width)) {
        if (TIFFGetA(pixel) == 0) {  // it was not written
          memory->truncated = true;
          return false;
        }
        *rgb++ = static_cast<uint8_t>(TIFFGetR(pixel));
        *rgb++ = static_cast<uint8_t>(TIFFGetG(pixel));
        *rgb++ = static_cast<uint8_t>(TIFFGetB(pixel));
      }
    }
    std::fill_n(pixels.get(), width * count, 0);
  }
  band.Flush();
  return true;
}

// Codecs that call it success where data end early, and leave the rest of the rows as it was. The
// others count what they have written.
bool MayLeaveRows(uint64_t compression) {
  return compression == COMPRESSION_CCITTRLE || compression == COMPRESSION_CCITTRLEW ||
         compression == COMPRESSION_CCITTFAX3 || compression == COMPRESSION_CCITTFAX4 ||
         compression == COMPRESSION_THUNDERSCAN || compression == COMPRESSION_OJPEG;
}

// Whether rows of so many bits are the same, whatever stands behind them in their last byte.
bool SameRows(const uint8_t* rows, const uint8_t* others, size_t count, size_t stride,
              size_t bits) {
  const int padding = static_cast<int>(8 * stride - bits);
  for (; count > 0; --count, rows += stride, others += stride) {
    if (std::memcmp(rows, others, stride - 1) != 0) return false;
    if ((rows[stride - 1] ^ others[stride - 1]) >> padding != 0) return false;
  }
  return true;
}

// Of a strip or tile, as far as it is in the file.
std::span<const uint8_t> DataOf(std::span<const uint8_t> file, TIFF* tiff, size_t part) {
  const auto index = static_cast<uint32_t>(part);
  const uint64_t at = std::min<uint64_t>(TIFFGetStrileOffset(tiff, index), file.size());
  return file.subspan(at,
                      std::min<uint64_t>(TIFFGetStrileByteCount(tiff, index), file.size() - at));
}

bool IsDeflate(const TiffLayout& layout) {
  return layout.compression == COMPRESSION_ADOBE_DEFLATE ||
         layout.compression == COMPRESSION_DEFLATE;
}

// For rows that Deflate compressed and TiffDeflate knows.
std::optional<TiffDeflate> MakeDeflate(TIFF* tiff, const TiffLayout& layout, size_t stride) {
  uint16_t predictor = PREDICTOR_NONE;
  if (!IsDeflate(layout) || layout.reverse_bits ||
      !TIFFGetFieldDefaulted(tiff, TIFFTAG_PREDICTOR, &predictor) ||
      (predictor != PREDICTOR_NONE && predictor != PREDICTOR_HORIZONTAL)) {
    return std::nullopt;
  }
  const TiffDeflate::Rows rows = {
      .bytes = stride,
      .bits = layout.bits[0],
      .pixel = layout.planes ? 1 : layout.bits.size(),
      .differences = predictor == PREDICTOR_HORIZONTAL,
      .order = TIFFIsBigEndian(tiff) ? ByteOrder::kBig : ByteOrder::kLittle};
  if (!TiffDeflate::Knows(rows)) return std::nullopt;
  return std::make_optional<TiffDeflate>(rows);
}

bool ReadExpanded(TIFF* tiff, const TiffLayout& layout, const Parts& parts,
                  const DecodeLimits& limits, Memory* memory, const Target& target) {
  const size_t stride = layout.RowBytes(parts.columns);
  const tmsize_t row_size = parts.tiled ? TIFFTileRowSize(tiff) : TIFFScanlineSize(tiff);
  const uint32_t count = parts.tiled ? TIFFNumberOfTiles(tiff) : TIFFNumberOfStrips(tiff);
  if (row_size < 0 || static_cast<size_t>(row_size) != stride || count != parts.count) return false;
  // libtiff refuses to read one as the other.
  if (parts.tiled != (TIFFIsTiled(tiff) != 0)) return false;
  const auto max_rows = static_cast<size_t>(limits.max_codec_bytes) / stride;
  if (parts.rows > max_rows) return false;
  const size_t size = stride * parts.rows;
  const auto expand = [&](const Part& part, uint8_t fill, uint8_t* rows) {
    std::memset(rows, fill, size);
    const auto index = static_cast<uint32_t>(part.index);
    const auto wanted = static_cast<tmsize_t>(size);
    const tmsize_t got = parts.tiled ? TIFFReadEncodedTile(tiff, index, rows, wanted)
                                     : TIFFReadEncodedStrip(tiff, index, rows, wanted);
    return got >= 0 && static_cast<size_t>(got) >= stride * part.rows;
  };
  std::optional<TiffDeflate> deflate = MakeDeflate(tiff, layout, stride);
  const auto expand_sound = [&](const Part& part, uint8_t* rows) {
    const std::span<const uint8_t> data = DataOf(memory->file, tiff, part.index);
    // Well below where libtiff cuts data off.
    return data.size() == TIFFGetStrileByteCount(tiff, static_cast<uint32_t>(part.index)) &&
           data.size() <= 2 * size + 1024 &&
           deflate->Expand(data, parts.tiled ? parts.rows : part.rows, rows);
  };
  Buffer buffer;
  Buffer second;
  const bool twice = MayLeaveRows(layout.compression);
  const size_t row_bits = parts.columns * layout.bits[0] * (layout.planes ? 1 : layout.bits.size());
  const auto read = [&](const Part& part, size_t) -> const uint8_t* {
    uint8_t* rows = buffer.Reserve(size + TiffDeflate::kPadding);
    if (deflate && expand_sound(part, rows)) return rows;
    if (!twice) return expand(part, 0, rows) ? rows : nullptr;
    // What was not written keeps what was there.
    uint8_t* others = second.Reserve(size);
    if (expand(part, 0, rows) && expand(part, 0xff, others) &&
        SameRows(rows, others, part.rows, stride, row_bits)) {
      return rows;
    }
    memory->truncated |= memory->error.empty();
    return nullptr;
  };
  return ReadRows(layout, parts, kHostOrder, target, read);
}

// The rows that a JPEG says it has; 0 where it says nothing.
size_t JpegRows(std::span<const uint8_t> jpeg) {
  size_t rows = 0;
  for (size_t at = 0; at + 7 <= jpeg.size(); ++at) {
    const int marker = jpeg[at] == 0xff ? jpeg[at + 1] : 0;
    const bool frame =
        (marker & 0xf0) == 0xc0 && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame) rows = std::max<size_t>(rows, Read16(&jpeg[at + 5], ByteOrder::kBig));
  }
  return rows;
}

// How many markers of some kind stand in front of any place of a file. Parts may share their bytes, so
// these are counted once; for each block of them, as a file may be full of markers.
class MarkerCounts {
 public:
  MarkerCounts(std::span<const uint8_t> file, bool (*is_one)(uint8_t code))
      : file_(file), is_one_(is_one) {
    before_.reserve(file.size() / kBlock + 1);
    int64_t count = 0;
    for (size_t at = 0; at <= file.size(); at += kBlock) {
      before_.push_back(count);
      count += Count(at, at + kBlock);
    }
  }

  // at: up to the file's size.
  int64_t Before(size_t at) const { return before_[at / kBlock] + Count(at / kBlock * kBlock, at); }

 private:
  static constexpr size_t kBlock = 1024;

  // That begin in front of `end`.
  int64_t Count(size_t begin, size_t end) const {
    const uint8_t* const last = file_.data() + std::min(end, file_.size() - 1);
    int64_t count = 0;
    for (const uint8_t* at = file_.data() + begin; at < last; ++at) {
      at = static_cast<const uint8_t*>(std::memchr(at, 0xff, static_cast<size_t>(last - at)));
      if (at == nullptr) break;
      if (is_one_(at[1])) ++count;
    }
    return count;
  }

  const std::span<const uint8_t> file_;
  bool (*const is_one_)(uint8_t code);
  std::vector<int64_t> before_;  // each block
};

// Whether the JPEG strips or tiles ask for more passes than a JPEG file may. libtiff allows each of
// them a hundred, and they may all be the same few bytes.
bool TooManyScans(std::span<const uint8_t> file, TIFF* tiff, const TiffLayout& layout,
                  const Parts& parts, const DecodeLimits& limits) {
  // The data of a scan hold no such marker.
  const MarkerCounts begins(file, [](uint8_t code) { return code == 0xda; });
  const MarkerCounts arithmetic_frames(file,
                                       [](uint8_t code) { return code == 0xc9 || code == 0xca; });
  bool arithmetic = false;
  int64_t scan_pixels = 0;
  for (size_t i = 0; i < parts.count; ++i) {
    const std::span<const uint8_t> data = DataOf(file, tiff, i);
    const auto at = static_cast<size_t>(data.data() - file.data());
    const size_t end = at + data.size();
    const int64_t scans = begins.Before(end) - begins.Before(at);
    arithmetic |= arithmetic_frames.Before(end) > arithmetic_frames.Before(at);
    size_t rows = parts.rows;
    // libtiff takes a last strip that goes on below the picture.
    if (i + 1 == parts.count) rows = std::max(rows, JpegRows(data));
    scan_pixels += scans * static_cast<int64_t>(parts.columns * rows);
    if (scans > limits.max_scans || scan_pixels > limits.max_scan_pixels) return true;
  }
  const size_t components = layout.planes ? 1 : layout.bits.size();
  return scan_pixels > MaxScanPixels(limits, arithmetic, static_cast<int64_t>(components));
}

// libtiff turns the bits of each byte around before it expands them.
uint64_t DictionaryBytes(const TiffLayout& layout, std::span<const uint8_t> data) {
  std::array<uint8_t, 64> head = {};  // more than a header takes
  const size_t size = std::min(head.size(), data.size());
  std::copy_n(data.begin(), size, head.begin());
  if (layout.reverse_bits) TIFFReverseBits(head.data(), static_cast<tmsize_t>(size));
  return XzDictionaryBytes(std::span(head).first(size));
}

// What the data ask for beyond the picture that they show: time, or memory that libtiff does not count.
std::optional<Reject> CheckDemands(std::span<const uint8_t> file, TIFF* tiff,
                                   const TiffLayout& layout, const Parts& parts,
                                   const DecodeLimits& limits) {
  if (layout.compression == COMPRESSION_JPEG && TooManyScans(file, tiff, layout, parts, limits)) {
    return Refuse(Reason::kTooLarge, "more scans than the limit allows");
  }
  uint64_t bytes = 0;
  for (size_t i = 0; i < parts.count; ++i) {
    const std::span<const uint8_t> data = DataOf(file, tiff, i);
    bytes += data.size();
    if (layout.compression == COMPRESSION_LZMA && DictionaryBytes(layout, data) > kMaxAllocation) {
      return Refuse(Reason::kTooLarge, "an LZMA dictionary of more than 256 MiB");
    }
  }
  const uint64_t expanded = parts.count * parts.rows * layout.RowBytes(parts.columns);
  if (bytes > 2 * file.size() + expanded + static_cast<uint64_t>(limits.max_shared_bytes)) {
    return Refuse(Reason::kTooLarge, std::to_string(bytes) +
                                         " bytes of strips or tiles, in a file of " +
                                         std::to_string(file.size()));
  }
  return std::nullopt;
}

std::optional<Reject> ReadCompressed(std::span<const uint8_t> file, const TiffLayout& layout,
                                     const Parts& parts, const DecodeLimits& limits,
                                     const Target& target) {
  Memory memory = {.file = file};
  const TiffHandle tiff = OpenTiff(&memory);
  bool read = false;
  if (tiff != nullptr) {
    if (auto reject = CheckDemands(file, tiff.get(), layout, parts, limits)) return reject;
    // Whatever else libtiff was built with: they differ in what they make of broken data, and
    // libdeflate leaves rows unwritten where data are more than the rows need.
    if (IsDeflate(layout)) {
      TIFFSetField(tiff.get(), TIFFTAG_DEFLATE_SUBCODEC, DEFLATE_SUBCODEC_ZLIB);
    }
    const bool jpeg = layout.compression == COMPRESSION_JPEG && !layout.planes;
    if (layout.photometric == PHOTOMETRIC_YCBCR && layout.bits.size() == 3 && !jpeg) {
      read = ReadYcbcr(tiff.get(), layout, parts, limits, &memory, target);
    } else {
      if (jpeg && layout.photometric == PHOTOMETRIC_YCBCR) {
        TIFFSetField(tiff.get(), TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
      }
      read = ReadExpanded(tiff.get(), layout, parts, limits, &memory, target);
    }
  }
  if (memory.over_limit) return Refuse(Reason::kTooLarge, memory.error);
  if (memory.out_of_memory) throw std::bad_alloc();
  if (memory.truncated) return Truncated();
  // The fax decoders report what is broken and go on.
  if (read && memory.error.empty()) return std::nullopt;
  if (memory.error.starts_with("Unsupported JPEG")) {
    return Refuse(Reason::kUnsupportedFormat, memory.error);
  }
  return Corrupt(memory.error.empty() ? "libtiff cannot expand it" : memory.error);
}

// Of a strip or tile of JPEG: libtiff takes a last one that goes on below the picture.
size_t RowsOfJpeg(std::span<const uint8_t> file, const TiffDirectory& directory,
                  const Parts& parts) {
  const auto last = [&](int tag_of_tiles, int tag_of_strips) -> uint64_t {
    const auto numbers =
        directory.Numbers(parts.tiled ? tag_of_tiles : tag_of_strips, parts.count + 1);
    return numbers.empty() ? 0 : std::min<uint64_t>(numbers.back(), file.size());
  };
  const uint64_t at = last(TIFFTAG_TILEOFFSETS, TIFFTAG_STRIPOFFSETS);
  const uint64_t size =
      std::min(last(TIFFTAG_TILEBYTECOUNTS, TIFFTAG_STRIPBYTECOUNTS), file.size() - at);
  return std::max(parts.rows, JpegRows(file.subspan(at, size)));
}

// Of memory, by all that is kept of a picture while it is read.
int64_t BytesTaken(const TiffLayout& layout, const Parts& parts, size_t jpeg_rows, bool turned) {
  const auto pixels = static_cast<size_t>(layout.width * layout.height);
  const size_t rows = std::min(parts.rows, static_cast<size_t>(layout.height));
  const size_t row_of_parts = rows * static_cast<size_t>(layout.width);
  const size_t part = parts.rows * layout.RowBytes(parts.columns);
  const bool ycbcr = layout.photometric == PHOTOMETRIC_YCBCR;
  size_t bytes = 0;
  if (layout.compression == COMPRESSION_NONE) {
    if (layout.reverse_bits) bytes += part;
  } else {
    bytes += MayLeaveRows(layout.compression) ? 2 * part : part;
    switch (layout.compression) {
      case COMPRESSION_JPEG:  // coefficients, where there are several scans
        bytes += 2 * jpeg_rows * layout.RowBytes(parts.columns);
        break;
      case COMPRESSION_LZMA: bytes += part; break;  // what of the dictionary is written
      case COMPRESSION_CCITTRLE:
      case COMPRESSION_CCITTRLEW:
      case COMPRESSION_CCITTFAX3:
      case COMPRESSION_CCITTFAX4: bytes += 16 * parts.columns; break;  // tables of runs
      default: break;
    }
    if (ycbcr) bytes += 4 * row_of_parts;
  }
  if (parts.columns < static_cast<size_t>(layout.width)) bytes += 3 * row_of_parts;
  if (layout.planes && !ycbcr) bytes += pixels * layout.bits.size();
  if (turned) bytes += 3 * pixels;
  return static_cast<int64_t>(bytes);
}

// Turns the picture as the tag Orientation (2 to 8) asks; 5 and above swap its sides.
void Turn(int orientation, std::span<const uint8_t> rgb, size_t width, size_t height, Band* band) {
  const bool swap = orientation >= ORIENTATION_LEFTTOP;
  const size_t out_width = swap ? height : width;
  const size_t out_height = swap ? width : height;
  const bool from_right = orientation == 2 || orientation == 3 || orientation >= 7;
  const bool from_bottom =
      orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  for (size_t y = 0; y < out_height; ++y) {
    uint8_t* out = band->Next();
    for (size_t x = 0; x < out_width; ++x, out += 3) {
      const size_t column = swap ? y : x;
      const size_t row = swap ? x : y;
      std::memcpy(out,
                  &rgb[3 * ((from_bottom ? height - 1 - row : row) * width +
                            (from_right ? width - 1 - column : column))],
                  3);
    }
  }
  band->Flush();
}

}  // namespace

DecodeResult DecodeTiff(std::span<const uint8_t> file, const DecodeLimits& limits,
                        Workspace* memory, RowSink* rows) {
  const std::optional<TiffDirectory> directory = TiffDirectory::Read(file);
  if (!directory) return Refuse(Reason::kTruncated, "the file ends in front of its directory");
  auto read_layout = ReadTiffLayout(*directory, limits);
  if (Reject* reject = std::get_if<Reject>(&read_layout)) return std::move(*reject);
  const TiffLayout& layout = std::get<TiffLayout>(read_layout);
  auto read_parts = ReadParts(*directory, layout, limits);
  if (Reject* reject = std::get_if<Reject>(&read_parts)) return std::move(*reject);
  const Parts& parts = std::get<Parts>(read_parts);

  const auto width = static_cast<size_t>(layout.width);
  const auto height = static_cast<size_t>(layout.height);
  const bool turned =
      layout.orientation > ORIENTATION_TOPLEFT && layout.orientation <= ORIENTATION_LEFTBOT;
  Buffer upright;
  WholePicture whole(&upright);
  const size_t jpeg_rows =
      layout.compression == COMPRESSION_JPEG ? RowsOfJpeg(file, *directory, parts) : 0;
  if (auto reject = memory->Claim(BytesTaken(layout, parts, jpeg_rows, turned))) {
    return std::move(*reject);
  }
  Target target = {.rows = turned ? &whole : rows, .memory = &memory->rgb, .planes = nullptr};
  if (layout.planes && layout.photometric != PHOTOMETRIC_YCBCR) {
    target.planes = memory->samples.Reserve(width * height * layout.bits.size());
  }
  std::optional<Reject> reject = layout.compression == COMPRESSION_NONE
                                     ? ReadRaw(file, *directory, layout, parts, target)
                                     : ReadCompressed(file, layout, parts, limits, target);
  if (reject) return std::move(*reject);
  if (target.planes != nullptr) {
    const TiffLayout joined = JoinedPlanes(layout);
    Band band(layout.width, layout.height, target.memory, target.rows);
    for (size_t y = 0; y < height; ++y) {
      TiffRowToRgb(joined, target.planes + y * width * layout.bits.size(), kHostOrder, width,
                   band.Next());
    }
    band.Flush();
  }
  PictureInfo info = {.width = static_cast<int>(width),
                      .height = static_cast<int>(height),
                      .format = ImageFormat::kTiff,
                      .mode = layout.mode};
  if (turned) {
    if (layout.orientation >= ORIENTATION_LEFTTOP) std::swap(info.width, info.height);
    Band band(info.width, info.height, &memory->rgb, rows);
    Turn(layout.orientation, whole.rgb(), width, height, &band);
  }
  return info;
}

}  // namespace pomona
