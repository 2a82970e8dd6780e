#include "audit_section.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base64.h"
#include "store/layout.h"
#include "store/part_reader.h"

namespace pomona {
namespace {

// Rows of a table, each with a picture at its left, and bytes of the pictures of all.
constexpr size_t kMostRows = 300;
constexpr size_t kMostPictureBytes = 1'600'000;

using Row = std::vector<std::string>;

struct Shown {
  const char* headline;  // what its rows are, beside their number
  const char* title;
  const OutputFolder& folder;
  std::vector<const char*> columns;  // of the table
  std::vector<size_t> picked;        // to be shown, by place; the path is the first
  const char* issue;                 // the column that says whether to show a row; null: all
  const char* score;                 // the lowest come first; null: as they stand
};

std::vector<Shown> Tables() {
  return {{"images in groups of duplicates",
           "Duplicates: groups with several labels first",
           kDuplicates,
           {"path", "label", "group", "representative", "distance", "kind", "label_conflict"},
           {0, 1, 2, 4, 5, 6},
           nullptr,
           nullptr},
          {"of them in several parts of the data set",
           "Duplicates in several parts of the data set",
           kSplitLeaks,
           {"path", "label", "split", "group", "representative", "distance", "kind"},
           {0, 1, 2, 3, 5, 6},
           nullptr,
           nullptr},
          {"outliers",
           "Outliers, the furthest first",
           kOutliers,
           {"path", "label", "residual", "mahalanobis", "outlier_score", "is_outlier_issue"},
           {0, 1, 2, 3, 4},
           "is_outlier_issue",
           "outlier_score"},
          {"labels that look wrong",
           "Labels that look wrong, the worst first",
           kLabelIssues,
           {"path", "label", "label_distance", "nearest_label", "nearest_label_distance",
            "neighbour_agreement", "suggested_label", "label_score", "is_label_issue"},
           {0, 1, 6, 3, 5, 7},
           "is_label_issue",
           "label_score"}};
}

size_t PlaceOf(const Shown& table, std::string_view column) {
  return static_cast<size_t>(std::ranges::find(table.columns, column) - table.columns.begin());
}

// 0 where it is no number, as in a damaged table.
double NumberOf(const std::string& text) {
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

bool IsNumber(std::string_view column) {
  return column.ends_with("distance") || column.ends_with("score") ||
         column.ends_with("agreement") || column == "residual" || column == "mahalanobis";
}

// Four digits of a number are enough to look at.
std::string Text(std::string_view column, const std::string& field) {
  if (!IsNumber(column)) return field;
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", NumberOf(field));
  return text;
}

struct Rows {
  std::vector<Row> first;
  int64_t count = 0;
};

arrow::Result<Rows> ReadRows(const PublishedFiles& audits, const std::string& run_id,
                             const Shown& table, CancelToken cancel) {
  Rows rows;
  const std::string path = table.folder.Path(run_id) + '/' + PartName(0, "csv");
  const auto sort = [&] {
    if (!table.score) return;
    const size_t score = PlaceOf(table, table.score);
    std::ranges::stable_sort(rows.first, {}, [&](const Row& row) { return NumberOf(row[score]); });
  };
  const auto take = [&](std::span<const std::string_view> fields) -> arrow::Status {
    if (table.issue && fields[PlaceOf(table, table.issue)] != "true") return cancel.Check();
    ++rows.count;
    if (!table.score && rows.first.size() == kMostRows) return cancel.Check();
    rows.first.emplace_back(fields.begin(), fields.end());
    if (rows.first.size() == 2 * kMostRows) {
      sort();
      rows.first.resize(kMostRows);
    }
    return cancel.Check();
  };
  ARROW_RETURN_NOT_OK(ForEachCsvRow(audits, path, static_cast<int>(table.columns.size()), take));
  sort();
  if (rows.first.size() > kMostRows) rows.first.resize(kMostRows);
  return rows;
}

}  // namespace

arrow::Result<Section> GatherAudit(const PublishedFiles& audits, const std::string& run_id,
                                   const ReadPicture& read, int threads, CancelToken cancel) {
  Section section{.id = "audit",
                  .title = "Audit",
                  .intro =
                      "What the features say about the images: which are there twice, which "
                      "are unlike all others, which labels look wrong."};
  size_t picture_bytes = 0;
  for (const Shown& table : Tables()) {
    ARROW_ASSIGN_OR_RAISE(const Rows rows, ReadRows(audits, run_id, table, cancel));
    std::vector<Pictured> pictures(rows.first.size());
    if (read) {
      std::vector<std::string> paths;
      for (const Row& row : rows.first) paths.push_back(row.front());
      ARROW_ASSIGN_OR_RAISE(pictures, MakePictures(paths, read, threads, threads, cancel));
    }
    Json shown = Json::array();
    for (size_t i = 0; i < rows.first.size(); ++i) {
      Json line = Json::array({nullptr});
      const auto& thumbnail = pictures[i].thumbnail;
      if (thumbnail && picture_bytes + thumbnail->size() <= kMostPictureBytes) {
        picture_bytes += thumbnail->size();
        line[0] = Base64(*thumbnail);
      }
      for (const size_t place : table.picked) {
        line.push_back(Text(table.columns[place], rows.first[i][place]));
      }
      shown.push_back(std::move(line));
    }
    std::vector<Column> columns = {{"picture", kPicture}};
    for (const size_t place : table.picked) columns.push_back({table.columns[place]});
    const int64_t rest = rows.count - std::ssize(rows.first);
    section.headlines.push_back(Headline(rows.count, table.headline, kCount));
    section.blocks.push_back(Table(table.title, columns, std::move(shown),
                                   rest > 0 ? "and " + std::to_string(rest) + " more" : ""));
  }
  return section;
}

}  // namespace pomona
