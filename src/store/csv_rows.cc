#include "csv_rows.h"

#include <arrow/buffer.h>
#include <arrow/csv/options.h>

#include <algorithm>
#include <iterator>

#include "layout.h"

namespace pomona {
namespace {

// Of all tables that are read back, but for the columns of kImageIssueNames.
constexpr std::string_view kColumns[] = {
    "path", "label", "features_string", "pca_features_string",
    // errors
    "stage", "reason", "message",
    // duplicates and split_leaks
    "group", "representative", "distance", "kind", "label_conflict", "split",
    // outliers
    "residual", "mahalanobis", "outlier_score", "is_outlier_issue",
    // label_issues
    "label_distance", "nearest_label", "nearest_label_distance", "neighbour_agreement",
    "suggested_label", "label_score", "is_label_issue",
    // neighbours
    "rank", "neighbour", "neighbour_label"};

bool IsOurs(std::string_view column) {
  return std::ranges::find(kColumns, column) != std::end(kColumns) ||
         std::ranges::any_of(kImageIssueNames, [&](std::string_view issue) {
           return column == ScoreColumn(issue) || column == VerdictColumn(issue);
         });
}

}  // namespace

arrow::Result<CsvRows> CsvRows::Open(const PublishedFiles& files, const std::string& path) {
  CsvRows rows;
  ARROW_ASSIGN_OR_RAISE(rows.file_, files.OpenFile(path));
  rows.block_bytes_ = files.read_bytes();
  auto options = arrow::csv::ParseOptions::Defaults();
  options.newlines_in_values = true;  // in paths
  options.ignore_empty_lines = false;
  rows.parser_ = std::make_unique<arrow::csv::BlockParser>(options);
  ARROW_RETURN_NOT_OK(rows.ParseBlock());
  if (rows.rows_ == 0) return arrow::Status::Invalid("no header");
  const bool ours = std::ranges::all_of(
      rows.columns_, [](const std::vector<std::string_view>& column) { return IsOurs(column[0]); });
  if (!ours) return arrow::Status::Invalid("other columns");
  return rows;
}

arrow::Result<bool> CsvRows::Next() {
  // The first row of all is the header.
  if (++row_ < rows_) return true;
  row_ = 0;
  ARROW_RETURN_NOT_OK(ParseBlock());
  return rows_ > 0;
}

// The rows that the file goes on with; none at its end.
arrow::Status CsvRows::ParseBlock() {
  rows_ = 0;
  while (rows_ == 0 && !(at_end_ && unparsed_.empty())) {
    if (!at_end_ && std::ssize(unparsed_) < block_bytes_) {
      ARROW_ASSIGN_OR_RAISE(const auto read, file_->Read(block_bytes_));
      at_end_ = read->size() == 0;
      unparsed_ += std::string_view(*read);
    }
    if (unparsed_.empty()) continue;
    uint32_t parsed = 0;
    ARROW_RETURN_NOT_OK(at_end_ ? parser_->ParseFinal(unparsed_, &parsed)
                                : parser_->Parse(unparsed_, &parsed));
    rows_ = static_cast<size_t>(parser_->num_rows());
    if (parsed == 0 && (at_end_ || std::ssize(unparsed_) >= block_bytes_)) {
      return arrow::Status::Invalid("a row without an end");
    }
    unparsed_.erase(0, parsed);
  }
  columns_.resize(rows_ > 0 ? static_cast<size_t>(parser_->num_cols()) : columns_.size());
  for (size_t c = 0; c < columns_.size(); ++c) {
    columns_[c].clear();
    if (rows_ == 0) continue;
    const auto take = [&](const uint8_t* data, uint32_t size, bool, bool) {
      columns_[c].emplace_back(reinterpret_cast<const char*>(data), size);
      return arrow::Status::OK();
    };
    ARROW_RETURN_NOT_OK(parser_->VisitColumn(static_cast<int32_t>(c), take));
  }
  return arrow::Status::OK();
}

}  // namespace pomona
