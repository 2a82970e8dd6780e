#include "pomona/glob.h"

#include <gtest/gtest.h>

#include <random>

#include "pomona/item.h"

namespace pomona {
namespace {

bool Matches(std::string_view glob, std::string_view path) {
  const auto parsed = Glob::Parse(glob);
  EXPECT_TRUE(parsed.ok()) << glob << ": " << parsed.status();
  return parsed.ok() && parsed->Matches(path);
}

TEST(Glob, MatchesWholePathsAcrossFolders) {
  EXPECT_TRUE(Matches("Kiwi/*", "Kiwi/1.jpg"));
  EXPECT_TRUE(Matches("Kiwi/*", "Kiwi/a/b.jpg"));
  EXPECT_TRUE(Matches("Kiwi/*", "Kiwi/"));
  EXPECT_TRUE(Matches("*.jpg", "a/b/c.jpg"));
  EXPECT_TRUE(Matches("a?b", "a/b"));
  EXPECT_TRUE(Matches("**a**b", "xaxb"));
  EXPECT_FALSE(Matches("Kiwi", "Kiwi/1.jpg"));
  EXPECT_FALSE(Matches("iwi/*", "Kiwi/1.jpg"));
  EXPECT_FALSE(Matches("kiwi/*", "Kiwi/1.jpg"));
  EXPECT_FALSE(Matches("*.{jpg,png}", "a/1.jpg"));
  EXPECT_TRUE(Matches("*.{jpg,png}", "a.{jpg,png}"));
  EXPECT_TRUE(Matches("", ""));
  EXPECT_FALSE(Matches("", "a"));
  EXPECT_FALSE(Matches("?", ""));
}

TEST(Glob, BracketsAndBackslashes) {
  EXPECT_TRUE(Matches("[a-c]x", "bx"));
  EXPECT_FALSE(Matches("[!a-c]x", "bx"));
  EXPECT_TRUE(Matches("[^a-c]x", "dx"));
  EXPECT_TRUE(Matches("[]a]x", "]x"));
  EXPECT_TRUE(Matches("[!]a]x", "bx"));
  EXPECT_TRUE(Matches("[a-]x", "-x"));
  EXPECT_TRUE(Matches("[[]x", "[x"));
  EXPECT_TRUE(Matches("[\\]]x", "]x"));
  EXPECT_TRUE(Matches("x]", "x]"));
  EXPECT_TRUE(Matches("\\*\\?\\[\\\\", "*?[\\"));
  for (const char* wrong :
       {"[", "[abc", "a[", "[]", "[!]", "[a-", "[\\]", "a\\", "[z-a]", "[[:alpha:]]"}) {
    EXPECT_TRUE(Glob::Parse(wrong).status().IsInvalid()) << wrong;
  }
}

TEST(Glob, CountsCharacters) {
  EXPECT_TRUE(Matches("P?che/*", "Pêche/1.jpg"));
  EXPECT_FALSE(Matches("P??che/*", "Pêche/1.jpg"));
  EXPECT_TRUE(Matches("P??che/*", "Pêche/1.jpg"));  // as macOS writes it
  EXPECT_TRUE(Matches("P[ê]che", "Pêche"));
  EXPECT_TRUE(Matches("P[!e]che", "Pêche"));
  EXPECT_TRUE(Matches("[一-鿿]?", "梨🍎"));
  EXPECT_FALSE(Matches("[一-鿿]", "ê"));
}

TEST(Glob, TakesAByteThatIsNoCharacterForOne) {
  const std::string path = EscapeName("caf\xe9/\xff\xfe.jpg");
  ASSERT_EQ(path, "caf\\xE9/\\xFF\\xFE.jpg");
  for (const char* glob : {"caf?/??.jpg", "caf\xe9/*", "caf\\xE9/*", "caf\\\\xE9/*",
                           "caf[\\xE0-\\xEF]/*", "caf[\xe9]/*"}) {
    EXPECT_TRUE(Matches(glob, path)) << glob;
  }
  for (const char* glob : {"caf???\?/*", "caf\u00e9/*", "cafxE9/*", "caf\\\\x5CxE9/*"}) {
    EXPECT_FALSE(Matches(glob, path)) << glob;
  }
  // A name that reads like an escape.
  EXPECT_TRUE(Matches("?xE9", EscapeName("\\xE9")));
  EXPECT_TRUE(Matches("\\\\x5CxE9", EscapeName("\\xE9")));
  EXPECT_FALSE(Matches("\\\\xE9", EscapeName("\\xE9")));
}

TEST(Glob, KnowsWhatAFolderMayHold) {
  const auto some = [](std::string_view glob, std::string_view start) {
    return Glob::Parse(glob)->MatchesSome(start);
  };
  const auto all = [](std::string_view glob, std::string_view start) {
    return Glob::Parse(glob)->MatchesAll(start);
  };
  EXPECT_TRUE(some("Kiwi/*", "Kiwi/"));
  EXPECT_TRUE(some("*/1.jpg", "a/b/"));
  EXPECT_TRUE(some("a/b/c", "a/"));
  EXPECT_FALSE(some("Kiwi/*", "lost+found/"));
  EXPECT_FALSE(some("Kiwi", "Kiwi/"));
  EXPECT_TRUE(all("lost+found*", "lost+found/"));
  EXPECT_TRUE(all("*/tmp/*", "a/tmp/"));
  EXPECT_TRUE(all("a/*", "a/b/"));
  EXPECT_FALSE(all("*.jpg", "a/"));
  EXPECT_FALSE(all("a/?*", "a/"));
  EXPECT_FALSE(all("a/*b*", "a/"));
  EXPECT_TRUE(all("a/*b*", "a/b/"));
  EXPECT_EQ(Glob::Parse("a/b*c")->literal_start(), "a/b");
  EXPECT_EQ(Glob::Parse("\xff/[a]")->literal_start(), "\\xFF/");
  EXPECT_EQ(Glob::Parse("a\\b")->literal_start(), "a");
}

// A plain definition: the first character decides, or the star's choice does.
bool Defined(std::string_view glob, std::string_view path) {
  if (glob.empty()) return path.empty();
  if (glob[0] == '*') {
    return Defined(glob.substr(1), path) || (!path.empty() && Defined(glob, path.substr(1)));
  }
  return !path.empty() && (glob[0] == '?' || glob[0] == path[0]) &&
         Defined(glob.substr(1), path.substr(1));
}

TEST(Glob, IsWhatItIsDefinedToBe) {
  std::minstd_rand random(1);
  const auto text = [&](const char* characters, size_t count) {
    std::string made(random() % 7, '\0');
    for (char& c : made) c = characters[random() % count];
    return made;
  };
  for (int i = 0; i < 20'000; ++i) {
    const std::string glob = text("**?ab/", 6), path = text("aab/", 4);
    const Glob parsed = *Glob::Parse(glob);
    ASSERT_EQ(parsed.Matches(path), Defined(glob, path)) << glob << ' ' << path;
    bool some = false;  // the path may end anywhere in the glob
    for (size_t k = 0; k <= glob.size(); ++k) some = some || Defined(glob.substr(0, k), path);
    ASSERT_EQ(parsed.MatchesSome(path), some) << glob << ' ' << path;
    const bool all = glob.ends_with('*') && Defined(glob, path);
    ASSERT_EQ(parsed.MatchesAll(path), all) << glob << ' ' << path;
  }
}

}  // namespace
}  // namespace pomona
