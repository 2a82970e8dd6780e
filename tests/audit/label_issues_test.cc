#include "label_issues.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace pomona::audit {
namespace {

// Rows along two axes, by their labels' names; the second number turns them a little.
PublishedRows RowsOf(const std::vector<std::pair<std::string, std::pair<int, int>>>& rows) {
  PublishedRows made;
  made.dimensions = 2;
  for (const auto& [label, place] : rows) {
    const auto known = std::ranges::find(made.label_names, label);
    made.labels.push_back(static_cast<uint32_t>(known - made.label_names.begin()));
    if (known == made.label_names.end()) made.label_names.push_back(label);
    const float turn = 0.01F * static_cast<float>(place.second);
    const float along = std::sqrt(1 - turn * turn);
    made.short_vectors.push_back(place.first == 0 ? along : turn);
    made.short_vectors.push_back(place.first == 0 ? turn : along);
    made.norms.push_back(1);
  }
  return made;
}

std::vector<LabelVerdict> Judge(const PublishedRows& rows, int neighbours) {
  const Tiles tiles(rows.short_vectors, rows.dimensions);
  return JudgeLabels(rows, tiles, neighbours, 2, Cpu::kBest, {}, [](int64_t) {}).ValueOrDie();
}

TEST(LabelIssuesTest, FindsTheImageAmongOthersOfAnotherLabel) {
  std::vector<std::pair<std::string, std::pair<int, int>>> given;
  for (int i = 0; i < 6; ++i) given.push_back({"kiwi", {0, i}});
  for (int i = 0; i < 6; ++i) given.push_back({"plum", {1, i}});
  given.push_back({"plum", {0, 3}});
  const PublishedRows rows = RowsOf(given);
  const auto verdicts = Judge(rows, 3);
  for (size_t row = 0; row < 12; ++row) {
    EXPECT_FALSE(verdicts[row].is_issue) << row;
    EXPECT_EQ(verdicts[row].suggested_label, rows.labels[row]);
    EXPECT_LT(verdicts[row].label_distance, *verdicts[row].nearest_label_distance);
  }
  const LabelVerdict& wrong = verdicts.back();
  EXPECT_TRUE(wrong.is_issue);
  EXPECT_EQ(rows.label_names[wrong.suggested_label], "kiwi");
  EXPECT_EQ(rows.label_names[wrong.nearest_label], "kiwi");
  EXPECT_GT(wrong.label_distance, *wrong.nearest_label_distance);
  EXPECT_EQ(wrong.agreement, 0);
  EXPECT_EQ(wrong.score, 0);
}

// Two thirds for another label are no issue where that label's own images are surer of it.
TEST(LabelIssuesTest, AsksForAsMuchAsTheOtherLabelsOwnImagesHave) {
  std::vector<std::pair<std::string, std::pair<int, int>>> given;
  for (int i = 0; i < 5; ++i) given.push_back({"kiwi", {0, i}});
  for (int i = 0; i < 5; ++i) given.push_back({"plum", {0, 20 + i}});
  given.push_back({"plum", {0, 6}});
  given.push_back({"plum", {0, 7}});
  const auto verdicts = Judge(RowsOf(given), 3);
  const LabelVerdict& near = verdicts[10];
  EXPECT_EQ(near.suggested_label, 0u);
  EXPECT_NEAR(*near.agreement, 1.0 / 3, 1e-15);
  EXPECT_NEAR(near.score, 1.0 / 3, 1e-15);
  EXPECT_FALSE(near.is_issue);
}

// Whatever the number of the other label's images: votes are compared exactly.
TEST(LabelIssuesTest, AsMuchAsTheOtherLabelsOwnImagesHaveIsEnough) {
  for (int kiwis = 4; kiwis <= 40; ++kiwis) {
    std::vector<std::pair<std::string, std::pair<int, int>>> given(kiwis, {"kiwi", {0, 0}});
    for (int i = 0; i < 5; ++i) given.push_back({"plum", {1, i}});
    given.push_back({"plum", {0, 1}});
    const auto verdicts = Judge(RowsOf(given), 3);
    EXPECT_EQ(verdicts.back().agreement, 0) << kiwis;
    EXPECT_TRUE(verdicts.back().is_issue) << kiwis;
  }
}

// The nearest of more labels than are compared at a time, and its distance.
TEST(LabelIssuesTest, FindsTheNearestOfManyLabels) {
  std::vector<std::pair<std::string, std::pair<int, int>>> given;
  for (int i = 0; i < 1000; ++i) given.push_back({"label " + std::to_string(i), {i % 2, i / 20}});
  const PublishedRows rows = RowsOf(given);
  const auto verdicts = Judge(rows, 1);
  for (size_t row = 0; row < rows.size(); ++row) {
    // A label's only image is its centroid; of equal distances, the first label's.
    std::vector<double> distances;
    for (size_t other = 0; other < rows.size(); ++other) {
      const float* const a = rows.short_vectors.data() + 2 * row;
      const float* const b = rows.short_vectors.data() + 2 * other;
      distances.push_back(other == row ? 2 : 1 - (double{a[0]} * b[0] + double{a[1]} * b[1]));
    }
    const auto nearest = std::ranges::min_element(distances);
    EXPECT_NEAR(*verdicts[row].nearest_label_distance, *nearest, 1e-7) << row;
    EXPECT_NEAR(distances[verdicts[row].nearest_label], *nearest, 1e-7) << row;
    EXPECT_NEAR(verdicts[row].label_distance, 0, 1e-7) << row;
  }
}

TEST(LabelIssuesTest, WhatCannotBeJudgedIsNoIssue) {
  const auto verdicts = Judge(RowsOf({{"", {0, 0}},
                                      {"kiwi", {0, 1}},
                                      {"kiwi", {0, 2}},
                                      {"plum", {0, 3}},  // the only one
                                      {"", {0, 4}}}),
                              4);
  for (const size_t row : {size_t{0}, size_t{3}, size_t{4}}) {
    EXPECT_FALSE(verdicts[row].is_issue);
    EXPECT_EQ(verdicts[row].score, 1);
    EXPECT_EQ(verdicts[row].agreement, std::nullopt);
  }
  EXPECT_EQ(verdicts[1].agreement, 0.25);
  // The only image of a label is nobody's model.
  for (const LabelVerdict& verdict :
       Judge(RowsOf({{"kiwi", {0, 0}}, {"kiwi", {1, 0}}, {"plum", {0, 1}}}), 1)) {
    EXPECT_FALSE(verdict.is_issue);
  }
  // One label, one image.
  EXPECT_EQ(Judge(RowsOf({{"kiwi", {0, 0}}}), 10)[0].nearest_label, kNoLabel);
  for (const LabelVerdict& verdict : Judge(RowsOf({{"kiwi", {0, 0}}, {"kiwi", {1, 0}}}), 10)) {
    EXPECT_EQ(verdict.nearest_label, kNoLabel);
    EXPECT_EQ(verdict.nearest_label_distance, std::nullopt);
    EXPECT_EQ(verdict.agreement, 1);
    EXPECT_FALSE(verdict.is_issue);
    EXPECT_EQ(verdict.score, 1);
  }
  // Neighbours without a label are for none.
  const auto beside = Judge(RowsOf({{"kiwi", {0, 0}}, {"kiwi", {1, 0}}, {"", {0, 1}}}), 10);
  EXPECT_EQ(beside[0].agreement, 0.5);
  EXPECT_EQ(beside[0].score, 0.75);
  EXPECT_FALSE(beside[0].is_issue);
}

}  // namespace
}  // namespace pomona::audit
