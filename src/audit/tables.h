// The tables of an audit.
#pragma once

#include <arrow/status.h>

#include <span>

#include "duplicates.h"
#include "image_issues.h"
#include "label_issues.h"
#include "neighbours.h"
#include "outliers.h"
#include "published_rows.h"
#include "store/work_folder.h"

namespace pomona::audit {

// Each writes its table as CSV and as Parquet.
arrow::Status WriteDuplicates(const PublishedRows& rows, std::span<const DuplicateGroup> groups,
                              WorkFolder& work);
// Groups keep the numbers that they have there.
arrow::Status WriteSplitLeaks(const PublishedRows& rows, std::span<const DuplicateGroup> groups,
                              WorkFolder& work);
arrow::Status WriteOutliers(const PublishedRows& rows, const OutlierScores& outliers,
                            WorkFolder& work);
arrow::Status WriteLabelIssues(const PublishedRows& rows, std::span<const LabelVerdict> verdicts,
                               WorkFolder& work);
arrow::Status WriteImageIssues(const PublishedRows& rows, const ImageIssueJudge& judge,
                               WorkFolder& work);
arrow::Status WriteNeighbours(const PublishedRows& rows, const Neighbours& neighbours,
                              WorkFolder& work);

}  // namespace pomona::audit
