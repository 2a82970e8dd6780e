#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>  // jpeglib.h takes FILE and size_t for granted
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>

#include <jpeglib.h>

#include "pomona/sample.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

// A folder of its own for each test, empty at first.
class SampleTree : public testing::Test {
 protected:
  SampleTree()
      : root_(fs::path(testing::TempDir()) /
              (std::string("pomona_sample_") +
               testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(root_);
  }
  ~SampleTree() override { fs::remove_all(root_); }

  std::string Dir(const std::string& name) const { return (root_ / name).string(); }

  // Bytes of the tree's files by the path below `dir`.
  std::map<std::string, std::string> Files(const std::string& dir) const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(Dir(dir))) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      files[fs::relative(entry.path(), Dir(dir)).string()] =
          std::string(std::istreambuf_iterator<char>(file), {});
    }
    return files;
  }

  fs::path root_;
};

std::map<std::string, int> CountByLabel(const std::map<std::string, std::string>& files) {
  std::map<std::string, int> counts;
  for (const auto& [path, bytes] : files) ++counts[fs::path(path).parent_path().filename()];
  return counts;
}

TEST_F(SampleTree, HasTheSameBytesWhateverTheThreads) {
  ASSERT_TRUE(WriteSampleTree(Dir("one"), 60, 1).ok());
  ASSERT_TRUE(WriteSampleTree(Dir("five"), 60, 5).ok());
  EXPECT_EQ(Files("one"), Files("five"));
}

TEST_F(SampleTree, PicturesDoNotDependOnHowManyThereAre) {
  ASSERT_TRUE(WriteSampleTree(Dir("few"), 17, 2).ok());
  ASSERT_TRUE(WriteSampleTree(Dir("many"), 50, 2).ok());
  const auto many = Files("many");
  for (const auto& [path, bytes] : Files("few")) {
    ASSERT_TRUE(many.contains(path)) << path;
    EXPECT_EQ(bytes, many.at(path)) << path;
  }
}

TEST_F(SampleTree, SpreadsImagesEvenlyOverTwelveLabels) {
  ASSERT_TRUE(WriteSampleTree(Dir("tree"), 100, 2).ok());
  const auto counts = CountByLabel(Files("tree"));
  EXPECT_EQ(counts.size(), 12u);
  int total = 0, apples = 0;
  for (const auto& [label, count] : counts) {
    EXPECT_TRUE(count == 8 || count == 9) << label << ": " << count;
    total += count;
    apples += label.starts_with("Apple ");
  }
  EXPECT_EQ(total, 100);
  EXPECT_EQ(apples, 4);
}

TEST_F(SampleTree, NamesFilesAsFruits360Does) {
  ASSERT_TRUE(WriteSampleTree(Dir("tree"), 13, 1).ok());
  const auto files = Files("tree");
  EXPECT_TRUE(files.contains("Training/Apple Braeburn/0_100.jpg"));
  EXPECT_TRUE(files.contains("Training/Apple Braeburn/1_100.jpg"));
  EXPECT_TRUE(files.contains("Training/Banana/0_100.jpg"));
}

TEST_F(SampleTree, NoTwoPicturesAreAlike) {
  ASSERT_TRUE(WriteSampleTree(Dir("tree"), 12 * 102, 2).ok());
  std::set<std::string> contents;
  for (const auto& [path, bytes] : Files("tree")) contents.insert(bytes);
  EXPECT_EQ(contents.size(), 12u * 102);
}

TEST_F(SampleTree, PicturesDecodeTo100x100FruitOnWhite) {
  ASSERT_TRUE(WriteSampleTree(Dir("tree"), 24, 2).ok());
  for (const auto& [path, bytes] : Files("tree")) {
    SCOPED_TRACE(path);
    EXPECT_GT(bytes.size(), 1500u);
    EXPECT_LT(bytes.size(), 10000u);

    jpeg_decompress_struct jpeg;
    jpeg_error_mgr errors;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&jpeg);
    jpeg_mem_src(&jpeg, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    ASSERT_EQ(jpeg_read_header(&jpeg, TRUE), JPEG_HEADER_OK);
    ASSERT_TRUE(jpeg_start_decompress(&jpeg));
    ASSERT_EQ(jpeg.output_width, 100u);
    ASSERT_EQ(jpeg.output_height, 100u);
    ASSERT_EQ(jpeg.output_components, 3);
    std::string pixels(100 * 100 * 3, '\0');
    while (jpeg.output_scanline < 100) {
      JSAMPROW row = reinterpret_cast<JSAMPROW>(&pixels[jpeg.output_scanline * 300]);
      jpeg_read_scanlines(&jpeg, &row, 1);
    }
    EXPECT_EQ(errors.num_warnings, 0);
    jpeg_finish_decompress(&jpeg);
    jpeg_destroy_decompress(&jpeg);

    const auto brightness = [&](int row, int column) {
      const char* pixel = &pixels[(row * 100 + column) * 3];
      return static_cast<uint8_t>(pixel[0]) + static_cast<uint8_t>(pixel[1]) +
             static_cast<uint8_t>(pixel[2]);
    };
    for (const int corner : {0, 99}) EXPECT_GT(brightness(corner, corner), 3 * 245);
    int fruit = 0;
    for (int i = 0; i < 100 * 100; ++i) fruit += brightness(i / 100, i % 100) < 3 * 230;
    EXPECT_GT(fruit, 1000);
    EXPECT_LT(fruit, 9000);
  }
}

TEST_F(SampleTree, LeavesItsOwnPicturesAlone) {
  ASSERT_TRUE(WriteSampleTree(Dir("tree"), 24, 2).ok());
  const std::string banana = Dir("tree") + "/Training/Banana/1_100.jpg";
  const auto long_ago = fs::last_write_time(banana) - std::chrono::hours(48);
  fs::last_write_time(banana, long_ago);
  EXPECT_EQ(*WriteSampleTree(Dir("tree"), 12, 2), 24);
  EXPECT_EQ(*WriteSampleTree(Dir("tree"), 36, 2), 36);
  EXPECT_EQ(fs::last_write_time(banana), long_ago);
  ASSERT_TRUE(WriteSampleTree(Dir("new"), 36, 2).ok());
  EXPECT_TRUE(Files("tree") == Files("new"));
}

TEST_F(SampleTree, CompletesWhatAnInterruptedCallLeft) {
  ASSERT_TRUE(WriteSampleTree(Dir("tree"), 24, 2).ok());
  const auto before = Files("tree");
  fs::resize_file(Dir("tree") + "/Training/Banana/0_100.jpg", 1000);
  fs::resize_file(Dir("tree") + "/Training/Banana/1_100.jpg", 0);
  fs::remove_all(Dir("tree") + "/Training/Kiwi");
  EXPECT_EQ(*WriteSampleTree(Dir("tree"), 24, 2), 24);
  EXPECT_TRUE(Files("tree") == before);
}

// Where anything is not the sample's, nothing at all is written.
TEST_F(SampleTree, RefusesFoldersThatHoldAnythingElse) {
  const struct {
    const char* path;
    const char* content;
  } kCases[] = {
      {"Training/Banana/0_100.jpg", "a real banana"},
      {"Training/Banana/300_100.jpg", "a real banana"},  // beyond what would be written
      {"Training/Banana/01_100.jpg", ""},
      {"Training/Banana/-1_100.jpg", ""},
      {"Training/Banana/IMG_2041.jpg", "a real banana"},
      {"Training/Cherry/0_100.jpg", "a cherry"},
      {"Training/readme.txt", ""},
      {"Test/Banana/0_100.jpg", "a real banana"},
      {"notes.txt", "precious"},
  };
  for (const auto& [path, content] : kCases) {
    SCOPED_TRACE(path);
    const std::string dir = Dir("case");
    fs::remove_all(dir);
    const fs::path file = fs::path(dir) / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << content;
    const auto before = Files("case");
    const arrow::Status status = WriteSampleTree(dir, 24, 2).status();
    EXPECT_TRUE(status.IsInvalid()) << status;
    EXPECT_TRUE(status.message().starts_with(dir + " holds " + dir)) << status;
    EXPECT_TRUE(Files("case") == before);  // without printing them
  }
}

TEST_F(SampleTree, RefusesLinksThatLeadOutOfTheFolder) {
  fs::create_directories(Dir("real"));
  fs::create_directories(Dir("tree"));
  fs::create_directory_symlink(Dir("real"), Dir("tree") + "/Training");
  EXPECT_TRUE(WriteSampleTree(Dir("tree"), 12, 1).status().IsInvalid());
  EXPECT_TRUE(fs::is_empty(Dir("real")));
}

TEST_F(SampleTree, SaysWhichFolderCannotBeMade) {
  fs::create_directories(root_);
  std::ofstream(Dir("file")) << "in the way";
  const arrow::Status status = WriteSampleTree(Dir("file"), 12, 2).status();
  EXPECT_TRUE(status.IsIOError()) << status;
  EXPECT_NE(status.message().find(Dir("file") + "/Training"), std::string::npos) << status;
}

TEST_F(SampleTree, SaysWhatIsInTheWay) {
  const std::string path = Dir("tree") + "/Training/Banana/0_100.jpg";
  fs::create_directories(path);  // a folder where a picture should go
  const arrow::Status status = WriteSampleTree(Dir("tree"), 12, 2).status();
  EXPECT_TRUE(status.IsInvalid()) << status;
  EXPECT_NE(status.message().find(path), std::string::npos) << status;
}

TEST_F(SampleTree, RefusesNonsense) {
  EXPECT_TRUE(WriteSampleTree(Dir("tree"), 0, 1).status().IsInvalid());
  EXPECT_TRUE(WriteSampleTree(Dir("tree"), 12, -1).status().IsInvalid());
}

}  // namespace
}  // namespace pomona
