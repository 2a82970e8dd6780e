#include "zip_archive.h"

#include <gtest/gtest.h>

#include "fixtures.h"

namespace pomona {
namespace {

constexpr size_t kLimit = 100;

std::string Read(const std::string& bytes, const char* name) {
  const auto archive = ZipArchive::Open(bytes);
  if (!archive.ok()) return archive.status().message();
  const auto member = archive->Read(name, kLimit);
  return member.ok() ? std::string(member->begin(), member->end()) : member.status().message();
}

TEST(ZipArchiveTest, ReadsMembersStoredAndDeflated) {
  for (const bool deflated : {false, true}) {
    const std::string bytes =
        ZipOf({{"a/data", "aaaaaaaa", deflated}, {"data", "d", deflated}, {"b", "bb", deflated}});
    const ZipArchive archive = ZipArchive::Open(bytes).ValueOrDie();
    EXPECT_TRUE(archive.Has("b"));
    EXPECT_FALSE(archive.Has("a"));
    EXPECT_EQ(archive.EndingIn("data"), (std::vector<std::string>{"a/data", "data"}));
    EXPECT_EQ(Read(bytes, "a/data"), "aaaaaaaa");
    EXPECT_EQ(Read(bytes, "data"), "d");
    EXPECT_EQ(Read(bytes, "b"), "bb");
    EXPECT_EQ(Read(bytes, "a"), "has no member 'a'");
  }
}

TEST(ZipArchiveTest, RefusesWhatIsLargerThanAskedFor) {
  for (const bool deflated : {false, true}) {
    const std::string bytes = ZipOf({{"a", std::string(kLimit + 1, 'a'), deflated}});
    EXPECT_EQ(Read(bytes, "a"), "'a' has more than 100 bytes");
  }
}

TEST(ZipArchiveTest, RefusesTwoMembersOfOneName) {
  EXPECT_EQ(Read(ZipOf({{"a", "1"}, {"a", "2"}}), "a"), "is a damaged zip archive");
}

TEST(ZipArchiveTest, RefusesDamage) {
  // Where a number stands in the directory, and what to write there.
  const std::string archive = ZipOf({{"data", "no more than that"}});
  const size_t entry = archive.find("PK\1\2");
  const struct {
    size_t at;
    char byte;
    const char* message;
  } kCases[] = {
      {8, 1, "is encrypted"},
      {10, 12, "is compressed by method 12, which is not read"},
      {16, 0, "is a damaged zip archive"},           // checksum
      {23, 0x7f, "'data' has more than 100 bytes"},  // packed size
      {27, 0x7f, "'data' has more than 100 bytes"},  // size
      {20, 99, "is a damaged zip archive"},          // packed size
      {24, 99, "is a damaged zip archive"},          // size
      {42, 1, "is a damaged zip archive"},           // where the member begins
      {45, 1, "is a damaged zip archive"},           // the same
      {28, 0x7f, "is a damaged zip archive"},        // length of the name
      {0, 'Q', "is a damaged zip archive"},
  };
  for (const auto& [at, byte, message] : kCases) {
    std::string changed = archive;
    changed[entry + at] = byte;
    EXPECT_EQ(Read(changed, "data"), message) << at;
  }
  for (size_t length = 0; length < archive.size(); ++length) {
    EXPECT_EQ(Read(archive.substr(0, length), "data"), "is a damaged zip archive") << length;
  }
}

TEST(ZipArchiveTest, RefusesDamagedDeflate) {
  const std::string archive = ZipOf({{"data", std::string(90, 'a'), true}});
  const size_t data = archive.find("data") + 8;  // behind the name and Keras' field
  int refused = 0;
  for (size_t at = data; at < archive.find("PK\1\2"); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = archive;
      changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
      const std::string read = Read(changed, "data");
      EXPECT_TRUE(read == std::string(90, 'a') || read == "is a damaged zip archive") << at;
      refused += read == "is a damaged zip archive";
    }
  }
  EXPECT_GT(refused, 8);
}

}  // namespace
}  // namespace pomona
