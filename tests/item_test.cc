#include "pomona/item.h"

#include <gtest/gtest.h>

#include <random>

namespace pomona {
namespace {

using namespace std::literals;

TEST(EscapeName, LeavesUtf8AsItIs) {
  constexpr std::string_view kNames[] = {"",
                                         "/tree/Apple Red 1/7_100.jpg",
                                         "=1+1, \"quoted\"\n",
                                         "100% \\ \\n \\x \\x4A \\xc3 \\xZZ",
                                         "caf\u00e9",
                                         "\u0080\u07ff\u0800\ud7ff\ue000\uffff",
                                         "\U00010000\U0010ffff",
                                         "a\0b"sv};
  for (const std::string_view name : kNames) {
    EXPECT_EQ(EscapeName(name), name);
    EXPECT_EQ(UnescapeName(name), name);
  }
}

TEST(EscapeName, EscapesWhatIsNoUtf8) {
  const std::pair<std::string_view, std::string_view> kNames[] = {
      {"caf\xe9.jpg", "caf\\xE9.jpg"},                        // Latin-1
      {"\x80\xbf", "\\x80\\xBF"},                             // nothing to continue
      {"\xc3", "\\xC3"},                                      // nothing follows
      {"\xe2\x82/", "\\xE2\\x82/"},                           // too little follows
      {"\xc0\xaf\xe0\x80\xaf", "\\xC0\\xAF\\xE0\\x80\\xAF"},  // longer than need be
      {"\xed\xa0\x80", "\\xED\\xA0\\x80"},                    // a surrogate
      {"\xf4\x90\x80\x80\xff", "\\xF4\\x90\\x80\\x80\\xFF"},  // beyond the last character
  };
  for (const auto& [name, text] : kNames) {
    EXPECT_EQ(EscapeName(name), text);
    EXPECT_EQ(UnescapeName(text), name);
  }
}

TEST(EscapeName, EscapesABackslashOnlyWhereItWouldMislead) {
  EXPECT_EQ(EscapeName("\\xE9"), "\\x5CxE9");
  EXPECT_EQ(EscapeName("\\x5C"), "\\x5Cx5C");
  EXPECT_EQ(EscapeName("\\\\xE9"), "\\\\x5CxE9");
  EXPECT_EQ(EscapeName("\\x\xe9"), "\\x\\xE9");
  EXPECT_EQ(EscapeName("\\xE\xe9"), "\\xE\\xE9");
}

TEST(EscapeName, IsReversibleWhateverTheBytes) {
  constexpr char kBytes[] = "\\\\\\xx5C8E9F/\x80\x8f\xc3\xa9\xe2\xed\xf0\xf4\xff";
  std::minstd_rand random(1);
  for (int i = 0; i < 100'000; ++i) {
    std::string name(random() % 12, '\0');
    for (char& c : name) c = kBytes[random() % (sizeof kBytes - 1)];
    const std::string text = EscapeName(name);
    ASSERT_EQ(UnescapeName(text), name);
    ASSERT_EQ(EscapeName(text) == text, text == name) << text;
  }
}

TEST(Label, IsTheNameOfTheParentFolder) {
  const std::pair<const char*, std::string_view> kPaths[] = {
      {"/tree/Apple Red/1.jpg", "Apple Red"},
      {"/tree/1.jpg", "tree"},
      {"/1.jpg", ""},
      {"1.jpg", ""},
      {"a/1.jpg", "a"},
      {"s3://bucket/1.jpg", ""},
      {"s3://bucket/a/1.jpg", "a"},
      {"s3://bucket/a/b://c/1.jpg", "c"},
      {"s3://bucket/a//1.jpg", ""},
      {"hdfs://host:8020/1.jpg", ""},
      {"/a:/b/1.jpg", "b"},
  };
  for (const auto& [path, label] : kPaths) EXPECT_EQ(Item{path}.label(), label) << path;
}

TEST(Item, StagesAndReasonsAreFoundByTheirNames) {
  for (const Stage stage : {Stage::kRead, Stage::kDecode, Stage::kInfer}) {
    EXPECT_EQ(StageNamed(StageName(stage)), stage);
  }
  const std::pair<const char*, Reason> kNames[] = {
      {"unreadable", Reason::kUnreadable}, {"empty", Reason::kEmpty},
      {"truncated", Reason::kTruncated},   {"corrupt", Reason::kCorrupt},
      {"too_large", Reason::kTooLarge},    {"unsupported_format", Reason::kUnsupportedFormat},
      {"missing", Reason::kMissing},       {"forbidden", Reason::kForbidden}};
  for (const auto& [name, reason] : kNames) EXPECT_EQ(ReasonNamed(name), reason) << name;
  for (const char* name : {"", "Empty", "another"}) {
    EXPECT_EQ(ReasonNamed(name), std::nullopt) << name;
    EXPECT_EQ(StageNamed(name), std::nullopt) << name;
  }
}

TEST(TakeCharacter, CountsWhatIsNoCharacterAsOne) {
  const auto characters = [](std::string_view text) {
    std::u32string all;
    while (!text.empty()) all += TakeCharacter(&text);
    return all;
  };
  EXPECT_EQ(characters("a\u00e9\u68a8\U0001f34e"), U"a\u00e9\u68a8\U0001f34e");
  const std::u32string bytes = {0x110000 + 0xE9, '/', 0x110000 + 0xFF};
  EXPECT_EQ(characters("\xe9/\xff"), bytes);
  EXPECT_EQ(characters(EscapeName("\xe9/\xff")), bytes);
  EXPECT_EQ(characters("\\xe9"), U"\\xe9");
  EXPECT_EQ(characters(EscapeName("\\xE9")), U"\\xE9");
}

}  // namespace
}  // namespace pomona
