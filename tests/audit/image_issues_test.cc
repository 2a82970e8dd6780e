#include "image_issues.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace pomona::audit {
namespace {

ImageProperties ImageOf(int width, int height, const char* mode = "RGB") {
  ImageProperties image;
  image.mode = NameOf(mode);
  image.width = width;
  image.height = height;
  return image;
}

PublishedRows RowsOf(std::vector<ImageProperties> images) {
  PublishedRows rows;
  rows.norms.resize(images.size());
  rows.images = std::move(images);
  return rows;
}

ImageIssue IssueOf(const PublishedRows& rows, size_t row, std::string_view name,
                   const std::vector<DuplicateGroup>& groups = {}) {
  const auto place = std::ranges::find(kImageIssueNames, name) - kImageIssueNames.begin();
  return ImageIssueJudge(rows, groups).Judge(row)[static_cast<size_t>(place)];
}

TEST(ImageIssues, ShapeAndModeNeedNoStatistics) {
  const PublishedRows rows =
      RowsOf({ImageOf(100, 100), ImageOf(100, 34), ImageOf(35, 100, "L"), ImageOf(100, 35, "LA")});
  EXPECT_EQ(IssueOf(rows, 0, "odd_aspect_ratio").score, 1.0);
  EXPECT_EQ(IssueOf(rows, 1, "odd_aspect_ratio").score, 0.34);
  EXPECT_EQ(IssueOf(rows, 1, "odd_aspect_ratio").is_issue, true);
  EXPECT_EQ(IssueOf(rows, 2, "odd_aspect_ratio").is_issue, false);
  EXPECT_EQ(IssueOf(rows, 2, "grayscale").score, 0.0);
  EXPECT_EQ(IssueOf(rows, 2, "grayscale").is_issue, true);
  EXPECT_EQ(IssueOf(rows, 3, "grayscale").is_issue, false);
  for (const char* name : {"dark", "light", "low_information", "blurry"}) {
    EXPECT_EQ(IssueOf(rows, 0, name).score, std::nullopt) << name;
    EXPECT_EQ(IssueOf(rows, 0, name).is_issue, std::nullopt) << name;
  }
}

TEST(ImageIssues, SizesOutsideTheFencesAreOdd) {
  // Sizes 10 to 14: quartiles 11 and 13, fences at 5 and 19.
  std::vector<ImageProperties> images;
  for (int side = 10; side <= 14; ++side) images.push_back(ImageOf(side, side));
  EXPECT_NEAR(*IssueOf(RowsOf(images), 2, "odd_size").score, 1, 1e-12);
  EXPECT_NEAR(*IssueOf(RowsOf(images), 4, "odd_size").score, 1 - 2.0 / 14, 1e-12);
  EXPECT_EQ(IssueOf(RowsOf(images), 4, "odd_size").is_issue, false);
  images.back() = ImageOf(40, 40);  // the quartiles stay
  EXPECT_EQ(IssueOf(RowsOf(images), 4, "odd_size").is_issue, true);
  EXPECT_EQ(IssueOf(RowsOf(images), 4, "odd_size").score, 0.0);

  // Where most are of one size, any other is odd.
  images.assign(9, ImageOf(25, 25));
  EXPECT_EQ(IssueOf(RowsOf(images), 0, "odd_size").is_issue, false);
  images.push_back(ImageOf(25, 26));
  EXPECT_EQ(IssueOf(RowsOf(images), 0, "odd_size").is_issue, false);
  EXPECT_EQ(IssueOf(RowsOf(images), 9, "odd_size").is_issue, true);
}

TEST(ImageIssues, OfStatistics) {
  ImageProperties image = ImageOf(10, 10);
  ImageStatistics& statistics = image.statistics;
  statistics.kind = static_cast<int64_t>(StatsKind::kBasic);
  statistics.brightness_percentiles = {0.1, 0.96, 0.2, 0.3, 0.4, 0.5, 0.31};
  statistics.entropy = 2.5;
  EXPECT_EQ(IssueOf(RowsOf({image}), 0, "dark").score, 0.31);
  EXPECT_EQ(IssueOf(RowsOf({image}), 0, "dark").is_issue, true);
  EXPECT_EQ(IssueOf(RowsOf({image}), 0, "light").is_issue, true);
  EXPECT_EQ(IssueOf(RowsOf({image}), 0, "low_information").score, 0.25);
  EXPECT_EQ(IssueOf(RowsOf({image}), 0, "low_information").is_issue, true);
  EXPECT_EQ(IssueOf(RowsOf({image}), 0, "blurry").score, std::nullopt);

  statistics.kind = static_cast<int64_t>(StatsKind::kFull);
  statistics.brightness_percentiles = {0.1, 0.95, 0.2, 0.3, 0.4, 0.5, 0.32};
  statistics.entropy = 11;
  statistics.blurriness = 20;
  statistics.blurriness_grayscale_std = 19.8;  // 1 - exp(-0.198) is below 0.18
  EXPECT_EQ(IssueOf(RowsOf({image}), 0, "dark").is_issue, false);
  EXPECT_EQ(IssueOf(RowsOf({image}), 0, "light").is_issue, false);
  EXPECT_EQ(IssueOf(RowsOf({image}), 0, "low_information").score, 1.0);
  EXPECT_NEAR(*IssueOf(RowsOf({image}), 0, "blurry").score, 0.18126924692201815, 1e-14);
  EXPECT_EQ(IssueOf(RowsOf({image}), 0, "blurry").is_issue, true);
  statistics.blurriness_grayscale_std = 20;  // and that of -0.2 is not
  EXPECT_NEAR(*IssueOf(RowsOf({image}), 0, "blurry").score, 2 * 0.18126924692201815, 1e-14);
  EXPECT_EQ(IssueOf(RowsOf({image}), 0, "blurry").is_issue, false);
  statistics.blurriness = 5000;
  EXPECT_EQ(IssueOf(RowsOf({image}), 0, "blurry").score, 1.0);
}

TEST(ImageIssues, DuplicatesAreTheGroupsOfTheAudit) {
  std::vector<ImageProperties> images(6, ImageOf(10, 10));
  for (uint8_t i = 0; i < images.size(); ++i) images[i].content_sha256 = {i};
  images[3].content_sha256 = images[0].content_sha256;
  images[5].content_sha256 = images[4].content_sha256;
  // 0, 2 and 3 are near, two of them one file; 4 and 5 are one file only.
  std::vector<DuplicateGroup> groups(2);
  for (const uint32_t row : {0, 2, 3}) groups[0].members.push_back({.row = row});
  for (const uint32_t row : {4, 5}) groups[1].members.push_back({.row = row});
  const PublishedRows rows = RowsOf(images);
  const double exact[] = {0.5, 1, 1, 0.5, 0.5, 0.5}, near[] = {1.0 / 3, 1, 1.0 / 3, 1.0 / 3, 1, 1};
  for (size_t row = 0; row < rows.size(); ++row) {
    const ImageIssue is_exact = IssueOf(rows, row, "exact_duplicates", groups);
    EXPECT_EQ(is_exact.score, exact[row]) << row;
    EXPECT_EQ(is_exact.is_issue, exact[row] < 1) << row;
    const ImageIssue is_near = IssueOf(rows, row, "near_duplicates", groups);
    EXPECT_EQ(is_near.score, near[row]) << row;
    EXPECT_EQ(is_near.is_issue, near[row] < 1) << row;
  }
}

TEST(ImageIssues, OfNoImages) { EXPECT_NO_THROW(ImageIssueJudge(RowsOf({}), {})); }

}  // namespace
}  // namespace pomona::audit
