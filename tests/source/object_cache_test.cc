#include "object_cache.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <numeric>

namespace pomona {
namespace {

namespace fs = std::filesystem;

class ObjectCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              ("object_cache_" + std::to_string(getpid()) + '_' +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::unique_ptr<ObjectCache> Open(int64_t most_bytes = 1 << 20) const {
    return ObjectCache::Open(folder_, most_bytes).ValueOrDie();
  }
  std::vector<fs::path> Files() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.is_regular_file()) files.push_back(entry.path());
    }
    return files;
  }
  int64_t Bytes() const {
    const auto files = Files();
    return std::accumulate(files.begin(), files.end(), int64_t{0},
                           [](int64_t sum, const auto& file) {
                             return sum + static_cast<int64_t>(fs::file_size(file));
                           });
  }

  fs::path folder_;
};

const FileBytes kBytes{1, 2, 3, 4, 5};
const std::string kName = ObjectCache::Name("", "s3://bucket/a", 1, 5);

TEST_F(ObjectCacheTest, GivesWhatWasPut) {
  FileBytes bytes{9};
  EXPECT_FALSE(Open()->Get(kName, &bytes));
  Open()->Put(kName, kBytes);
  ASSERT_TRUE(Open()->Get(kName, &bytes));
  EXPECT_EQ(bytes, kBytes);
  Open()->Put(kName, {});
  ASSERT_TRUE(Open()->Get(kName, &bytes));
  EXPECT_TRUE(bytes.empty());
  EXPECT_EQ(Files().size(), 1u);
}

TEST_F(ObjectCacheTest, NamesTellStatesAndSizesApart) {
  const std::string all[] = {kName, ObjectCache::Name("", "s3://bucket/a", 2, 5),
                             ObjectCache::Name("", "s3://bucket/a", 1, 6),
                             ObjectCache::Name("", "s3://bucket/b", 1, 5)};
  for (const std::string& one : all) EXPECT_EQ(std::ranges::count(all, one), 1);
}

TEST_F(ObjectCacheTest, DoesNotBelieveWhatIsDamaged) {
  for (const int damage : {0, 1, 2}) {
    Open()->Put(kName, kBytes);
    const fs::path file = Files().at(0);
    if (damage == 0) fs::resize_file(file, fs::file_size(file) - 1);
    if (damage == 1) fs::resize_file(file, 3);
    if (damage == 2) {
      std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
      stream.seekp(2);
      stream.put(7);
    }
    FileBytes bytes;
    EXPECT_FALSE(Open()->Get(kName, &bytes)) << damage;
    EXPECT_TRUE(Files().empty()) << damage;
  }
}

TEST_F(ObjectCacheTest, ForgetsWhatWasNotUsedForLongest) {
  constexpr int64_t kMost = 100'000;
  const FileBytes thousand(1'000, 7);
  const auto name = [](int i) {
    return ObjectCache::Name("", "s3://bucket/" + std::to_string(i), 1, 1);
  };
  const auto cache = Open(kMost);
  FileBytes bytes;
  cache->Put(name(0), thousand);
  for (const fs::path& file : Files()) {
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(2));
  }
  ASSERT_TRUE(cache->Get(name(0), &bytes));  // used now, and again and again
  for (int i = 1; i < 500; ++i) {
    cache->Put(name(i), thousand);
    if (i % 5 == 0) {
      ASSERT_TRUE(cache->Get(name(0), &bytes)) << i;
    }
    ASSERT_LE(Bytes(), kMost) << i;
  }
  EXPECT_FALSE(cache->Get(name(1), &bytes));
  EXPECT_TRUE(cache->Get(name(499), &bytes));
  EXPECT_GT(Bytes(), kMost / 2);
  // What would fill most of it is not kept at all.
  cache->Put(kName, FileBytes(kMost / 2));
  EXPECT_FALSE(cache->Get(kName, &bytes));
}

TEST_F(ObjectCacheTest, LeavesOthersFilesAlone) {
  fs::create_directories(folder_ / "ab");
  const fs::path mine[] = {folder_ / "thesis.tex", folder_ / "ab" / "photo.jpg"};
  for (const fs::path& file : mine) {
    std::ofstream(file) << std::string(2'000, 'x');
    fs::last_write_time(file, fs::file_time_type::clock::now() - std::chrono::hours(2));
  }
  const auto cache = Open(20'000);
  for (int i = 0; i < 100; ++i) {
    cache->Put(ObjectCache::Name("", std::to_string(i), 1, 1), FileBytes(1'000, 7));
  }
  for (const fs::path& file : mine) EXPECT_EQ(fs::file_size(file), 2'000u);
}

TEST_F(ObjectCacheTest, AnEntryIsWorthNothingUnderAnotherName) {
  const std::string other = ObjectCache::Name("", "s3://bucket/b", 1, 5);
  Open()->Put(kName, kBytes);
  const fs::path file = Files().at(0);
  const fs::path place = file.parent_path().parent_path() / other.substr(0, 2);
  fs::create_directories(place);
  fs::rename(file, place / other.substr(2));
  FileBytes bytes;
  EXPECT_FALSE(Open()->Get(other, &bytes));
}

TEST_F(ObjectCacheTest, RemovesWhatKilledWritersLeft) {
  const auto cache = Open(100'000);
  const fs::path old = folder_ / "pomona-objects/writing-1-0",
                 young = folder_ / "pomona-objects/writing-2-0";
  for (const fs::path& file : {old, young}) std::ofstream(file) << "half";
  fs::last_write_time(old, fs::file_time_type::clock::now() - std::chrono::hours(2));
  cache->Put(kName, kBytes);
  EXPECT_FALSE(fs::exists(old));
  EXPECT_TRUE(fs::exists(young));
}

TEST_F(ObjectCacheTest, AFolderThatIsNoneIsAnError) {
  std::ofstream(folder_.string()) << "a file";
  const auto cache = ObjectCache::Open(folder_, 1 << 20);
  EXPECT_TRUE(cache.status().IsIOError());
  EXPECT_NE(cache.status().message().find(folder_.string()), std::string::npos);
}

}  // namespace
}  // namespace pomona
