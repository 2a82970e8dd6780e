#include "tables.h"

#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "pomona/sink.h"
#include "sink/row_builder.h"
#include "store/layout.h"

namespace pomona::audit {
namespace {

// A Parquet row group, and what is written to the CSV at once.
constexpr int64_t kRowsAtOnce = 20480;

// A table with all that is asked of it: columns, and which of them repeat their values.
struct Table {
  const OutputFolder& csv;
  const OutputFolder& parquet;
  std::shared_ptr<arrow::Schema> schema;
  std::vector<std::string> repeating;
};

class TableWriter {
 public:
  static arrow::Result<TableWriter> Create(const Table& table, WorkFolder& work) {
    ARROW_ASSIGN_OR_RAISE(auto rows, RowBuilder::Make(table.schema));
    ARROW_ASSIGN_OR_RAISE(auto csv, work.CreatePart(table.csv, 0, "csv"));
    ARROW_ASSIGN_OR_RAISE(auto file, work.CreatePart(table.parquet, 0, "parquet"));
    ARROW_ASSIGN_OR_RAISE(auto parquet,
                          MakeTableSink(std::move(file), table.schema, table.repeating));
    TableWriter writer(std::move(rows), std::move(csv), std::move(parquet));
    for (const auto& field : table.schema->fields()) writer.text_.Field(field->name());
    writer.text_.EndRow();
    return writer;
  }

  template <typename... Values>
  arrow::Status Append(const Values&... values) {
    (text_.Field(values), ...);
    text_.EndRow();
    ARROW_RETURN_NOT_OK(rows_.Append(values...));
    return rows_.rows() < kRowsAtOnce ? arrow::Status::OK() : Flush();
  }

  arrow::Status Finish() {
    ARROW_RETURN_NOT_OK(Flush());
    ARROW_RETURN_NOT_OK(csv_->Close());
    return parquet_->Finish();
  }

 private:
  TableWriter(RowBuilder rows, std::shared_ptr<arrow::io::OutputStream> csv,
              std::unique_ptr<TableSink> parquet)
      : rows_(std::move(rows)), csv_(std::move(csv)), parquet_(std::move(parquet)) {}

  arrow::Status Flush() {
    ARROW_RETURN_NOT_OK(csv_->Write(text_.text()));
    text_.clear();
    ARROW_ASSIGN_OR_RAISE(const auto batch, rows_.Flush());
    return parquet_->Append(batch);
  }

  RowBuilder rows_;
  CsvBuilder text_;
  std::shared_ptr<arrow::io::OutputStream> csv_;
  std::unique_ptr<TableSink> parquet_;
};

std::string_view KindOf(const DuplicateGroup::Member& member) {
  return member.same_bytes ? "same_bytes" : member.same_pixels ? "same_pixels" : "near";
}

}  // namespace

arrow::Status WriteDuplicates(const PublishedRows& rows, std::span<const DuplicateGroup> groups,
                              WorkFolder& work) {
  const Table table = {
      kDuplicates,
      kDuplicatesParquet,
      arrow::schema(
          {arrow::field("path", arrow::utf8()), arrow::field("label", arrow::utf8()),
           arrow::field("group", arrow::int64()), arrow::field("representative", arrow::utf8()),
           arrow::field("distance", arrow::float64()), arrow::field("kind", arrow::utf8()),
           arrow::field("label_conflict", arrow::boolean())}),
      {"label", "representative", "kind"}};
  ARROW_ASSIGN_OR_RAISE(auto writer, TableWriter::Create(table, work));
  for (size_t g = 0; g < groups.size(); ++g) {
    const DuplicateGroup& group = groups[g];
    const std::string_view representative = rows.paths[group.members.front().row];
    for (const DuplicateGroup::Member& member : group.members) {
      ARROW_RETURN_NOT_OK(writer.Append(rows.paths[member.row], rows.label(member.row),
                                        static_cast<int64_t>(g), representative, member.distance,
                                        KindOf(member), group.label_conflict));
    }
  }
  return writer.Finish();
}

arrow::Status WriteSplitLeaks(const PublishedRows& rows, std::span<const DuplicateGroup> groups,
                              WorkFolder& work) {
  const Table table = {
      kSplitLeaks,
      kSplitLeaksParquet,
      arrow::schema({arrow::field("path", arrow::utf8()), arrow::field("label", arrow::utf8()),
                     arrow::field("split", arrow::utf8()), arrow::field("group", arrow::int64()),
                     arrow::field("representative", arrow::utf8()),
                     arrow::field("distance", arrow::float64()),
                     arrow::field("kind", arrow::utf8())}),
      {"label", "split", "representative", "kind"}};
  ARROW_ASSIGN_OR_RAISE(auto writer, TableWriter::Create(table, work));
  for (size_t g = 0; g < groups.size(); ++g) {
    const DuplicateGroup& group = groups[g];
    if (!group.split_leak) continue;
    const std::string_view representative = rows.paths[group.members.front().row];
    for (size_t i = 0; i < group.members.size(); ++i) {
      const DuplicateGroup::Member& member = group.members[i];
      ARROW_RETURN_NOT_OK(writer.Append(rows.paths[member.row], rows.label(member.row),
                                        group.splits[i], static_cast<int64_t>(g), representative,
                                        member.distance, KindOf(member)));
    }
  }
  return writer.Finish();
}

arrow::Status WriteOutliers(const PublishedRows& rows, const OutlierScores& outliers,
                            WorkFolder& work) {
  const Table table = {
      kOutliers,
      kOutliersParquet,
      arrow::schema({arrow::field("path", arrow::utf8()), arrow::field("label", arrow::utf8()),
                     arrow::field("residual", arrow::float64()),
                     arrow::field("mahalanobis", arrow::float64()),
                     arrow::field("outlier_score", arrow::float64()),
                     arrow::field("is_outlier_issue", arrow::boolean())}),
      {"label"}};
  ARROW_ASSIGN_OR_RAISE(auto writer, TableWriter::Create(table, work));
  for (size_t row = 0; row < rows.size(); ++row) {
    const double score = outliers.scores[row];
    ARROW_RETURN_NOT_OK(writer.Append(rows.paths[row], rows.label(row), rows.residual[row],
                                      rows.mahalanobis[row], score, score < OutlierScores::kIssue));
  }
  return writer.Finish();
}

arrow::Status WriteLabelIssues(const PublishedRows& rows, std::span<const LabelVerdict> verdicts,
                               WorkFolder& work) {
  const Table table = {
      kLabelIssues,
      kLabelIssuesParquet,
      arrow::schema({arrow::field("path", arrow::utf8()), arrow::field("label", arrow::utf8()),
                     arrow::field("label_distance", arrow::float64()),
                     arrow::field("nearest_label", arrow::utf8()),
                     arrow::field("nearest_label_distance", arrow::float64()),
                     arrow::field("neighbour_agreement", arrow::float64()),
                     arrow::field("suggested_label", arrow::utf8()),
                     arrow::field("label_score", arrow::float64()),
                     arrow::field("is_label_issue", arrow::boolean())}),
      {"label", "nearest_label", "suggested_label"}};
  ARROW_ASSIGN_OR_RAISE(auto writer, TableWriter::Create(table, work));
  for (size_t row = 0; row < rows.size(); ++row) {
    const LabelVerdict& verdict = verdicts[row];
    const std::string_view nearest = verdict.nearest_label == kNoLabel
                                         ? std::string_view()
                                         : rows.label_names[verdict.nearest_label];
    ARROW_RETURN_NOT_OK(writer.Append(rows.paths[row], rows.label(row), verdict.label_distance,
                                      nearest, verdict.nearest_label_distance, verdict.agreement,
                                      rows.label_names[verdict.suggested_label], verdict.score,
                                      verdict.is_issue));
  }
  return writer.Finish();
}

arrow::Status WriteImageIssues(const PublishedRows& rows, const ImageIssueJudge& judge,
                               WorkFolder& work) {
  Table table = {
      kImageIssues,
      kImageIssuesParquet,
      arrow::schema({arrow::field("path", arrow::utf8()), arrow::field("label", arrow::utf8())}),
      {"label"}};
  arrow::FieldVector fields = table.schema->fields();
  for (const std::string_view name : kImageIssueNames) {
    fields.push_back(arrow::field(ScoreColumn(name), arrow::float64()));
    fields.push_back(arrow::field(VerdictColumn(name), arrow::boolean()));
  }
  table.schema = arrow::schema(std::move(fields));
  ARROW_ASSIGN_OR_RAISE(auto writer, TableWriter::Create(table, work));
  for (size_t row = 0; row < rows.size(); ++row) {
    const auto append = [&](const auto&... issues) {
      return std::apply(
          [&](const auto&... values) { return writer.Append(values...); },
          std::tuple_cat(std::tuple(rows.paths[row], std::string_view(rows.label(row))),
                         std::tuple(issues.score, issues.is_issue)...));
    };
    ARROW_RETURN_NOT_OK(std::apply(append, judge.Judge(row)));
  }
  return writer.Finish();
}

arrow::Status WriteNeighbours(const PublishedRows& rows, const Neighbours& neighbours,
                              WorkFolder& work) {
  const Table table = {
      kNeighbours,
      kNeighboursParquet,
      arrow::schema({arrow::field("path", arrow::utf8()), arrow::field("label", arrow::utf8()),
                     arrow::field("rank", arrow::int64()), arrow::field("neighbour", arrow::utf8()),
                     arrow::field("neighbour_label", arrow::utf8()),
                     arrow::field("distance", arrow::float64())}),
      {"path", "label", "neighbour_label"}};
  ARROW_ASSIGN_OR_RAISE(auto writer, TableWriter::Create(table, work));
  for (size_t row = 0; row < rows.size(); ++row) {
    for (size_t i = 0; i < neighbours.count; ++i) {
      const size_t at = row * neighbours.count + i;
      const uint32_t other = neighbours.rows[at];
      ARROW_RETURN_NOT_OK(writer.Append(rows.paths[row], rows.label(row),
                                        static_cast<int64_t>(i + 1), rows.paths[other],
                                        rows.label(other), neighbours.distances[at]));
    }
  }
  return writer.Finish();
}

}  // namespace pomona::audit
