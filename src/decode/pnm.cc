// PBM, PGM and PPM, plain and raw, and PFM with one channel.
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <string>

#include "codecs.h"
#include "pixels.h"

namespace pomona {
namespace {

constexpr size_t kMaxToken = 10;  // characters of a number

bool IsSpace(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// Words of a header or of plain samples. Comments vanish, even from within a word.
class Tokens {
 public:
  Tokens(std::span<const uint8_t> file, size_t at) : file_(file), at_(at) {}

  // Empty at the end of the file. One character behind the word is taken as well.
  std::string_view Next(size_t max_size = kMaxToken) {
    size_ = 0;
    while (at_ < file_.size() && size_ < text_.size()) {
      if (size_ == max_size && max_size == 1) break;  // digits that stand together
      const uint8_t c = file_[at_++];
      if (c == '#') {
        while (at_ < file_.size() && file_[at_] != '\n' && file_[at_] != '\r') ++at_;
        if (at_ < file_.size()) ++at_;
      } else if (!IsSpace(c)) {
        text_[size_++] = static_cast<char>(c);
      } else if (size_ > 0) {
        break;
      }
    }
    return {text_.data(), size_};
  }
  size_t at() const { return at_; }

 private:
  std::span<const uint8_t> file_;
  size_t at_;
  size_t size_ = 0;
  std::array<char, kMaxToken + 1> text_;  // one more, to see that a word is too long
};

template <typename Number>
std::optional<Number> Parse(std::string_view token) {
  Number number;
  const char* end = token.data() + token.size();
  if (token.size() > kMaxToken) return std::nullopt;
  const auto [stop, error] = std::from_chars(token.data(), end, number);
  if (error != std::errc() || stop != end) return std::nullopt;
  return number;
}

Reject Corrupt(std::string message) { return Refuse(Reason::kCorrupt, std::move(message)); }

struct Header {
  char magic = 0;  // '1' to '6', or 'f'
  int64_t width = 0;
  int64_t height = 0;
  int max = 1;      // the sample that means white
  float scale = 1;  // of PFM: its sign says the order of bytes
  size_t pixels_at = 0;
  int channels() const { return magic == '3' || magic == '6' ? 3 : 1; }
};

std::optional<Reject> ReadHeader(std::span<const uint8_t> file, Header* header) {
  header->magic = static_cast<char>(file[1]);
  Tokens tokens(file, 3);
  const auto number = [&](int64_t* value) -> std::optional<Reject> {
    const std::string_view token = tokens.Next();
    if (token.empty()) return Refuse(Reason::kTruncated, "the file ends in its header");
    const auto parsed = Parse<int64_t>(token);
    if (!parsed) return Corrupt("a header with something that is no number");
    *value = *parsed;
    return std::nullopt;
  };
  if (auto reject = number(&header->width)) return reject;
  if (auto reject = number(&header->height)) return reject;
  if (header->magic == 'f') {
    const auto scale = Parse<float>(tokens.Next());
    if (!scale || *scale == 0 || !std::isfinite(*scale)) return Corrupt("a scale that is none");
    header->scale = *scale;
  } else if (header->magic != '1' && header->magic != '4') {
    int64_t max = 0;
    if (auto reject = number(&max)) return reject;
    if (max <= 0 || max > 65535) return Corrupt("samples up to " + std::to_string(max));
    header->max = static_cast<int>(max);
  }
  header->pixels_at = tokens.at();
  return std::nullopt;
}

// Gray of more than 8 bits is scaled to 16 bits and clipped, all else is scaled to 8.
uint8_t ScaleSample(int64_t value, const Header& header) {
  const int out_max = header.channels() == 1 && header.max > 255 ? 65535 : 255;
  if (header.max == out_max) return ClipInteger(value);
  return ClipInteger(
      std::llrint(std::nearbyint(static_cast<double>(value) / header.max * out_max)));
}

// False where the file ends too early.
std::variant<bool, Reject> ReadPlain(std::span<const uint8_t> file, const Header& header,
                                     Band* band) {
  const int repeat = header.channels() == 3 ? 1 : 3;
  const int64_t samples = header.width * header.channels();  // of a row
  const bool bits = header.magic == '1';
  Tokens tokens(file, header.pixels_at);
  for (int64_t y = 0; y < header.height; ++y) {
    uint8_t* rgb = band->Next();
    for (int64_t i = 0; i < samples; ++i) {
      const std::string_view token = tokens.Next(bits ? 1 : kMaxToken);
      if (token.empty()) return false;
      const auto value = Parse<int64_t>(token);
      if (!value || *value < 0 || *value > header.max) {
        return Corrupt("a sample that is no number up to " + std::to_string(header.max));
      }
      const uint8_t sample = bits ? (*value ? 0 : 255) : ScaleSample(*value, header);
      for (int c = 0; c < repeat; ++c) *rgb++ = sample;
    }
  }
  return true;
}

// REQUIRES: the rows are there, `row_size` bytes each.
void ReadRaw(std::span<const uint8_t> file, const Header& header, size_t row_size, Buffer* scratch,
             Band* band) {
  const auto width = static_cast<size_t>(header.width);
  const auto height = static_cast<size_t>(header.height);
  const uint8_t* row = &file[header.pixels_at];
  if (header.magic == '4') {
    ColorTable table = {};
    table[0].fill(255);
    for (size_t y = 0; y < height; ++y, row += row_size) {
      TableToRgb(table, 1, row, width, band->Next());
    }
    return;
  }
  if (header.magic == 'f') {  // the last row comes first
    const ByteOrder order = header.scale < 0 ? ByteOrder::kLittle : ByteOrder::kBig;
    for (size_t y = height; y-- > 0;) {
      const uint8_t* sample = row + y * row_size;
      uint8_t* out = band->Next();
      for (size_t x = 0; x < width; ++x, sample += 4, out += 3) {
        std::fill_n(out, 3, ClipFloat(std::bit_cast<float>(Read32(sample, order))));
      }
    }
    return;
  }
  const bool wide = header.max > 255;
  const size_t levels = wide ? 65536 : 256;
  uint8_t* scaled = scratch->Reserve(levels);
  for (size_t i = 0; i < levels; ++i) {
    scaled[i] = ScaleSample(static_cast<int64_t>(i), header);
  }
  const size_t repeat = header.channels() == 3 ? 1 : 3;
  const size_t samples = width * static_cast<size_t>(header.channels());
  for (size_t y = 0; y < height; ++y) {
    uint8_t* rgb = band->Next();
    for (size_t i = 0; i < samples; ++i, row += wide ? 2 : 1, rgb += repeat) {
      std::fill_n(rgb, repeat, scaled[wide ? Read16(row, ByteOrder::kBig) : *row]);
    }
  }
}

std::string_view ModeName(const Header& header) {
  switch (header.magic) {
    case '1':
    case '4': return "1";
    case '2':
    case '5': return header.max > 255 ? "I" : "L";
    case 'f': return "F";
    default: return "RGB";
  }
}

}  // namespace

DecodeResult DecodePnm(std::span<const uint8_t> file, const DecodeLimits& limits, Workspace* memory,
                       RowSink* rows) {
  Header header;
  if (auto reject = ReadHeader(file, &header)) return std::move(*reject);
  if (auto reject = CheckSize(header.width, header.height, limits)) return std::move(*reject);

  const auto width = static_cast<size_t>(header.width);
  const auto height = static_cast<size_t>(header.height);
  const Reject truncated = Refuse(Reason::kTruncated, "the file ends in its pixels");
  if (header.magic >= '1' && header.magic <= '3') {
    Band band(header.width, header.height, &memory->rgb, rows);
    auto result = ReadPlain(file, header, &band);
    if (Reject* reject = std::get_if<Reject>(&result)) return std::move(*reject);
    if (!std::get<bool>(result)) return truncated;
    band.Flush();
  } else {
    const size_t bits = header.magic == '4'   ? 1
                        : header.magic == 'f' ? 32
                        : header.max > 255    ? 16
                                              : 8;
    const size_t row_size = PackedBytes(width * static_cast<size_t>(header.channels()), bits);
    if (file.size() - header.pixels_at < row_size * height) return truncated;
    Band band(header.width, header.height, &memory->rgb, rows);
    ReadRaw(file, header, row_size, &memory->samples, &band);
    band.Flush();
  }
  return PictureInfo{.width = static_cast<int>(width),
                     .height = static_cast<int>(height),
                     .format = ImageFormat::kPnm,
                     .mode = ModeName(header)};
}

}  // namespace pomona
