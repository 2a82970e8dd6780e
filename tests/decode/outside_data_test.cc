// Decoder and Resizer against what Pillow did with the files in $POMONA_TEST_DATA.
#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "pomona/decode.h"
#include "pomona/engine.h"
#include "pomona/resize.h"

namespace pomona {
namespace {

using Bytes = std::vector<uint8_t>;
namespace fs = std::filesystem;

// A folder of the outside data; empty where it is absent.
fs::path DataFolder(const char* name) {
  const char* root = std::getenv("POMONA_TEST_DATA");
  if (root == nullptr) return {};
  const fs::path folder = fs::path(root) / name;
  return fs::is_directory(folder) ? folder : fs::path();
}

Bytes ReadFile(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

std::string Sha256(std::span<const uint8_t> bytes) {
  uint8_t digest[32];
  EVP_Digest(bytes.data(), bytes.size(), digest, nullptr, EVP_sha256(), nullptr);
  std::string hex;
  for (const uint8_t byte : digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

// The fields of one line of a CSV file without line breaks in its fields.
std::vector<std::string> SplitCsv(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else if (c != '\r') {
      fields.back() += c;
    }
  }
  return fields;
}

using Row = std::map<std::string, std::string>;

std::vector<Row> ReadManifest(const fs::path& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  const std::vector<std::string> names = SplitCsv(line);
  std::vector<Row> rows;
  while (std::getline(in, line)) {
    const std::vector<std::string> fields = SplitCsv(line);
    Row& row = rows.emplace_back();
    for (size_t i = 0; i < names.size() && i < fields.size(); ++i) row[names[i]] = fields[i];
  }
  return rows;
}

// Pillow 10.4.0 carries libjpeg-turbo 3.0.3; distributions may have an older one. Each of these
// files may come out as Pillow has it or as said here.
enum class Difference {
  kNone,
  kLossless,   // lossless JPEG came with libjpeg-turbo 3: unsupported_format before
  kSmoothing,  // scans are missing; how blocks are smoothed then was mended in 3.0: other pixels
  kText,       // Pillow expands compressed text and gives up at 1 MiB; texts are ignored here
};

Difference KnownDifference(const std::string& file) {
  static const std::map<std::string, Difference> kKnown = {
      {"jpeg_12bit_lossless/ljtseed__random8_92x99_lossless_psv1_pt4.jpg", Difference::kLossless},
      {"jpeg_12bit_lossless/ljtseed__random8_94x97_lossless_psv2_pt7.jpg", Difference::kLossless},
      {"jpeg_12bit_lossless/ljtseed__random8_96x95_lossless_psv3_pt5.jpg", Difference::kLossless},
      {"jpeg_corrupt/mdximages__f6b4389c3cf0f5997b2e5a4b905aea8d.jpg", Difference::kSmoothing},
      {"jpeg_progressive/wuffs__peacock.progressive.scan004.jpeg", Difference::kSmoothing},
      {"jpeg_progressive/wuffs__peacock.progressive.scan005.jpeg", Difference::kSmoothing},
      {"decompression_bomb/pillow__png_decompression_dos.png", Difference::kText},
  };
  const auto known = kKnown.find(file);
  return known == kKnown.end() ? Difference::kNone : known->second;
}

bool IsJpegOrPng(const Row& row) {
  const std::string& category = row.at("category");
  const std::string& file = row.at("file");
  if (category == "decompression_bomb") return file.ends_with(".jpg") || file.ends_with(".png");
  return category.starts_with("jpeg_") || category.starts_with("png_");
}

TEST(OutsideDataTest, BadImagesAsInPillow) {
  const fs::path folder = DataFolder("bad-images");
  if (folder.empty()) GTEST_SKIP() << "POMONA_TEST_DATA names no folder with bad-images";
  Decoder decoder;
  Resizer resizer(kInputSize, kInputSize);
  Bytes input(kPictureBytes);
  int files = 0;
  for (const Row& row : ReadManifest(folder / "manifest.csv")) {
    if (!IsJpegOrPng(row)) continue;
    ++files;
    const std::string& file = row.at("file");
    SCOPED_TRACE(file);
    const Difference difference = KnownDifference(file);
    const auto result = decoder.Decode(ReadFile(folder / file));

    if (const Reject* reject = std::get_if<Reject>(&result)) {
      if (difference == Difference::kLossless) {
        EXPECT_EQ(reject->reason, Reason::kUnsupportedFormat);
      } else {
        EXPECT_EQ(row.at("verdict"), "reject") << reject->message;
      }
      if (row.at("message").starts_with("image file is truncated")) {
        EXPECT_EQ(reject->reason, Reason::kTruncated);
      }
      continue;
    }
    if (difference != Difference::kText) {
      EXPECT_EQ(row.at("verdict"), "accept") << row.at("message");
    }
    if (row.at("verdict") != "accept") continue;
    const Picture& picture = std::get<Picture>(result);
    EXPECT_EQ(std::to_string(picture.width), row.at("width"));
    EXPECT_EQ(std::to_string(picture.height), row.at("height"));
    EXPECT_EQ(picture.mode, row.at("src_mode"));
    // Pillow tells the JPEGs that hold several pictures from the others.
    EXPECT_EQ(FormatName(picture.format), row.at("format") == "MPO" ? "JPEG" : row.at("format"));
    if (difference == Difference::kSmoothing) continue;
    EXPECT_EQ(Sha256(picture.rgb), row.at("rgb_sha256"));
    resizer.Resize(picture.width, picture.height, picture.rgb, input);
    EXPECT_EQ(Sha256(input), row.at("rgb224_sha256"));
  }
  EXPECT_EQ(files, 144);
}

TEST(OutsideDataTest, OtherFilesAreNeitherDecodedNorFatal) {
  const fs::path folder = DataFolder("bad-images");
  if (folder.empty()) GTEST_SKIP() << "POMONA_TEST_DATA names no folder with bad-images";
  Decoder decoder;
  for (const Row& row : ReadManifest(folder / "manifest.csv")) {
    if (IsJpegOrPng(row)) continue;
    const Bytes file = ReadFile(folder / row.at("file"));
    const auto result = decoder.Decode(file);
    ASSERT_TRUE(std::holds_alternative<Reject>(result)) << row.at("file");
    const Reason reason = std::get<Reject>(result).reason;
    const std::string& category = row.at("category");
    SCOPED_TRACE(row.at("file"));
    if (category == "not_an_image") {
      EXPECT_EQ(SniffFormat(file), std::nullopt);
      EXPECT_EQ(reason, file.empty() ? Reason::kEmpty : Reason::kCorrupt);
    } else if (row.at("verdict") == "accept" && category != "other_format") {
      EXPECT_EQ(reason, Reason::kUnsupportedFormat);
      EXPECT_EQ(FormatName(SniffFormat(file).value()), row.at("format"));
    }
  }
}

TEST(OutsideDataTest, FruitsAndTheirStumps) {
  const fs::path folder = DataFolder("fruits");
  if (folder.empty()) GTEST_SKIP() << "POMONA_TEST_DATA names no folder with fruits";
  Decoder decoder;
  int files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".jpg") continue;
    ++files;
    SCOPED_TRACE(entry.path().filename());
    const Bytes file = ReadFile(entry.path());
    const auto whole = decoder.Decode(file);
    ASSERT_TRUE(std::holds_alternative<Picture>(whole)) << std::get<Reject>(whole).message;
    const Picture& picture = std::get<Picture>(whole);
    EXPECT_EQ(picture.width, 100);
    EXPECT_EQ(picture.height, 100);
    EXPECT_EQ(picture.mode, "RGB");
    for (const size_t size : {size_t{3}, size_t{100}, file.size() / 2, file.size() - 30}) {
      const auto stump = decoder.Decode(Bytes(file.begin(), file.begin() + size));
      ASSERT_TRUE(std::holds_alternative<Reject>(stump)) << size;
      EXPECT_EQ(std::get<Reject>(stump).reason, Reason::kTruncated) << size;
    }
  }
  EXPECT_EQ(files, 1716);
}

}  // namespace
}  // namespace pomona
