#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "pomona/sink.h"
#include "sink/rows.h"

namespace pomona {
namespace {

VectorTable Features(int dimensions) { return {"features", dimensions, VectorLayout::kFixed, {}}; }

template <typename T>
std::string Csv(int dimensions, const std::vector<std::string>& paths,
                const std::vector<std::string>& labels, const std::vector<T>& values,
                std::initializer_list<int64_t> blocks = {}) {
  return Write(MakeCsvSink, Features(dimensions), paths, labels, *Vectors(dimensions, values),
               blocks)
      ->ToString();
}

TEST(CsvSink, WritesHeaderAndRows) {
  EXPECT_EQ(Csv<float>(3, {"/d/Apple/1.jpg", "/d/Lemon/2.jpg"}, {"Apple", "Lemon"},
                       {0, 1.5f, -0.25f, 4.9218965f, 0, 100}),
            "path,label,features_string\n"
            "/d/Apple/1.jpg,Apple,\"0,1.5,-0.25\"\n"
            "/d/Lemon/2.jpg,Lemon,\"4.9218965,0,100\"\n");
}

TEST(CsvSink, QuotesTextOnlyWhereNeeded) {
  EXPECT_EQ(Csv<float>(1,
                       {"a,b.jpg", "say \"hi\".jpg", "two\nlines.jpg", "cr\rlf.jpg",
                        " spaces kept .jpg", "p\u00eache/\u6843\U0001f351.jpg", ""},
                       {"Apple, red", "\"", "\n", "\r\n", "it's; fine", "\u6843", ""},
                       {1, 2, 3, 4, 5, 6, 7}),
            "path,label,features_string\n"
            "\"a,b.jpg\",\"Apple, red\",\"1\"\n"
            "\"say \"\"hi\"\".jpg\",\"\"\"\",\"2\"\n"
            "\"two\nlines.jpg\",\"\n\",\"3\"\n"
            "\"cr\rlf.jpg\",\"\r\n\",\"4\"\n"
            " spaces kept .jpg,it's; fine,\"5\"\n"
            "p\u00eache/\u6843\U0001f351.jpg,\u6843,\"6\"\n"
            ",,\"7\"\n");
}

TEST(CsvSink, WritesTheShortestTextOfEveryKindOfFloat) {
  using Limits = std::numeric_limits<float>;
  EXPECT_EQ(Csv<float>(12, {"p"}, {"l"},
                       {0.1f, -0.0f, Limits::denorm_min(), -Limits::denorm_min(), Limits::min(),
                        Limits::max(), Limits::lowest(), 16777216, 1.0f / 3, 1e-5f, 1e10f,
                        std::nextafter(1.0f, 2.0f)}),
            "path,label,features_string\n"
            "p,l,\"0.1,-0,1e-45,-1e-45,1.1754944e-38,3.4028235e+38,-3.4028235e+38,16777216,"
            "0.33333334,1e-05,1e+10,1.0000001\"\n");
}

TEST(CsvSink, RoundsDoublesToFloat) {
  EXPECT_EQ(Csv<double>(3, {"p"}, {"l"}, {0.1, -7.900794884536258, 1.0 / 3}),
            "path,label,features_string\n"
            "p,l,\"0.1,-7.900795,0.33333334\"\n");
}

// The length of the shortest text in scientific notation that reads back as the value.
size_t ScientificLength(float value) {
  char text[32];
  for (int digits = 0;; ++digits) {
    const int length = std::snprintf(text, sizeof(text), "%.*e", digits, value);
    if (std::strtof(text, nullptr) == value) return length;
  }
}

TEST(CsvSink, RandomBitPatternsReadBackFromShortText) {
  constexpr int kDimensions = 1280;
  constexpr int kRows = 200;
  std::mt19937 random(7);
  std::vector<float> values;
  while (values.size() < size_t{kDimensions} * kRows) {
    const float value = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (std::isfinite(value)) values.push_back(value);
  }
  const std::vector<std::string> names(kRows, "x");
  const std::string csv = Csv(kDimensions, names, names, values);
  const char* const end = csv.data() + csv.size();
  const char* text = csv.data() + csv.find('\n');
  for (size_t i = 0; i < values.size(); ++i) {
    if (i % kDimensions == 0) text = std::find(std::find(text, end, '\n'), end, '"');
    ++text;  // the quote or comma
    float value = 0;
    const auto [next, error] = std::from_chars(text, end, value);
    ASSERT_EQ(error, std::errc());
    ASSERT_EQ(std::bit_cast<uint32_t>(value), std::bit_cast<uint32_t>(values[i]));
    ASSERT_LE(static_cast<size_t>(next - text), ScientificLength(value));
    text = next;
  }
}

TEST(CsvSink, BlocksDoNotShowInTheFile) {
  constexpr int kRows = 700;  // more than one large write
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> values(kRows * 300);
  for (float& value : values) value = normal(random);
  const std::vector<std::string> names(kRows, "name");
  const std::string whole = Csv(300, names, names, values);
  EXPECT_GT(whole.size(), size_t{2} << 20);
  EXPECT_EQ(whole, Csv(300, names, names, values, {1, 0, 13, 400, 7}));
}

TEST(CsvSink, NoRowsGiveTheHeaderAlone) {
  EXPECT_EQ(Csv<float>(50, {}, {}, {}), "path,label,features_string\n");
}

TEST(CsvSink, RefusesWrongRows) {
  auto out = arrow::io::BufferOutputStream::Create().ValueOrDie();
  EXPECT_TRUE(MakeCsvSink(out, Features(2), Strings({"a"}), Strings({})).status().IsInvalid());
  auto sink = MakeCsvSink(out, Features(2), Strings({"a", "b"}), Strings({"l", "l"})).ValueOrDie();
  EXPECT_TRUE(sink->Append(*Vectors<float>(3, {1, 2, 3})).IsInvalid());
  EXPECT_TRUE(sink->Append(*Vectors<float>(2, {1, 2, 3, 4, 5, 6})).IsInvalid());
  EXPECT_TRUE(sink->Append(*Vectors<int32_t>(2, {1, 2})).IsInvalid());
  EXPECT_TRUE(sink->Append(*Vectors<float>(2, {1, 2})).ok());
  EXPECT_TRUE(sink->Finish().IsInvalid());
}

TEST(CsvBuilder, FollowsTheRulesOfTheSink) {
  CsvBuilder csv;
  csv.Field("path").Field("message").EndRow();
  csv.Field("/d/a,b.jpg").Field("he said \"no\"\n").Field(int64_t{-12}).Field(0.21140684f).EndRow();
  csv.Field("").Field("").Field(0.0f).EndRow();
  EXPECT_EQ(csv.text(),
            "path,message\n"
            "\"/d/a,b.jpg\",\"he said \"\"no\"\"\n\",-12,0.21140684\n"
            ",,0\n");
  csv.clear();
  csv.Field("again").EndRow();
  EXPECT_EQ(csv.text(), "again\n");
}

}  // namespace
}  // namespace pomona
