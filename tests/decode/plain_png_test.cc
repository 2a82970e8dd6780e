#include "decode/plain_png.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>
#include <zlib.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "decode/png.h"
#include "instruction_sets.h"
#include "pictures.h"

namespace pomona {
namespace {

void PutInt(uint32_t value, Bytes* bytes) {
  for (int shift = 24; shift >= 0; shift -= 8) bytes->push_back(value >> shift & 255);
}

void PutChunk(std::string_view type, std::span<const uint8_t> data, Bytes* file) {
  PutInt(static_cast<uint32_t>(data.size()), file);
  const size_t start = file->size();
  file->insert(file->end(), type.begin(), type.end());
  file->insert(file->end(), data.begin(), data.end());
  const uLong checksum = crc32(0, &(*file)[start], static_cast<uInt>(file->size() - start));
  PutInt(static_cast<uint32_t>(checksum), file);
}

int ChannelsOf(int color_type) {
  return color_type == PNG_COLOR_TYPE_RGB          ? 3
         : color_type == PNG_COLOR_TYPE_RGB_ALPHA  ? 4
         : color_type == PNG_COLOR_TYPE_GRAY_ALPHA ? 2
                                                   : 1;
}

struct Plan {
  int width = 20;
  int height = 10;
  int color_type = PNG_COLOR_TYPE_RGB;
  int bits = 8;
  int filter = -1;  // of all rows, or any
  int level = 6;
  size_t piece = SIZE_MAX;  // of data in a chunk at most
  bool interlaced = false;
  int colors = 256;                                        // of a palette at most, -1 for none
  std::function<void(Bytes*)> change_rows = {};            // before they are compressed
  std::function<void(Bytes*)> change_data = {};            // after that
  std::vector<std::pair<std::string, Bytes>> chunks = {};  // before the data, after the palette
};

// Rows that a filter makes larger or smaller, in a file that no encoder's taste has formed.
Bytes Make(const Plan& plan, std::mt19937* random) {
  Bytes file = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  Bytes header;
  PutInt(static_cast<uint32_t>(plan.width), &header);
  PutInt(static_cast<uint32_t>(plan.height), &header);
  header.insert(header.end(), {static_cast<uint8_t>(plan.bits),
                               static_cast<uint8_t>(plan.color_type), 0, 0, plan.interlaced});
  PutChunk("IHDR", header, &file);
  if (plan.color_type == PNG_COLOR_TYPE_PALETTE && plan.colors >= 0) {
    Bytes palette(size_t{3} * std::min(plan.colors, 1 << plan.bits));
    for (uint8_t& byte : palette) byte = static_cast<uint8_t>((*random)());
    PutChunk("PLTE", palette, &file);
  }
  for (const auto& [type, data] : plan.chunks) PutChunk(type, data, &file);

  Bytes rows;
  const size_t row_bytes =
      (size_t{1} * plan.width * ChannelsOf(plan.color_type) * plan.bits + 7) / 8;
  for (int y = 0; y < plan.height; ++y) {
    rows.push_back(static_cast<uint8_t>(plan.filter >= 0 ? plan.filter : (*random)() % 5));
    const unsigned range = (*random)() % 3 == 0 ? 256 : 6;
    for (size_t x = 0; x < row_bytes; ++x) rows.push_back((*random)() % range & 255);
  }
  if (plan.change_rows) plan.change_rows(&rows);
  Bytes data(compressBound(rows.size()));
  uLongf size = data.size();
  EXPECT_EQ(compress2(data.data(), &size, rows.data(), rows.size(), plan.level), Z_OK);
  data.resize(size);
  if (plan.change_data) plan.change_data(&data);
  for (std::span<const uint8_t> rest = data; !rest.empty();) {
    if (plan.piece < 100 && (*random)() % 3 == 0) PutChunk("IDAT", {}, &file);
    const auto piece = rest.first(std::min(plan.piece, rest.size()));
    PutChunk("IDAT", piece, &file);
    rest = rest.subspan(piece.size());
  }
  PutChunk("IEND", {}, &file);
  return file;
}

std::string Verdict(const DecodeResult& result) {
  if (const Reject* reject = std::get_if<Reject>(&result)) {
    return std::string(ReasonName(reject->reason)) + ": " + reject->message;
  }
  const PictureInfo& info = std::get<PictureInfo>(result);
  return std::string(info.mode) + " " + std::to_string(info.width) + "x" +
         std::to_string(info.height);
}

class PlainPngTest : public InstructionSetsTest {
 protected:
  // Both ways say the same.
  std::string Compare(const Bytes& file, const std::string& what) {
    WholePicture picture(&rgb_);
    const DecodeResult result = DecodePng(file, limits_, &NewMemory(), &picture);
    WholePicture other(&other_rgb_);
    const DecodeResult expected = DecodePngByLibpng(file, limits_, &NewMemory(), &other);
    EXPECT_EQ(Verdict(result), Verdict(expected)) << what;
    if (std::holds_alternative<PictureInfo>(result)) {
      EXPECT_TRUE(std::ranges::equal(picture.rgb(), other.rgb())) << what;
    }
    return Verdict(result);
  }

  // It is read the plain way, and is what libpng reads.
  void CheckPlain(const Plan& plan) {
    const std::string what = std::to_string(plan.width) + " pixels of type " +
                             std::to_string(plan.color_type) + ", " + std::to_string(plan.bits) +
                             " bits, filter " + std::to_string(plan.filter);
    const Bytes file = Make(plan, &random_);
    WholePicture other(&other_rgb_);
    const DecodeResult expected = DecodePngByLibpng(file, limits_, &NewMemory(), &other);
    ASSERT_TRUE(std::holds_alternative<PictureInfo>(expected)) << what << ": " << Verdict(expected);
    constexpr size_t kEnd = 16;  // a checksum and the last chunk
    for (const int64_t target : targets_) {
      Use(target);
      WholePicture picture(&rgb_);
      ASSERT_TRUE(DecodePlainPng(std::span(file).first(file.size() - kEnd), &NewMemory(), &picture))
          << what << ", " << hwy::TargetName(target);
      EXPECT_TRUE(std::ranges::equal(picture.rgb(), other.rgb()))
          << what << ", " << hwy::TargetName(target);
    }
    Compare(file, what);
  }

  // It is left to libpng, which says this.
  void CheckOdd(const Plan& plan, std::string_view verdict) {
    const Bytes file = Make(plan, &random_);
    WholePicture picture(&rgb_);
    EXPECT_FALSE(DecodePlainPng(std::span(file).first(file.size() - 16), &NewMemory(), &picture));
    const std::string said = Compare(file, "odd");
    EXPECT_EQ(said.substr(0, verdict.size()), verdict);
  }
  const DecodeLimits limits_ = {};
  // What is not written must not look right because an earlier picture was.
  Workspace& NewMemory() { return memory_.emplace(nullptr); }

  std::optional<Workspace> memory_;
  Buffer rgb_, other_rgb_;
  std::mt19937 random_{11};
};

const std::vector<std::pair<int, int>> kLayouts = {
    {PNG_COLOR_TYPE_GRAY, 1},        {PNG_COLOR_TYPE_GRAY, 2},      {PNG_COLOR_TYPE_GRAY, 4},
    {PNG_COLOR_TYPE_GRAY, 8},        {PNG_COLOR_TYPE_GRAY, 16},     {PNG_COLOR_TYPE_RGB, 8},
    {PNG_COLOR_TYPE_RGB, 16},        {PNG_COLOR_TYPE_PALETTE, 1},   {PNG_COLOR_TYPE_PALETTE, 2},
    {PNG_COLOR_TYPE_PALETTE, 4},     {PNG_COLOR_TYPE_PALETTE, 8},   {PNG_COLOR_TYPE_GRAY_ALPHA, 8},
    {PNG_COLOR_TYPE_GRAY_ALPHA, 16}, {PNG_COLOR_TYPE_RGB_ALPHA, 8}, {PNG_COLOR_TYPE_RGB_ALPHA, 16}};

TEST_F(PlainPngTest, EveryLayoutAndWidth) {
  for (const auto& [color_type, bits] : kLayouts) {
    for (int width = 1; width <= 70; ++width) {
      CheckPlain({.width = width,
                  .color_type = color_type,
                  .bits = bits,
                  .level = width % 3 * 3,
                  .piece = width % 2 == 0 ? SIZE_MAX : static_cast<size_t>(width % 20)});
    }
  }
}

TEST_F(PlainPngTest, EveryFilter) {
  for (const auto& [color_type, bits] : kLayouts) {
    for (int filter = 0; filter <= 4; ++filter) {
      CheckPlain({.width = 61, .color_type = color_type, .bits = bits, .filter = filter});
    }
  }
}

TEST_F(PlainPngTest, Large) {
  CheckPlain({.width = 1'000, .height = 300});
  CheckPlain({.width = 1, .height = 5'000});
  CheckPlain({.width = 50'000, .height = 3, .color_type = PNG_COLOR_TYPE_RGB_ALPHA, .bits = 16});
  CheckPlain({.width = 3'000, .height = 100, .color_type = PNG_COLOR_TYPE_GRAY, .piece = 8'192});
}

TEST_F(PlainPngTest, ChunksThatDoNotCount) {
  CheckPlain({.chunks = {{"gAMA", {0, 0, 0, 0}},  // which libpng would refuse if it cared
                         {"PLTE", Bytes(768)},
                         {"tRNS", Bytes(6)},
                         {"tIME", {1}},
                         {"zzZz", Bytes(300)}}});
  CheckPlain({.color_type = PNG_COLOR_TYPE_PALETTE, .chunks = {{"tRNS", Bytes(256)}}});
  CheckPlain({.color_type = PNG_COLOR_TYPE_PALETTE, .colors = 3, .chunks = {{"tRNS", Bytes(3)}}});
  CheckPlain({.color_type = PNG_COLOR_TYPE_GRAY, .chunks = {{"tRNS", Bytes(2)}}});
  // More after the stream's end is of no interest to either.
  CheckPlain({.change_data = [](Bytes* data) { data->insert(data->end(), 50, 7); }});
}

TEST_F(PlainPngTest, LeavesTheOddToLibpng) {
  constexpr int kGray = PNG_COLOR_TYPE_GRAY;
  constexpr int kPalette = PNG_COLOR_TYPE_PALETTE;
  CheckOdd({.interlaced = true}, "");
  CheckOdd({.bits = 4}, "corrupt");
  CheckOdd({.bits = 0}, "corrupt");
  CheckOdd({.color_type = kPalette, .bits = 16}, "corrupt");
  CheckOdd({.color_type = 1}, "corrupt");
  CheckOdd({.color_type = kPalette, .colors = -1}, "corrupt");
  CheckOdd({.color_type = kPalette, .colors = 0}, "corrupt");
  CheckOdd({.color_type = kPalette, .chunks = {{"PLTE", Bytes(3)}}}, "corrupt");
  CheckOdd({.color_type = kPalette, .colors = 3, .chunks = {{"tRNS", Bytes(4)}}}, "P");
  CheckOdd({.color_type = kGray, .chunks = {{"PLTE", Bytes(3)}}}, "L");
  CheckOdd({.chunks = {{"tRNS", Bytes(5)}}}, "RGB");
  CheckOdd({.chunks = {{"tRNS", Bytes(6)}, {"tRNS", Bytes(6)}}}, "RGB");
  CheckOdd({.chunks = {{"tRNS", Bytes(6)}, {"PLTE", Bytes(6)}}}, "RGB");
  CheckOdd({.chunks = {{"PLTE", Bytes(4)}}}, "RGB");
  CheckOdd({.chunks = {{"ab_1", {}}}}, "RGB");
  CheckOdd({.chunks = {{"IHDR", Bytes(13)}}}, "corrupt");
  CheckOdd({.filter = 5}, "corrupt");
  CheckOdd({.change_rows = [](Bytes* rows) { rows->pop_back(); }}, "truncated");
  CheckOdd({.change_rows = [](Bytes* rows) { rows->push_back(0); }}, "RGB");
  CheckOdd({.change_data = [](Bytes* data) { data->back() ^= 1; }}, "corrupt");
  CheckOdd({.change_data = [](Bytes* data) { data->pop_back(); }}, "RGB");
  CheckOdd({.change_data = [](Bytes* data) { data->resize(data->size() / 2); }}, "truncated");
  CheckOdd({.change_data = [](Bytes* data) { (*data)[1] ^= 1; }}, "corrupt");
  CheckOdd({.change_data = [](Bytes* data) { (*data)[2] ^= 6; }}, "corrupt");
}

void FixChecksums(Bytes* file) {
  for (size_t at = 8; file->size() - at >= 12;) {
    const size_t length = static_cast<size_t>((*file)[at]) << 24 | (*file)[at + 1] << 16 |
                          (*file)[at + 2] << 8 | (*file)[at + 3];
    if (length > file->size() - at - 12) return;
    const uLong checksum = crc32(0, &(*file)[at + 4], static_cast<uInt>(length + 4));
    for (size_t i = 0; i < 4; ++i) {
      (*file)[at + 8 + length + i] = static_cast<uint8_t>(checksum >> (24 - 8 * i));
    }
    at += 12 + length;
  }
}

TEST_F(PlainPngTest, DamagedFilesAreWhatTheyWere) {
  int read = 0;
  for (int round = 0; round < 4'000; ++round) {
    const auto& [color_type, bits] = kLayouts[random_() % kLayouts.size()];
    Bytes file = Make({.width = static_cast<int>(1 + random_() % 40),
                       .height = static_cast<int>(1 + random_() % 12),
                       .color_type = color_type,
                       .bits = bits,
                       .level = static_cast<int>(random_() % 3 * 3),
                       .piece = random_() % 2 == 0 ? SIZE_MAX : 1 + random_() % 40,
                       .interlaced = random_() % 20 == 0,
                       .colors = static_cast<int>(random_() % 20),
                       .chunks = {{"gAMA", Bytes(4)}, {"tRNS", Bytes(random_() % 8)}}},
                      &random_);
    switch (random_() % 4) {
      case 0:  // cut
        file.resize(8 + random_() % (file.size() - 8));
        break;
      case 1: {  // a part is missing, or comes twice
        const auto from = file.begin() + static_cast<ptrdiff_t>(8 + random_() % (file.size() - 8));
        const auto size = std::min<ptrdiff_t>(file.end() - from, random_() % 20);
        if (random_() % 2 == 0) {
          file.erase(from, from + size);
        } else {
          const Bytes part(from, from + size);
          file.insert(from, part.begin(), part.end());
        }
        break;
      }
      default:  // other bits
        const size_t span = random_() % 2 == 0 ? file.size() : std::min<size_t>(file.size(), 120);
        for (size_t i = 1 + random_() % 3; i > 0; --i) {
          file[8 + random_() % (span - 8)] ^= static_cast<uint8_t>(1 << random_() % 8);
        }
    }
    if (random_() % 2 == 0) FixChecksums(&file);
    const std::string verdict = Compare(file, "round " + std::to_string(round));
    read += verdict.find(':') == std::string::npos;
    if (HasFailure()) break;
  }
  EXPECT_GT(read, 100);
  EXPECT_LT(read, 3'000);
}

}  // namespace
}  // namespace pomona
