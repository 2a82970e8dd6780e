#include "listing.h"

#include <gtest/gtest.h>

#include <future>

#include "fakes.h"

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

std::vector<std::string> Names(const Listing::All& all) {
  std::vector<std::string> names;
  for (const Item& item : all.items) names.emplace_back(item.relative_path());
  return names;
}

TEST(Listing, CutsFragmentsAcrossBatches) {
  SlowSource source;
  source.batches = {Items({"a/1"}), Items({"a/2", "b/1", "b/2"}), {}, Items({"b/3"})};
  Listing listing(source, "/elsewhere", InTwos(), "recipe");
  EXPECT_EQ((*listing.Fragment(2))->items[0].path, "/tree/b/3");
  EXPECT_EQ(*listing.Fragment(3), nullptr);
  EXPECT_TRUE(listing.complete());
  EXPECT_EQ(listing.count(), 5);
  const auto second = (*listing.Fragment(1))->range;
  EXPECT_EQ(second.begin, 2u);
  EXPECT_EQ(second.end, 4u);
  EXPECT_EQ(second.key, RangeOf(Items({"b/1", "b/2"}), 2, "recipe").key);

  const Listing::All all = listing.TakeAll();
  EXPECT_EQ(Names(all), (std::vector<std::string>{"a/1", "a/2", "b/1", "b/2", "b/3"}));
  ASSERT_EQ(all.fragments.size(), 3u);
  EXPECT_EQ(all.fragments[2].begin, 4u);
  EXPECT_EQ(all.fragments[2].end, 5u);
}

TEST(Listing, GivesFragmentsWhileTheRestIsListed) {
  SlowSource source;
  source.batches = {Items({"a/1", "a/2"}), Items({"b/1"})};
  std::promise<void> seen;
  source.before = [&](size_t batch) {
    if (batch == 1) seen.get_future().wait();
  };
  Listing listing(source, "/elsewhere", InTwos(), "recipe");
  EXPECT_EQ((*listing.Fragment(0))->items.size(), 2u);
  EXPECT_FALSE(listing.complete());
  seen.set_value();
  EXPECT_EQ((*listing.Fragment(1))->items.size(), 1u);
  EXPECT_EQ(*listing.Fragment(2), nullptr);
}

TEST(Listing, StopsAtTheLimit) {
  SlowSource source;
  source.batches = {Items({"a/1", "a/2"}), Items({"b/1", "b/2"}), Items({"c/1"})};
  RunOptions options = InTwos();
  options.limit = 3;
  options.exclude = {"a/2"};
  Listing listing(source, "/elsewhere", options, "recipe");
  EXPECT_EQ(*listing.Fragment(2), nullptr);
  EXPECT_EQ(Names(listing.TakeAll()), (std::vector<std::string>{"a/1", "b/1", "b/2"}));
  EXPECT_EQ(source.taken, 1u);
}

TEST(Listing, KnowsAllLabelsBeforeItTakesTheMiniOnes) {
  SlowSource source;
  source.batches = {Items({"Ananas/1"}), Items({"Apple 2/1", "Apple 2/2"}), Items({"Banana/1"})};
  RunOptions options = InTwos();
  options.mode = Mode::kMini;
  Listing listing(source, "/elsewhere", options, "recipe");
  EXPECT_EQ(*listing.Fragment(1), nullptr);
  EXPECT_EQ(Names(listing.TakeAll()), (std::vector<std::string>{"Apple 2/1", "Apple 2/2"}));
}

TEST(Listing, LeavesTheOutputOut) {
  SlowSource source;
  source.batches = {Items({"a/1"}), Items({"out/a.csv"}), Items({"outer/1"})};
  Listing listing(source, "/tree/out", InTwos(), "recipe");
  EXPECT_EQ(*listing.Fragment(1), nullptr);
  EXPECT_EQ(Names(listing.TakeAll()), (std::vector<std::string>{"a/1", "outer/1"}));
}

TEST(Listing, FailsWithTheSource) {
  SlowSource source;
  source.batches = {Items({"a/1"})};
  source.end = arrow::Status::IOError("the folder b");
  Listing listing(source, "/elsewhere", InTwos(), "recipe");
  EXPECT_EQ(listing.Fragment(0).status(), source.end);
  EXPECT_FALSE(listing.complete());
}

TEST(Listing, StopsWhoeverWaits) {
  SlowSource source;
  source.batches = {Items({"a/1"}), Items({"a/2"}), Items({"a/3"})};
  std::promise<void> stopped;
  source.before = [&](size_t batch) {
    if (batch == 1) stopped.get_future().wait();
  };
  {
    Listing listing(source, "/elsewhere", InTwos(), "recipe");
    auto waiting = std::async(std::launch::async, [&] { return listing.Fragment(0); });
    listing.Stop();
    EXPECT_TRUE(waiting.get().status().IsCancelled());
    stopped.set_value();
  }
  EXPECT_LT(source.taken, 2u);
}

}  // namespace
}  // namespace pomona
