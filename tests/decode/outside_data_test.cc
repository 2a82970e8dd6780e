// Decoder and Resizer against what Pillow did with the files in $POMONA_TEST_DATA.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "infer/resize.h"
#include "libjpeg.h"
#include "pomona/decode.h"
#include "pomona/engine.h"
#include "sha256.h"

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

// Files that are refused though Pillow, which has libjpeg-turbo 3, reads them; docs/formats.md says why.
const std::map<std::string, Reason>& KnownDifferences() {
  static const std::map<std::string, Reason> kKnown = {
      {"jpeg_12bit_lossless/ljtseed__random8_92x99_lossless_psv1_pt4.jpg",
       Reason::kUnsupportedFormat},
      {"jpeg_12bit_lossless/ljtseed__random8_94x97_lossless_psv2_pt7.jpg",
       Reason::kUnsupportedFormat},
      {"jpeg_12bit_lossless/ljtseed__random8_96x95_lossless_psv3_pt5.jpg",
       Reason::kUnsupportedFormat},
      {"jpeg_corrupt/mdximages__f6b4389c3cf0f5997b2e5a4b905aea8d.jpg", Reason::kTruncated},
      {"jpeg_progressive/wuffs__peacock.progressive.scan004.jpeg", Reason::kTruncated},
      {"jpeg_progressive/wuffs__peacock.progressive.scan005.jpeg", Reason::kTruncated},
  };
  static const std::map<std::string, Reason> kNone;
  return IsLibjpegTurbo3() ? kNone : kKnown;
}

TEST(OutsideDataTest, BadImagesAsInPillow) {
  const fs::path folder = DataFolder("bad-images");
  if (folder.empty()) GTEST_SKIP() << "POMONA_TEST_DATA names no folder with bad-images";
  Decoder decoder;
  Resizer resizer(kKerasPreprocessing);
  Bytes input(kPictureBytes);
  int files = 0;
  for (const Row& row : ReadManifest(folder / "manifest.csv")) {
    ++files;
    const std::string& file = row.at("file");
    SCOPED_TRACE(file);
    const Bytes bytes = ReadFile(folder / file);
    const auto result = decoder.Decode(bytes);

    if (const Reject* reject = std::get_if<Reject>(&result)) {
      const auto known = KnownDifferences().find(file);
      if (known != KnownDifferences().end()) {
        EXPECT_EQ(reject->reason, known->second);
        continue;
      }
      EXPECT_EQ(row.at("verdict"), "reject") << reject->message;
      if (row.at("message").starts_with("image file is truncated")) {
        EXPECT_EQ(reject->reason, Reason::kTruncated);
      }
      if (row.at("error") == "DecompressionBombError") {
        EXPECT_EQ(reject->reason, Reason::kTooLarge);
      }
      if (row.at("category") == "not_an_image") {
        EXPECT_EQ(SniffFormat(bytes), std::nullopt);
      }
      continue;
    }
    EXPECT_EQ(row.at("verdict"), "accept") << row.at("message");
    const Picture& picture = std::get<Picture>(result);
    EXPECT_EQ(std::to_string(picture.width), row.at("width"));
    EXPECT_EQ(std::to_string(picture.height), row.at("height"));
    EXPECT_EQ(picture.mode, row.at("src_mode"));
    EXPECT_EQ(FormatName(picture.format), row.at("format"));
    EXPECT_EQ(Sha256().Add(picture.rgb).Hex(), row.at("rgb_sha256"));
    resizer.Resize(picture.width, picture.height, picture.rgb, input);
    EXPECT_EQ(Sha256().Add(std::span<const uint8_t>(input)).Hex(), row.at("rgb224_sha256"));
  }
  EXPECT_EQ(files, 200);
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
