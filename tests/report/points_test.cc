#include "report/points.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

// The PCA of so many images under three labels, of which the second has one: two components, as CSV
// in two parts.
class ReportPoints : public testing::Test {
 protected:
  void Write(int images) {
    images_ = images;
    const std::string folder = output_ / "pca/csv/pca_r";
    fs::create_directories(folder);
    for (int part = 0; part < 2; ++part) {
      std::ofstream file(folder + "/part-0000" + std::to_string(part) + ".csv");
      file << "path,label,pca_features_string\n";
      for (int i = part * images / 2; i < (part + 1) * images / 2; ++i) {
        file << Path(i) << ',' << Label(i) << ",\"" << i << ",-" << i << ".5\"\n";
      }
    }
  }

  static std::string Label(int i) { return i == 7 ? "b" : i < 7 ? "a" : "c"; }
  static std::string Path(int i) {
    return "/tree/" + Label(i) + '/' + std::to_string(10000 + i) + ".png";
  }

  Points Read(const ReportLimits& limits, bool with_paths = true) {
    const RunTables tables({PublishedFiles(output_.path())}, "r");
    auto points = ReadPoints(tables, images_, 2, with_paths, limits, {});
    EXPECT_TRUE(points.ok()) << points.status();
    return *std::move(points);
  }

  std::string Paths(const Points& points) {
    std::string text(size_t{1} << 20, '\0');
    uLongf size = text.size();
    EXPECT_EQ(uncompress(reinterpret_cast<Bytef*>(text.data()), &size, points.paths.data(),
                         points.paths.size()),
              Z_OK);
    text.resize(size);
    return text;
  }

  const TempFolder output_;
  int images_ = 0;
};

TEST_F(ReportPoints, AreTheRowsOfTheTable) {
  Write(40);
  const Points points = Read({});
  EXPECT_EQ(points.rows, 40);
  EXPECT_EQ(points.count, 40u);
  EXPECT_EQ(points.label_names, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(points.label_counts, (std::vector<int64_t>{7, 1, 32}));
  std::string paths;
  for (int i = 0; i < 40; ++i) {
    const auto at = static_cast<size_t>(i);
    EXPECT_EQ(points.scores[0][at], static_cast<float>(i));
    EXPECT_EQ(points.scores[1][at], -static_cast<float>(i) - 0.5f);
    EXPECT_EQ(points.label_names[points.labels[at]], Label(i));
    paths += Path(i) + '\0';
  }
  EXPECT_EQ(points.path_count, 40u);
  EXPECT_EQ(Paths(points), paths);
}

TEST_F(ReportPoints, WithoutPathsNoneIsNamed) {
  Write(40);
  const Points points = Read({}, /*with_paths=*/false);
  EXPECT_EQ(points.path_count, 0u);
  EXPECT_TRUE(points.pictured.empty());
  EXPECT_EQ(points.count, 40u);
}

TEST_F(ReportPoints, AboveTheLimitAreThoseWithTheLowestHashes) {
  Write(2000);
  const ReportLimits limits{.points = 500};
  const Points points = Read(limits);
  EXPECT_EQ(points.rows, 2000);
  EXPECT_EQ(points.label_counts, (std::vector<int64_t>{7, 1, 1992}));
  EXPECT_LT(points.count, 500u);
  EXPECT_GT(points.count, 250u);
  std::vector<uint64_t> hashes;
  for (int i = 0; i < 2000; ++i) hashes.push_back(HashOf(Path(i)));
  std::ranges::sort(hashes);
  for (const float score : points.scores[0]) {
    EXPECT_LT(HashOf(Path(static_cast<int>(score))), hashes[points.count]);
  }
  EXPECT_TRUE(std::ranges::is_sorted(points.scores[0]));
}

TEST_F(ReportPoints, PicturesAreEvenlyManyOfEachLabel) {
  Write(40);
  const Points points = Read({.pictures = 9});
  std::map<std::string, int> counts;
  for (const PicturedPoint& pictured : points.pictured) {
    EXPECT_EQ(pictured.path, Path(static_cast<int>(pictured.point)));
    ++counts[points.label_names[points.labels[pictured.point]]];
  }
  EXPECT_EQ(counts, (std::map<std::string, int>{{"a", 3}, {"b", 1}, {"c", 3}}));
  EXPECT_EQ(Read({.pictures = 2}).pictured.size(), 2u);
}

TEST_F(ReportPoints, LabelsBeyondTheLimitAreOne) {
  Write(40);
  const Points points = Read({.labels = 2});
  EXPECT_EQ(points.label_names, (std::vector<std::string>{"a", "b", "(other labels)"}));
  EXPECT_EQ(points.label_counts, (std::vector<int64_t>{7, 1, 32}));
  EXPECT_EQ(points.distinct_labels, 3);
  EXPECT_EQ(Read({.labels = 1}).distinct_labels, 3);
  EXPECT_EQ(Read({}).distinct_labels, 3);
}

TEST_F(ReportPoints, PathsEndWhereTheirRoomDoes) {
  Write(2000);
  const Points points = Read({.path_bytes = 1});
  EXPECT_GT(points.path_count, 0u);
  EXPECT_LT(points.path_count, 2000u);
  EXPECT_EQ(points.count, 2000u);
}

}  // namespace
}  // namespace pomona
