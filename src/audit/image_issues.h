// What is wrong with images, by CleanVision's names, definitions and thresholds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "duplicates.h"
#include "published_rows.h"
#include "store/layout.h"

namespace pomona::audit {

// Nothing where the run does not tell.
struct ImageIssue {
  std::optional<double> score;  // in [0, 1], low for issues
  std::optional<bool> is_issue;
};

// Threads: any number may judge.
class ImageIssueJudge {
 public:
  // rows: outlives this.
  ImageIssueJudge(const PublishedRows& rows, const std::vector<DuplicateGroup>& groups);

  // By place in kImageIssueNames.
  std::array<ImageIssue, kImageIssueNames.size()> Judge(size_t row) const;

 private:
  const PublishedRows* rows_;
  std::vector<uint32_t> exact_;  // of each row: how many images are this one, itself among them
  std::vector<uint32_t> near_;   // and how many are near it; 1 where all of these are the same
  // The size that none lies further from, and by how much less than the score's 1 another may be.
  double middle_ = 0;
  double scale_ = 1;
  double least_size_score_ = 0;
};

}  // namespace pomona::audit
