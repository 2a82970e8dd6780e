#include "png.h"

#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

#include "codecs.h"
#include "pixels.h"
#include "plain_png.h"

namespace pomona {
namespace {

constexpr size_t kSignatureSize = 8;
constexpr size_t kChunkHeaderSize = 8;  // length, type
constexpr size_t kChecksumSize = 4;

// libpng's state and what its callbacks need. Plain data: longjmp runs no destructors.
struct Reader {
  png_structp png;
  png_infop info;
  jmp_buf failure;
  bool failed;
  bool out_of_memory;
  char message[128];  // of the last error or warning
  bool warned;

  int width;
  int height;
  int bit_depth;
  int color_type;
  bool interlaced;
  int channel_bytes;  // 1 or 2, in the rows that libpng gives
  int pixel_bytes;    // likewise
  ColorTable table;   // colours of gray or indexed samples of one byte
  Band* band;         // nullptr where interlaced
  uint8_t* rgb;       // all rows where interlaced
  int64_t rows_left;  // of all passes where interlaced
};

Reader* ReaderOf(png_structp png) { return static_cast<Reader*>(png_get_progressive_ptr(png)); }

[[noreturn]] void OnError(png_structp png, png_const_charp message) {
  Reader* reader = static_cast<Reader*>(png_get_error_ptr(png));
  snprintf(reader->message, sizeof(reader->message), "%s", message);
  longjmp(reader->failure, 1);
}

void OnWarning(png_structp png, png_const_charp message) {
  Reader* reader = static_cast<Reader*>(png_get_error_ptr(png));
  snprintf(reader->message, sizeof(reader->message), "%s", message);
  reader->warned = true;
}

// libpng goes on without some of its memory, and says of the rest nothing but a message.
png_voidp Allocate(png_structp png, png_alloc_size_t size) {
  void* memory = std::malloc(size);
  if (memory == nullptr) static_cast<Reader*>(png_get_mem_ptr(png))->out_of_memory = true;
  return memory;
}

void Free(png_structp, png_voidp memory) { std::free(memory); }

bool HasTable(const Reader& reader) {
  return reader.color_type == PNG_COLOR_TYPE_PALETTE ||
         (reader.color_type & PNG_COLOR_MASK_COLOR) == 0;
}

void FillTable(Reader* reader) {
  const bool gray = reader->color_type != PNG_COLOR_TYPE_PALETTE;
  if (gray) reader->table = GrayTable(1 << std::min(reader->bit_depth, 8));
  png_colorp palette = nullptr;
  int colors = 0;
  if (!gray && png_get_PLTE(reader->png, reader->info, &palette, &colors) != 0) {
    for (int i = 0; i < colors; ++i) {
      reader->table[i] = {palette[i].red, palette[i].green, palette[i].blue};
    }
  }
}

void OnInfo(png_structp png, png_infop info) {
  Reader* reader = ReaderOf(png);
  reader->bit_depth = png_get_bit_depth(png, info);
  reader->color_type = png_get_color_type(png, info);
  reader->interlaced = png_get_interlace_type(png, info) != PNG_INTERLACE_NONE;
  reader->channel_bytes = reader->bit_depth == 16 ? 2 : 1;
  reader->pixel_bytes = reader->channel_bytes * png_get_channels(png, info);
  if (HasTable(*reader)) FillTable(reader);
  reader->rows_left = reader->height;
  if (reader->interlaced) {
    reader->rows_left = 0;
    for (int pass = 0; pass < PNG_INTERLACE_ADAM7_PASSES; ++pass) {
      if (PNG_PASS_COLS(reader->width, pass) > 0) {
        reader->rows_left += PNG_PASS_ROWS(reader->height, pass);
      }
    }
  }
  png_set_packing(png);  // one byte at least for each sample
  png_start_read_image(png);
  // Pillow checks the checksums of the chunks up to here, not those of the picture's data.
  png_set_crc_action(png, PNG_CRC_QUIET_USE, PNG_CRC_QUIET_USE);
}

// Converts `count` pixels, `step` bytes apart in `out`: alpha is dropped, 16 bits of colour give
// their upper half, 16 bits of gray without alpha are clipped at 255.
void ToRgb(const Reader& reader, const uint8_t* row, int64_t count, uint8_t* out, size_t step) {
  const int pixel_bytes = reader.pixel_bytes;
  if (reader.color_type == PNG_COLOR_TYPE_GRAY && reader.bit_depth == 16) {
    for (int64_t i = 0; i < count; ++i, row += 2, out += step) {
      std::memset(out, row[0] != 0 ? 255 : row[1], 3);
    }
  } else if (HasTable(reader)) {
    for (int64_t i = 0; i < count; ++i, row += pixel_bytes, out += step) {
      std::memcpy(out, reader.table[*row].data(), 3);
    }
  } else if (pixel_bytes == 3 && step == 3) {
    std::memcpy(out, row, static_cast<size_t>(count) * 3);
  } else {
    const int channel_bytes = reader.channel_bytes;
    for (int64_t i = 0; i < count; ++i, row += pixel_bytes, out += step) {
      for (int c = 0; c < 3; ++c) out[c] = row[c * channel_bytes];
    }
  }
}

void OnRow(png_structp png, png_bytep row, png_uint_32 y, int pass) {
  Reader* reader = ReaderOf(png);
  if (row == nullptr || reader->rows_left == 0) return;
  if (reader->interlaced) {
    const size_t stride = size_t{3} * reader->width;
    ToRgb(*reader, row, PNG_PASS_COLS(reader->width, pass),
          reader->rgb + PNG_ROW_FROM_PASS_ROW(y, pass) * stride + PNG_PASS_START_COL(pass) * 3,
          size_t{3} * PNG_PASS_COL_OFFSET(pass));
  } else {
    ToRgb(*reader, row, reader->width, reader->band->Next(), 3);
  }
  --reader->rows_left;
}

std::string_view ModeName(int color_type, int depth) {
  switch (color_type) {
    case PNG_COLOR_TYPE_GRAY: return depth == 1 ? "1" : depth == 16 ? "I;16" : "L";
    case PNG_COLOR_TYPE_PALETTE: return "P";
    case PNG_COLOR_TYPE_RGB: return "RGB";
    case PNG_COLOR_TYPE_GRAY_ALPHA: return depth == 16 ? "RGBA" : "LA";
    default: return "RGBA";
  }
}

uint32_t ReadInt(const uint8_t* bytes) { return Read32(bytes, ByteOrder::kBig); }

bool IsChunkNameByte(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

Reject EndsIn(std::string_view where) {
  return Refuse(Reason::kTruncated, "the file ends in " + std::string(where));
}

// The compressed part of a chunk of text or of a colour profile; empty where there is none.
std::span<const uint8_t> CompressedText(std::string_view type, std::span<const uint8_t> data) {
  const auto skip_word = [&] {
    const auto end = std::find(data.begin(), data.end(), 0);
    data = data.subspan(static_cast<size_t>(end - data.begin()));
    if (!data.empty()) data = data.subspan(1);
  };
  const auto skip_byte = [&](uint8_t expected) {
    const bool found = !data.empty() && data[0] == expected;
    data = found ? data.subspan(1) : std::span<const uint8_t>();
  };
  if (type != "zTXt" && type != "iCCP" && type != "iTXt") return {};
  skip_word();
  if (type == "iTXt") skip_byte(1);  // it is compressed
  skip_byte(0);                      // by deflate
  if (type == "iTXt") {
    skip_word();
    skip_word();
  }
  return data;
}

// What a chunk expands to. Pillow expands texts and colour profiles and gives up on a file with too
// much of them; nothing else is done with them here.
class TextLimits {
 public:
  explicit TextLimits(const DecodeLimits& limits) : limits_(limits) {}

  // Whether the chunk and those before it are within the limits.
  bool Add(std::string_view type, std::span<const uint8_t> data) {
    if (type == "tEXt" || type == "iTXt") total_ += static_cast<int64_t>(data.size());
    const std::span<const uint8_t> compressed = CompressedText(type, data);
    return (compressed.empty() || Expand(compressed)) && total_ <= limits_.max_texts_bytes;
  }

 private:
  bool Expand(std::span<const uint8_t> compressed) {
    z_stream stream = {};
    if (inflateInit(&stream) != Z_OK) throw std::bad_alloc();  // its only reason
    stream.next_in = const_cast<Bytef*>(compressed.data());
    stream.avail_in = static_cast<uInt>(std::min<size_t>(compressed.size(), PNG_UINT_31_MAX));
    std::array<uint8_t, 4096> out;
    int64_t expanded = 0;
    int status = Z_OK;  // a broken stream ends what counts, as in Pillow
    while (status == Z_OK && stream.avail_in > 0 && expanded < limits_.max_text_bytes) {
      stream.next_out = out.data();
      stream.avail_out =
          static_cast<uInt>(std::min<int64_t>(out.size(), limits_.max_text_bytes - expanded));
      const uInt room = stream.avail_out;
      status = inflate(&stream, Z_SYNC_FLUSH);
      expanded += room - stream.avail_out;
    }
    const bool more = status == Z_OK && stream.avail_in > 0;
    inflateEnd(&stream);
    if (status == Z_MEM_ERROR) throw std::bad_alloc();
    total_ += expanded;
    return !more;
  }

  const DecodeLimits& limits_;
  int64_t total_ = 0;
};

bool IsUnknownCritical(std::string_view type) {
  return std::isupper(static_cast<unsigned char>(type[0])) && type != "IHDR" && type != "PLTE" &&
         type != "IDAT";
}

// Of a chunk from its type on, whose end is at `end`.
bool HasChecksum(std::span<const uint8_t> file, size_t type_at, size_t end) {
  if (end > file.size()) return false;
  const auto covered = file.subspan(type_at, end - kChecksumSize - type_at);
  return crc32(0, covered.data(), static_cast<uInt>(covered.size())) == ReadInt(&file[end - 4]);
}

constexpr size_t kHeaderAt = kSignatureSize + kChunkHeaderSize;

// Whether an fcTL chunk describes the first frame as APNG wants it: number 0, the size of the header's.
bool IsWholeFrame(std::span<const uint8_t> file, std::span<const uint8_t> control) {
  constexpr std::array<uint8_t, 8> kNowhereElse = {};
  return control.size() >= 26 && ReadInt(control.data()) == 0 &&
         std::equal(&control[4], &control[12], &file[kHeaderAt]) &&
         std::equal(&control[12], &control[20], kNowhereElse.data());
}

// Walks over the chunks and gives the end of the picture's data, which is one run of IDAT chunks.
// What follows it is hardly looked at, as in Pillow: a missing end is fine, half a chunk is not.
std::variant<size_t, Reject> FindDataEnd(std::span<const uint8_t> file,
                                         const DecodeLimits& limits) {
  TextLimits texts(limits);
  size_t data_end = 0;
  bool has_frame = false;
  size_t at = kSignatureSize;
  while (at <= file.size() && file.size() - at >= kChunkHeaderSize) {
    const size_t length = ReadInt(&file[at]);
    const std::string_view type(reinterpret_cast<const char*>(&file[at + 4]), 4);
    if (!std::all_of(type.begin(), type.end(), IsChunkNameByte)) {
      if (data_end != 0) return data_end;
      return Refuse(Reason::kCorrupt, "no chunk where one should begin");
    }
    if (type == "IEND") break;
    if (length > file.size() - at - kChunkHeaderSize) {
      return EndsIn("a chunk of " + std::to_string(length) + " bytes");
    }
    const size_t next = at + kChunkHeaderSize + length + kChecksumSize;
    if (data_end == 0) {
      if (IsUnknownCritical(type) && HasChecksum(file, at + 4, next)) {
        return Refuse(Reason::kUnsupportedFormat, "a critical chunk " + std::string(type) +
                                                      (type == "CgBI" ? ", Apple's own" : "") +
                                                      ", which is not known");
      }
      const bool second_frame = type == "fcTL" && has_frame;
      has_frame |= type == "fcTL";
      if (second_frame || type == "fdAT") {
        return Refuse(Reason::kCorrupt, "a later frame in front of the first");
      }
      if (type == "fcTL" && !IsWholeFrame(file, file.subspan(at + kChunkHeaderSize, length))) {
        return Refuse(Reason::kCorrupt, "a first frame that is not the whole picture");
      }
    }
    if (type == "IDAT" && (data_end == 0 || at == data_end + kChecksumSize)) {
      data_end = next - kChecksumSize;
    } else if (data_end != 0 && type == "fcTL") {
      break;  // another picture begins
    } else if (data_end != 0 && type == "fdAT") {
      return Refuse(Reason::kCorrupt, "frame data without frame control");
    } else if (!texts.Add(type, file.subspan(at + kChunkHeaderSize, length))) {
      return Refuse(Reason::kTooLarge, "more text or colour profile than the limits allow");
    }
    at = next;
  }
  if (data_end != 0) return data_end;
  return EndsIn("front of the picture's data");
}

// What libpng, the newer the more, takes for no chunk at all. Pillow passes over such chunks, if
// their checksums are right.
bool IsNameToLibpng(std::string_view type) {
  const auto is_letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  return std::ranges::all_of(type, is_letter) && std::isupper(static_cast<unsigned char>(type[2]));
}

// Gives libpng the chunks.
void Process(std::span<const uint8_t> file, Reader* reader) {
  png_process_data(reader->png, reader->info, const_cast<png_bytep>(file.data()), kSignatureSize);
  for (size_t at = kSignatureSize, end; at < file.size(); at = end) {
    end = std::min(at + kChunkHeaderSize + ReadInt(&file[at]) + kChecksumSize, file.size());
    const std::string_view type(reinterpret_cast<const char*>(&file[at + 4]), 4);
    if (IsNameToLibpng(type)) {
      png_process_data(reader->png, reader->info, const_cast<png_bytep>(&file[at]), end - at);
    } else if (!HasChecksum(file, at + 4, end)) {
      OnError(reader->png, "CRC error");
    }
  }
}

// No object with a destructor may live here: errors leave by longjmp.
void Read(std::span<const uint8_t> file, Reader* reader) {
  if (setjmp(reader->failure)) {
    reader->failed = true;
    return;
  }
  reader->png = png_create_read_struct_2(PNG_LIBPNG_VER_STRING, reader, OnError, OnWarning, reader,
                                         Allocate, Free);
  if (reader->png != nullptr) reader->info = png_create_info_struct(reader->png);
  if (reader->info == nullptr) {
    reader->out_of_memory = true;
    return;
  }
  png_set_user_limits(reader->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // see CheckSize()
  png_set_chunk_malloc_max(reader->png, 0);
  // Nothing but the pixels counts, so no other chunk costs memory or time.
  png_set_keep_unknown_chunks(reader->png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_crc_action(reader->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_check_for_invalid_index(reader->png, -1);
  png_set_option(reader->png, PNG_MAXIMUM_INFLATE_WINDOW, PNG_OPTION_ON);
  png_set_progressive_read_fn(reader->png, reader, OnInfo, OnRow, nullptr);
  Process(file, reader);
}

// Where the picture's data end, and its size, which is within the limits.
struct Layout {
  size_t data_end;
  int width;
  int height;
};

std::variant<Layout, Reject> FindLayout(std::span<const uint8_t> file, const DecodeLimits& limits) {
  std::variant<size_t, Reject> data_end = FindDataEnd(file, limits);
  if (Reject* reject = std::get_if<Reject>(&data_end)) return std::move(*reject);

  if (file.size() < kHeaderAt + 8 || std::memcmp(&file[kHeaderAt - 4], "IHDR", 4) != 0) {
    return Refuse(Reason::kCorrupt, "the first chunk is not IHDR");
  }
  const uint32_t width = ReadInt(&file[kHeaderAt]);
  const uint32_t height = ReadInt(&file[kHeaderAt + 4]);
  if (std::optional<Reject> reject = CheckSize(width, height, limits)) return std::move(*reject);
  return Layout{.data_end = std::get<size_t>(data_end),
                .width = static_cast<int>(width),
                .height = static_cast<int>(height)};
}

PictureInfo Info(const Layout& layout, int color_type, int bit_depth) {
  return {.width = layout.width,
          .height = layout.height,
          .format = ImageFormat::kPng,
          .mode = ModeName(color_type, bit_depth)};
}

DecodeResult DecodeByLibpng(std::span<const uint8_t> file, const Layout& layout, Workspace* memory,
                            RowSink* rows) {
  Reader reader = {};
  reader.width = layout.width;
  reader.height = layout.height;
  reader.rows_left = layout.height;
  constexpr size_t kInterlaceAt = kHeaderAt + 12;
  std::optional<Band> band;
  if (file.size() > kInterlaceAt && file[kInterlaceAt] == PNG_INTERLACE_NONE) {
    reader.band = &band.emplace(layout.width, layout.height, &memory->rgb, rows);
  } else {
    const int64_t bytes = int64_t{3} * layout.width * layout.height;
    if (auto reject = memory->Claim(bytes)) return std::move(*reject);
    reader.rgb = memory->rgb.Reserve(static_cast<size_t>(bytes));
  }
  Read(file.first(layout.data_end), &reader);
  png_destroy_read_struct(&reader.png, &reader.info, nullptr);

  if (reader.out_of_memory) throw std::bad_alloc();
  if (reader.failed) return Refuse(Reason::kCorrupt, reader.message);
  if (reader.rows_left > 0) {
    if (reader.warned) return Refuse(Reason::kCorrupt, reader.message);
    return EndsIn("the picture's data");
  }
  if (band) {
    band->Flush();
  } else {
    rows->Begin(reader.width, reader.height);
    rows->Add(reader.rgb, reader.height);
  }
  return Info(layout, reader.color_type, reader.bit_depth);
}

}  // namespace

DecodeResult DecodePngByLibpng(std::span<const uint8_t> file, const DecodeLimits& limits,
                               Workspace* memory, RowSink* rows) {
  std::variant<Layout, Reject> layout = FindLayout(file, limits);
  if (Reject* reject = std::get_if<Reject>(&layout)) return std::move(*reject);
  return DecodeByLibpng(file, std::get<Layout>(layout), memory, rows);
}

DecodeResult DecodePng(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows) {
  std::variant<Layout, Reject> layout = FindLayout(file, limits);
  if (Reject* reject = std::get_if<Reject>(&layout)) return std::move(*reject);
  const Layout& found = std::get<Layout>(layout);
  if (DecodePlainPng(file.first(found.data_end), memory, rows)) {
    return Info(found, /*color_type=*/file[kHeaderAt + 9], /*bit_depth=*/file[kHeaderAt + 8]);
  }
  return DecodeByLibpng(file, found, memory, rows);
}

}  // namespace pomona
