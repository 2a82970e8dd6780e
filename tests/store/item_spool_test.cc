#include "store/item_spool.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "temp_folder.h"

namespace pomona {
namespace {

bool Same(const Item& a, const Item& b) {
  return a.path == b.path && a.root_size == b.root_size && a.size == b.size &&
         a.modified_ns == b.modified_ns && a.state == b.state;
}

const std::vector<Item> kItems = {{"/tree/a\nb/1.png", 6, 1, 2, 3},
                                  {"/tree/\xFF", 6, -1, INT64_MAX, INT64_MIN},
                                  {"", 0, 0, 0, 0},
                                  {std::string("/tree/") + std::string(5000, 'x'), 6, 7, 8, 9}};

TEST(ItemSpool, GivesBackBlocksInAnyOrderWhileOthersAreAppended) {
  const TempFolder folder;
  const auto spool = *ItemSpool::Create(folder / "items");
  const auto first = *spool->Append(std::span(kItems).first(1));
  EXPECT_EQ(spool->Read(first)->size(), 1u);
  const auto second = *spool->Append(std::span(kItems).subspan(1));
  const auto empty = *spool->Append({});
  EXPECT_TRUE(spool->Read(empty)->empty());
  const std::vector<Item> read = *spool->Read(second);
  ASSERT_EQ(read.size(), 3u);
  for (size_t i = 0; i < read.size(); ++i) EXPECT_TRUE(Same(read[i], kItems[i + 1])) << i;
  EXPECT_TRUE(Same(spool->Read(first)->at(0), kItems[0]));
}

TEST(ItemSpool, SaysThatItWasCutShort) {
  const TempFolder folder;
  const auto spool = *ItemSpool::Create(folder / "items");
  const auto block = *spool->Append(kItems);
  for (int64_t size = block.bytes - 1; size >= 0; size -= size < 200 ? 1 : 99) {
    std::filesystem::resize_file(folder / "items", static_cast<size_t>(size));
    EXPECT_TRUE(spool->Read(block).status().IsInvalid()) << size;
  }
}

TEST(ItemSpool, SaysThatItWasReplaced) {
  const TempFolder folder;
  const auto spool = *ItemSpool::Create(folder / "items");
  const auto block = *spool->Append(kItems);
  std::string bytes = ReadFile(folder / "items");
  bytes[bytes.find("tree")] = 'T';
  folder.Write("items", bytes);
  EXPECT_TRUE(spool->Read(block).status().IsInvalid());
}

TEST(ItemSpool, ReplacesALinkAndNotWhatItLeadsTo) {
  const TempFolder folder;
  folder.Write("somebodys", "text");
  std::filesystem::create_symlink("somebodys", folder / "items");
  ASSERT_TRUE((*ItemSpool::Create(folder / "items"))->Append(kItems).ok());
  EXPECT_EQ(ReadFile(folder / "somebodys"), "text");
}

}  // namespace
}  // namespace pomona
