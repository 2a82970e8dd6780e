#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "codecs.h"
#include "pixels.h"

namespace pomona {
namespace {

constexpr size_t kHeaderSize = 18;

enum Type { kPalette = 1, kColor = 2, kGray = 3, kRunLengths = 8 };

struct Header {
  int type;  // without kRunLengths
  bool run_lengths;
  int depth;  // bits of a pixel
  size_t width, height;
  bool right_to_left, top_down;
  size_t pixels_at;
};

Reject Truncated() { return Refuse(Reason::kTruncated, "the file ends in its pixels"); }

// Five bits of each colour.
void FromFifteenBits(int pixel, uint8_t* rgb) {
  for (int c = 0; c < 3; ++c)
    rgb[c] = static_cast<uint8_t>((pixel >> (10 - 5 * c) & 31) * 255 / 31);
}

void RowToRgb(const Header& header, const ColorTable& table, const uint8_t* row, uint8_t* rgb) {
  if (header.depth <= 8) {
    TableToRgb(table, header.depth, row, header.width, rgb);
    return;
  }
  const auto step = static_cast<size_t>(header.depth) / 8;
  for (size_t x = 0; x < header.width; ++x, row += step, rgb += 3) {
    if (header.type == kGray) {
      std::memset(rgb, row[0], 3);
    } else if (header.depth == 16) {
      FromFifteenBits(Read16(row, ByteOrder::kLittle), rgb);
    } else {
      std::reverse_copy(row, row + 3, rgb);
    }
  }
}

// Gives the rows one after the other; nullptr where Refusal() says why not.
class Rows {
 public:
  Rows(std::span<const uint8_t> file, const Header& header, uint8_t* line)
      : file_(file), header_(header), line_(line), at_(header.pixels_at) {}

  const uint8_t* Next() {
    const size_t size = PackedBytes(header_.width, static_cast<size_t>(header_.depth));
    if (!header_.run_lengths) return Take(size);
    const auto pixel_size = static_cast<size_t>(header_.depth) / 8;
    for (size_t filled = 0; filled < size;) {
      if (literals_.empty()) {
        const uint8_t* packet = Take(1);
        if (packet == nullptr) return nullptr;
        const size_t bytes = ((*packet & 0x7f) + size_t{1}) * pixel_size;
        const bool run = *packet & 0x80;
        const uint8_t* pixels = Take(run ? pixel_size : bytes);
        if (pixels == nullptr) return nullptr;
        if (!run) {
          literals_ = {pixels, bytes};
        } else {
          overrun_ = bytes > size - filled;
          if (overrun_) return nullptr;
          for (const size_t end = filled + bytes; filled < end; filled += pixel_size) {
            std::memcpy(line_ + filled, pixels, pixel_size);
          }
        }
      }
      const size_t count = std::min(literals_.size(), size - filled);
      std::copy_n(literals_.begin(), count, line_ + filled);
      literals_ = literals_.subspan(count);
      filled += count;
    }
    return line_;
  }

  Reject Refusal() const {
    return overrun_ ? Refuse(Reason::kCorrupt, "a run that goes on behind the end of its row")
                    : Truncated();
  }

 private:
  const uint8_t* Take(size_t count) {
    if (at_ > file_.size() || file_.size() - at_ < count) return nullptr;
    at_ += count;
    return file_.data() + at_ - count;
  }

  std::span<const uint8_t> file_;
  const Header& header_;
  uint8_t* line_;
  size_t at_;
  std::span<const uint8_t> literals_;  // what is still to come of a packet, which rows may share
  bool overrun_ = false;
};

std::string_view ModeName(const Header& header) {
  switch (header.type) {
    case kPalette: return "P";
    case kGray: return header.depth == 1 ? "1" : header.depth == 8 ? "L" : "LA";
    default: return header.depth == 24 ? "RGB" : "RGBA";
  }
}

// It has no signature, so all its fields must make sense.
bool HasTgaFields(std::span<const uint8_t> file) {
  if (file.size() < kHeaderSize) return false;
  const int type = file[2] & ~kRunLengths;
  const int depth = file[16];
  const bool has_palette = file[1] == 1;
  if (file[1] > 1 || has_palette != (type == kPalette)) return false;
  switch (type) {
    case kPalette: return depth == 8 && (file[7] == 16 || file[7] == 24 || file[7] == 32);
    case kColor: return depth == 16 || depth == 24 || depth == 32;
    case kGray: return depth == 8 || depth == 16 || (depth == 1 && file[2] == kGray);
    default: return false;
  }
}

// Old writers gave the even rows first, or every fourth.
constexpr uint8_t kInterleaved = 0xc0;

}  // namespace

bool IsTga(std::span<const uint8_t> file) {
  return HasTgaFields(file) && (file[17] & kInterleaved) == 0;
}

bool IsInterleavedTga(std::span<const uint8_t> file) {
  return HasTgaFields(file) && (file[17] & kInterleaved) != 0;
}

DecodeResult DecodeTga(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows) {
  Header header = {.type = file[2] & ~kRunLengths,
                   .run_lengths = (file[2] & kRunLengths) != 0,
                   .depth = file[16],
                   .width = Read16(&file[12], ByteOrder::kLittle),
                   .height = Read16(&file[14], ByteOrder::kLittle),
                   .right_to_left = (file[17] & 0x10) != 0,
                   .top_down = (file[17] & 0x20) != 0,
                   .pixels_at = kHeaderSize + file[0]};
  const auto width = static_cast<int64_t>(header.width);
  const auto height = static_cast<int64_t>(header.height);
  if (auto reject = CheckSize(width, height, limits)) return std::move(*reject);

  ColorTable table = {};
  if (header.type == kGray) table = GrayTable(header.depth == 1 ? 2 : 256);
  if (header.type == kPalette) {
    const size_t start = Read16(&file[3], ByteOrder::kLittle);
    const size_t colors = Read16(&file[5], ByteOrder::kLittle);
    const size_t entry_size = file[7] / size_t{8};
    const size_t size = colors * entry_size;
    if (start + colors > table.size()) {
      return Refuse(Reason::kCorrupt,
                    "a palette of " + std::to_string(start + colors) + " colours");
    }
    if (header.pixels_at > file.size() || file.size() - header.pixels_at < size) return Truncated();
    const uint8_t* entry = file.data() + header.pixels_at;
    for (size_t i = start; i < start + colors; ++i, entry += entry_size) {
      if (entry_size == 2) {
        FromFifteenBits(Read16(entry, ByteOrder::kLittle), table[i].data());
      } else {
        std::reverse_copy(entry, entry + 3, table[i].begin());
      }
    }
    header.pixels_at += size;
  }

  Rows lines(file, header, memory->samples.Reserve(header.width * 4));
  const auto read = [&](uint8_t* target) {
    const uint8_t* row = lines.Next();
    if (row == nullptr) return false;
    RowToRgb(header, table, row, target);
    for (size_t x = 0; header.right_to_left && x < header.width / 2; ++x) {
      std::swap_ranges(target + 3 * x, target + 3 * x + 3, target + 3 * (header.width - x - 1));
    }
    return true;
  };
  if (header.top_down) {
    Band band(width, height, &memory->rgb, rows);
    for (int64_t y = 0; y < height; ++y) {
      if (!read(band.Next())) return lines.Refusal();
    }
    band.Flush();
  } else {
    if (auto reject = memory->Claim(width * height * 3)) return std::move(*reject);
    const size_t stride = header.width * 3;
    uint8_t* out = memory->rgb.Reserve(stride * header.height);
    for (size_t y = header.height; y-- > 0;) {
      if (!read(out + y * stride)) return lines.Refusal();
    }
    rows->Begin(static_cast<int>(width), static_cast<int>(height));
    rows->Add(out, static_cast<int>(height));
  }
  return PictureInfo{.width = static_cast<int>(width),
                     .height = static_cast<int>(height),
                     .format = ImageFormat::kTga,
                     .mode = ModeName(header)};
}

}  // namespace pomona
