#include "listing.h"

#include <gtest/gtest.h>

#include <future>

#include "fakes.h"
#include "temp_folder.h"

namespace pomona {
namespace {

std::vector<Item> Items(std::initializer_list<const char*> paths) {
  std::vector<Item> items;
  for (const char* path : paths) items.push_back({std::string("/tree/") + path, 6, 1, 1});
  return items;
}

// Hands over batches, each once its turn has come.
class SlowSource : public MemorySource {
 public:
  std::vector<std::vector<Item>> batches;
  std::function<void(size_t)> before = [](size_t) {};
  arrow::Status end;
  size_t taken = 0;

  arrow::Status List(PathFilter* filter, const TakeItems& take) override {
    for (; taken < batches.size(); ++taken) {
      before(taken);
      std::vector<Item> items = batches[taken];
      std::erase_if(items, [&](const Item& it) { return !filter->TakesFile(it.relative_path()); });
      if (!take(std::move(items))) return arrow::Status::OK();
    }
    return end;
  }
};

RunOptions InTwos() {
  RunOptions options;
  options.fragment_items = 2;
  return options;
}

// The items that a listing wrote to its spool.
std::vector<std::string> Names(Listing& listing) {
  std::vector<std::string> names;
  for (const ListedFragment& fragment : listing.TakeFragments()) {
    for (const Item& item : *listing.Items(fragment)) names.emplace_back(item.relative_path());
  }
  return names;
}

class ListingTest : public testing::Test {
 protected:
  const TempFolder folder_;
  const std::unique_ptr<ItemSpool> spool_ = *ItemSpool::Create(folder_ / "items");
};

TEST_F(ListingTest, CutsFragmentsAcrossBatches) {
  SlowSource source;
  source.batches = {Items({"a/1"}), Items({"a/2", "b/1", "b/2"}), {}, Items({"b/3"})};
  Listing listing(source, "/elsewhere", InTwos(), "recipe", *spool_);
  EXPECT_EQ(listing.Items(**listing.Fragment(2))->at(0).path, "/tree/b/3");
  EXPECT_EQ(*listing.Fragment(3), nullptr);
  EXPECT_TRUE(listing.complete());
  EXPECT_EQ(listing.count(), 5);
  const auto second = (*listing.Fragment(1))->range;
  EXPECT_EQ(second.begin, 2u);
  EXPECT_EQ(second.end, 4u);
  EXPECT_EQ(second.key, RangeOf(Items({"b/1", "b/2"}), 2, "recipe").key);

  const auto third = (*listing.Fragment(2))->range;
  EXPECT_EQ(third.begin, 4u);
  EXPECT_EQ(third.end, 5u);
  EXPECT_EQ(Names(listing), (std::vector<std::string>{"a/1", "a/2", "b/1", "b/2", "b/3"}));
}

TEST_F(ListingTest, GivesFragmentsWhileTheRestIsListed) {
  SlowSource source;
  source.batches = {Items({"a/1", "a/2"}), Items({"b/1"})};
  std::promise<void> seen;
  source.before = [&](size_t batch) {
    if (batch == 1) seen.get_future().wait();
  };
  Listing listing(source, "/elsewhere", InTwos(), "recipe", *spool_);
  EXPECT_EQ((*listing.Fragment(0))->range.size(), 2u);
  EXPECT_FALSE(listing.complete());
  seen.set_value();
  EXPECT_EQ((*listing.Fragment(1))->range.size(), 1u);
  EXPECT_EQ(*listing.Fragment(2), nullptr);
}

TEST_F(ListingTest, StopsAtTheLimit) {
  SlowSource source;
  source.batches = {Items({"a/1", "a/2"}), Items({"b/1", "b/2"}), Items({"c/1"})};
  RunOptions options = InTwos();
  options.limit = 3;
  options.exclude = {"a/2"};
  Listing listing(source, "/elsewhere", options, "recipe", *spool_);
  EXPECT_EQ(*listing.Fragment(2), nullptr);
  EXPECT_EQ(Names(listing), (std::vector<std::string>{"a/1", "b/1", "b/2"}));
  EXPECT_EQ(source.taken, 1u);
}

TEST_F(ListingTest, KnowsAllLabelsBeforeItTakesTheMiniOnes) {
  SlowSource source;
  source.batches = {Items({"Ananas/1"}), Items({"Apple 2/1", "Apple 2/2"}), Items({"Banana/1"})};
  RunOptions options = InTwos();
  options.mode = Mode::kMini;
  Listing listing(source, "/elsewhere", options, "recipe", *spool_);
  EXPECT_EQ(*listing.Fragment(1), nullptr);
  EXPECT_EQ(Names(listing), (std::vector<std::string>{"Apple 2/1", "Apple 2/2"}));
}

TEST_F(ListingTest, LeavesTheOutputOut) {
  SlowSource source;
  source.batches = {Items({"a/1"}), Items({"out/a.csv"}), Items({"outer/1"})};
  Listing listing(source, "/tree/out", InTwos(), "recipe", *spool_);
  EXPECT_EQ(*listing.Fragment(1), nullptr);
  EXPECT_EQ(Names(listing), (std::vector<std::string>{"a/1", "outer/1"}));
}

TEST_F(ListingTest, FailsWithTheSource) {
  SlowSource source;
  source.batches = {Items({"a/1"})};
  source.end = arrow::Status::IOError("the folder b");
  Listing listing(source, "/elsewhere", InTwos(), "recipe", *spool_);
  EXPECT_EQ(listing.Fragment(0).status(), source.end);
  EXPECT_FALSE(listing.complete());
}

TEST_F(ListingTest, StopsWhoeverWaits) {
  SlowSource source;
  source.batches = {Items({"a/1"}), Items({"a/2"}), Items({"a/3"})};
  std::promise<void> stopped;
  source.before = [&](size_t batch) {
    if (batch == 1) stopped.get_future().wait();
  };
  {
    Listing listing(source, "/elsewhere", InTwos(), "recipe", *spool_);
    auto waiting = std::async(std::launch::async, [&] { return listing.Fragment(0); });
    listing.Stop();
    EXPECT_TRUE(waiting.get().status().IsCancelled());
    stopped.set_value();
  }
  EXPECT_LT(source.taken, 2u);
}

}  // namespace
}  // namespace pomona
