#include "store/fragment.h"

#include <gtest/gtest.h>

#include "temp_folder.h"

namespace pomona {
namespace {

std::vector<Item> Items(int count) {
  std::vector<Item> items;
  for (int i = 0; i < count; ++i) items.push_back({"/t/a/" + std::to_string(i), 3, 10, 20});
  return items;
}

TEST(Fragments, KeyTellsWhateverTheResultDependsOn) {
  const FragmentRange range = RangeOf(Items(4), 8, "recipe");
  EXPECT_EQ(range.begin, 8u);
  EXPECT_EQ(range.end, 12u);
  EXPECT_EQ(RangeOf(Items(4), 0, "recipe").key, range.key);
  EXPECT_NE(RangeOf(Items(4), 8, "another").key, range.key);
  for (const auto& change : std::vector<std::function<void(Item&)>>{
           [](Item& item) { item.path += 'x'; }, [](Item& item) { item.path[3] = 'b'; },
           [](Item& item) { item.size = 11; }, [](Item& item) { item.modified_ns = 21; },
           [](Item& item) { item.state = 1; }}) {
    std::vector<Item> items = Items(4);
    change(items[2]);
    EXPECT_NE(RangeOf(items, 8, "recipe").key, range.key);
  }
  std::vector<Item> moved = Items(4);
  for (Item& item : moved) {
    item.path.insert(0, "/elsewhere");
    item.root_size += 10;
  }
  EXPECT_EQ(RangeOf(moved, 8, "recipe").key, range.key);
}

std::vector<ImageProperties> Images(size_t count) {
  std::vector<ImageProperties> images(count);
  for (size_t i = 0; i < count; ++i) {
    images[i] = {NameOf("JPEG"), NameOf("CMYK"), static_cast<int32_t>(i), 7, {1, 2, 3}};
  }
  return images;
}

TEST(Fragments, ComeBackAsTheyWere) {
  const TempFolder folder;
  const std::string path = folder / "withdrawn/f.safetensors";
  const FragmentRange range = RangeOf(Items(5), 0, "recipe");
  FragmentReport report;
  report.rows = {0, 3};
  report.rejects = {{1, {Stage::kDecode, Reason::kTruncated, "ends \"early\"\n\xff"}},
                    {4, {Stage::kRead, Reason::kUnreadable, ""}}};
  report.skips = {{"not_an_image", 1}};
  report.images = Images(2);
  const std::vector<float> features = {1, 2, 3, 4, 5, 6};
  Moments moments(3);
  moments.Add(features);
  ASSERT_TRUE(WriteFragment(path, range, report, features, moments).ok());

  const auto stored = StoredFragment::Open(path, range);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_EQ(stored->report().rows, report.rows);
  ASSERT_EQ(stored->report().rejects.size(), 2u);
  EXPECT_EQ(stored->report().rejects[0].item, 1);
  EXPECT_EQ(stored->report().rejects[0].reject.stage, Stage::kDecode);
  EXPECT_EQ(stored->report().rejects[0].reject.reason, Reason::kTruncated);
  EXPECT_EQ(stored->report().rejects[0].reject.message, "ends \"early\"\n\xef\xbf\xbd");
  EXPECT_EQ(stored->report().skip_count(), 1);
  EXPECT_EQ(stored->report().images, report.images);
  EXPECT_TRUE(std::equal(features.begin(), features.end(), stored->features().begin()));
  const auto read = stored->ReadMoments();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->count(), 2);
  EXPECT_EQ(read->mean()[0], 2.5);
  EXPECT_EQ(read->comoment()[0], 4.5);

  FragmentRange other = range;
  other.key = "other";
  EXPECT_TRUE(StoredFragment::Open(path, other).status().IsInvalid());
  std::filesystem::resize_file(path, 100);
  EXPECT_FALSE(StoredFragment::Open(path, range).ok());
  EXPECT_FALSE(StoredFragment::Open(folder / "none", range).ok());
}

TEST(Fragments, PartialOnesComeBackAndAreNotTakenForWhole) {
  const TempFolder folder;
  const std::string path = PartialPath(folder / "f.safetensors");
  EXPECT_EQ(path, folder / "f.partial.safetensors");
  const FragmentRange range = RangeOf(Items(5), 0, "recipe");
  const FragmentReport report{
      {1, 3}, {{4, {Stage::kDecode, Reason::kEmpty, "no bytes"}}}, {}, Images(2)};
  const std::vector<float> features = {1, 2, 3, 4, 5, 6};
  ASSERT_TRUE(WritePartialFragment(path, range, report, features, 3).ok());
  const auto stored = StoredFragment::OpenPartial(path, range);
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_TRUE(stored->Verify().ok());
  EXPECT_EQ(stored->report().rows, report.rows);
  EXPECT_EQ(stored->report().rejects[0].reject.message, "no bytes");
  EXPECT_EQ(stored->report().images, report.images);
  EXPECT_TRUE(std::equal(features.begin(), features.end(), stored->features().begin()));
  EXPECT_TRUE(StoredFragment::Open(path, range).status().IsInvalid());
}

// A fragment that is none of ours, or damaged without a trace.
TEST(Fragments, AreRefusedWhereTheyNameItemsThatAreNone) {
  const TempFolder folder;
  const std::string path = folder / "f.safetensors";
  const FragmentRange range{10, 14, "key"};
  const Moments moments(3);
  const auto opens = [&](std::vector<int32_t> rows, std::vector<int32_t> rejects, int64_t skips,
                         Reason reason = Reason::kEmpty,
                         std::optional<std::vector<ImageProperties>> images = {}) {
    FragmentReport report{
        rows, {}, {{"not_an_image", skips}}, images ? *images : Images(rows.size())};
    for (const int32_t item : rejects) report.rejects.push_back({item, {Stage::kRead, reason, ""}});
    const std::vector<float> features(3 * rows.size());
    EXPECT_TRUE(WriteFragment(path, range, report, features, moments).ok());
    return StoredFragment::Open(path, range).ok();
  };
  EXPECT_TRUE(opens({0, 3}, {1}, 1));
  EXPECT_FALSE(opens({0, 3}, {1}, 0));
  EXPECT_FALSE(opens({0, 4}, {1}, 1));
  EXPECT_FALSE(opens({-1, 3}, {1}, 1));
  EXPECT_FALSE(opens({3, 0}, {1}, 1));
  EXPECT_FALSE(opens({3}, {1, 5}, 1));
  EXPECT_FALSE(opens({3}, {1, 1}, 1));
  EXPECT_FALSE(opens({1, 3}, {1}, 1));
  EXPECT_FALSE(opens({0, 1, 2, 3}, {1}, -1));
  EXPECT_FALSE(opens({0, 3}, {1}, 1, static_cast<Reason>(77)));
  EXPECT_FALSE(opens({0, 3}, {1}, 1, Reason::kEmpty, Images(1)));
  std::vector<ImageProperties> unnamed = Images(2);
  unnamed[1].mode = {'\xff'};
  EXPECT_FALSE(opens({0, 3}, {1}, 1, Reason::kEmpty, unnamed));
}

}  // namespace
}  // namespace pomona
