#include "read_ahead.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <numeric>
#include <set>
#include <thread>

namespace pomona {
namespace {

using arrow::internal::ThreadPool;

std::vector<Item> Items(size_t count, int64_t size = 1) {
  std::vector<Item> items;
  for (size_t i = 0; i < count; ++i) items.push_back({"/" + std::to_string(i), 1, size, 0});
  return items;
}

// Gives the items' paths, and knows how it was asked.
struct Reader {
  std::mutex mutex;
  std::multiset<std::string> paths;
  std::atomic<int> running = 0, most = 0;

  arrow::Result<FileContent> operator()(const Item& item) {
    const int now = ++running;
    for (int most_now = most; now > most_now && !most.compare_exchange_weak(most_now, now);) {
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    --running;
    const std::lock_guard lock(mutex);
    paths.insert(item.path);
    return FileContent{FileBytes(item.path.begin(), item.path.end()), std::nullopt};
  }
};

std::string Text(const arrow::Result<FileContent>& content) {
  return content.ok() ? std::string(content->bytes.begin(), content->bytes.end())
                      : content.status().ToString();
}

TEST(ReadAhead, GivesEveryItemOnceToManyTakers) {
  const std::vector<Item> items = Items(1000);
  Reader reader;
  const auto pool = *ThreadPool::Make(16);
  ReadAhead ahead(pool.get(), {.items = 8}, std::ref(reader));
  ahead.Prefetch({items.begin(), items.begin() + 400});
  ahead.Prefetch({items.begin() + 400, items.end()});
  std::atomic<size_t> next = 0, wrong = 0;
  {
    std::vector<std::jthread> takers;
    for (int i = 0; i < 4; ++i) {
      takers.emplace_back([&] {
        for (size_t i; (i = next++) < items.size();) {
          if (Text(ahead.Take(items[i])) != items[i].path) ++wrong;
        }
      });
    }
  }
  EXPECT_EQ(wrong, 0u);
  EXPECT_EQ(reader.paths.size(), items.size());
  EXPECT_EQ(std::set(reader.paths.begin(), reader.paths.end()).size(), items.size());
  EXPECT_GT(reader.most, 1);
  EXPECT_LE(reader.most, 8 + 4);
}

TEST(ReadAhead, KeepsToTheBoundOfBytesButReadsWhatIsLarger) {
  const std::vector<Item> items = Items(50, 100);
  Reader reader;
  const auto pool = *ThreadPool::Make(16);
  for (const int64_t bytes : {250, 1}) {
    reader.most = 0;
    ReadAhead ahead(pool.get(), {.items = 16, .bytes = bytes}, std::ref(reader));
    ahead.Prefetch(items);
    for (const Item& item : items) EXPECT_EQ(Text(ahead.Take(item)), item.path);
    EXPECT_LE(reader.most, bytes / 100 + 2);  // and the one being taken
  }
}

TEST(ReadAhead, ReadsSeveralSmallItemsByOneTask) {
  std::vector<Item> items = Items(400, 10);
  items[100].size = kSmallItem + 1;
  items[101].size = kSmallItem;
  Reader reader;
  std::mutex mutex;
  std::vector<size_t> sizes;
  std::atomic<int> ahead_now = 0;
  const auto pool = *ThreadPool::Make(4);
  ReadAhead ahead(
      pool.get(), {.items = 32, .together = 8}, std::ref(reader),
      [&](const std::vector<Item>& some, const ReadAhead::Deliver& deliver) {
        {
          const std::lock_guard lock(mutex);
          sizes.push_back(some.size());
        }
        EXPECT_LE(ahead_now += static_cast<int>(some.size()), 32 + 1);  // and the one being taken
        // Some elsewhere and in another order.
        for (size_t i = some.size(); i-- > 1;) deliver(i, reader(some[i]));
        EXPECT_TRUE(
            pool->Spawn([&reader, item = some[0], deliver] { deliver(0, reader(item)); }).ok());
      });
  ahead.Prefetch(items);
  for (const Item& item : items) {
    EXPECT_EQ(Text(ahead.Take(item)), item.path);
    if (item.size <= kSmallItem) --ahead_now;
  }
  EXPECT_EQ(reader.paths.size(), items.size());
  // Before the large one, which is read by itself, 12 times 8 and 4; after it 37 times 8 and 3.
  EXPECT_EQ(std::count(sizes.begin(), sizes.end(), 8), 12 + 37);
  EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), size_t{0}), items.size() - 1);
  EXPECT_TRUE(pool->Shutdown().ok());
}

TEST(ReadAhead, IsNotHeldUpByLargeFilesThatAreNoImagesByTheirNames) {
  constexpr int64_t kGigabyte = 1'000'000'000;
  const std::vector<Item> items = {{"/film.mp4", 1, kGigabyte}, {"/1.jpg", 1, 1000}};
  EXPECT_TRUE(OnlyStartAhead(items[0]));
  EXPECT_FALSE(OnlyStartAhead({"/1.tiff", 1, kGigabyte}));
  EXPECT_FALSE(OnlyStartAhead({"/1", 1, 1'000'000}));
  std::promise<void> both;
  std::atomic<int> started = 0;
  const auto pool = *ThreadPool::Make(2);
  ReadAhead ahead(pool.get(), {.items = 16, .bytes = 10'000},
                  [&](const Item&) -> arrow::Result<FileContent> {
                    if (++started == 2) both.set_value();
                    return FileContent{};
                  });
  ahead.Prefetch(items);
  EXPECT_EQ(both.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
  for (const Item& item : items) EXPECT_TRUE(ahead.Take(item).ok());
}

TEST(ReadAhead, ReadsWhatWasNotPrefetchedAndWhatIsTakenOutOfOrder) {
  const std::vector<Item> items = Items(20);
  Reader reader;
  const auto pool = *ThreadPool::Make(2);
  ReadAhead ahead(pool.get(), {.items = 2}, std::ref(reader));
  EXPECT_EQ(Text(ahead.Take(items[0])), "/0");
  const std::vector<Item> some = {items[5], items[6], items[9], items[12]};
  ahead.Prefetch(some);
  for (const int i : {12, 7, 5, 9, 6}) {
    EXPECT_EQ(Text(ahead.Take(items[i])), items[i].path);
  }
  EXPECT_EQ(reader.paths.size(), 6u);
}

TEST(ReadAhead, MayBeLeftWithItemsThatAreGone) {
  std::vector<Item> items = Items(4);
  std::promise<void> gone;
  std::shared_future<void> is_gone = gone.get_future().share();
  std::mutex mutex;
  std::multiset<std::string> paths;
  {
    const auto pool = *ThreadPool::Make(4);
    ReadAhead ahead(pool.get(), {}, [&](const Item& item) -> arrow::Result<FileContent> {
      is_gone.wait();
      const std::lock_guard lock(mutex);
      paths.insert(item.path);
      return FileContent{};
    });
    ahead.Prefetch(items);
    for (Item& item : items) item.path = "another";
    gone.set_value();
    EXPECT_TRUE(pool->Shutdown().ok());
  }
  EXPECT_EQ(paths, (std::multiset<std::string>{"/0", "/1", "/2", "/3"}));
}

TEST(ReadAhead, HandsOnRejectsAndErrors) {
  const std::vector<Item> items = Items(2);
  const auto pool = *ThreadPool::Make(2);
  ReadAhead ahead(pool.get(), {}, [&](const Item& item) -> arrow::Result<FileContent> {
    if (item.path == items[0].path) return arrow::Status::IOError("no connection");
    return FileContent{{}, Reject{Stage::kRead, Reason::kMissing, "gone"}};
  });
  ahead.Prefetch(items);
  EXPECT_TRUE(ahead.Take(items[0]).status().IsIOError());
  EXPECT_EQ(ahead.Take(items[1])->reject->reason, Reason::kMissing);
}

}  // namespace
}  // namespace pomona
