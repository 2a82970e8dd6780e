#include "audit_section.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base64.h"
#include "store/layout.h"
#include "store/part_reader.h"

namespace pomona {
namespace {

// Rows of a table, each with a picture at its left, and bytes of the pictures of one table.
constexpr size_t kMostRows = 300;
constexpr size_t kMostPictureBytes = 600'000;

// Pictures beside an image's own, in so many rows of a table.
constexpr size_t kNearest = 3;
constexpr size_t kMostRowsBeside = 50;

using Row = std::vector<std::string>;

struct Shown {
  const char* headline;  // what its rows are, beside their number
  const char* title;
  const OutputFolder& folder;
  std::vector<std::string> columns;  // of the table
  std::vector<size_t> picked;        // to be shown, by place; the path is the first
  const char* issue;                 // the column that says whether to show a row; null: all
  const char* score;                 // the lowest come first; null: as they stand
  // Adds the fields of the last columns, which are not in the table; null: all are.
  size_t added = 0;
  void (*add)(Row* row) = nullptr;
};

size_t PlaceOf(const Shown& table, std::string_view column) {
  return static_cast<size_t>(std::ranges::find(table.columns, column) - table.columns.begin());
}

// 0 where it is no number, as in a damaged table.
double NumberOf(const std::string& text) {
  double number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Which issues an image has beside its duplicates, which stand in their own table, and the lowest of
// their scores; and whether there are any.
void AddIssues(Row* row) {
  std::string names, lowest;
  for (size_t i = 0; i < kImageIssueNames.size(); ++i) {
    const std::string_view issue = kImageIssueNames[i];
    const std::string &score = (*row)[2 + 2 * i], &verdict = (*row)[3 + 2 * i];
    if (verdict != "true" || issue.ends_with("duplicates")) continue;
    names.append(names.empty() ? "" : ", ").append(issue);
    if (lowest.empty() || NumberOf(score) < NumberOf(lowest)) lowest = score;
  }
  const bool any = !names.empty();
  row->insert(row->end(), {std::move(names), std::move(lowest), any ? "true" : "false"});
}

std::vector<Shown> Tables() {
  std::vector<std::string> issues = {"path", "label"};
  for (const std::string_view issue : kImageIssueNames) {
    issues.push_back(ScoreColumn(issue));
    issues.push_back(VerdictColumn(issue));
  }
  issues.insert(issues.end(), {"issues", "lowest_score", "is_issue"});
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
           "label_score"},
          {"images that are dark, blurred, odd",
           "Image issues, the worst first",
           kImageIssues,
           std::move(issues),
           {0, 1, 20, 21},
           "is_issue",
           "lowest_score",
           3,
           AddIssues}};
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
    Row row(fields.begin(), fields.end());
    if (table.add) table.add(&row);
    if (table.issue && row[PlaceOf(table, table.issue)] != "true") return cancel.Check();
    ++rows.count;
    if (!table.score && rows.first.size() == kMostRows) return cancel.Check();
    rows.first.push_back(std::move(row));
    if (rows.first.size() == 2 * kMostRows) {
      sort();
      rows.first.resize(kMostRows);
    }
    return cancel.Check();
  };
  ARROW_RETURN_NOT_OK(
      ForEachCsvRow(audits, path, static_cast<int>(table.columns.size() - table.added), take));
  sort();
  if (rows.first.size() > kMostRows) rows.first.resize(kMostRows);
  return rows;
}

// Of some images the nearest others, that first, by the table of them.
struct Nearest {
  std::vector<std::string> paths = {};
  std::string text = {};  // labels and distances
};
using NearestOf = std::unordered_map<std::string, Nearest>;

// Whether the audit was asked for them.
arrow::Result<bool> HasNearest(const PublishedFiles& audits, const std::string& run_id) {
  const std::string path = kRunInfo.Path(run_id) + '/' + PartName(0, "json");
  ARROW_ASSIGN_OR_RAISE(const Json info, ReadObject(audits, path));
  const Json knn = info.value("/options/knn"_json_pointer, Json());
  return knn.is_number_integer() && knn != 0;
}

// `nearest` has the paths of the images.
arrow::Status ReadNearest(const PublishedFiles& audits, const std::string& run_id,
                          CancelToken cancel, NearestOf* nearest) {
  enum Place { kPath, kLabel, kRank, kNeighbour, kNeighbourLabel, kDistance, kColumns };
  const auto take = [&](std::span<const std::string_view> fields) -> arrow::Status {
    const auto found = nearest->find(std::string(fields[kPath]));
    if (found == nearest->end() || found->second.paths.size() == kNearest) return cancel.Check();
    Nearest& of = found->second;
    of.paths.emplace_back(fields[kNeighbour]);
    of.text.append(of.text.empty() ? "" : ", ")
        .append(fields[kNeighbourLabel])
        .append(" ")
        .append(Text("distance", std::string(fields[kDistance])));
    return cancel.Check();
  };
  return ForEachCsvRow(audits, kNeighbours.Path(run_id) + '/' + PartName(0, "csv"), kColumns, take);
}

}  // namespace

arrow::Result<Section> GatherAudit(const PublishedFiles& audits, const std::string& run_id,
                                   const ReadPicture& read, int threads, CancelToken cancel) {
  Section section{
      .id = "audit",
      .title = "Audit",
      .intro =
          "What the features say about the images: which are there twice, which "
          "are unlike all others, which labels look wrong, and what is odd about pictures."};
  std::vector<Shown> tables;
  std::vector<Rows> rows;
  for (Shown& table : Tables()) {
    if (&table.folder == &kImageIssues) {  // of which earlier versions made none
      ARROW_ASSIGN_OR_RAISE(const bool exists, audits.Exists(SuccessOf(table.folder, run_id)));
      if (!exists) continue;
    }
    ARROW_ASSIGN_OR_RAISE(rows.emplace_back(), ReadRows(audits, run_id, table, cancel));
    tables.push_back(std::move(table));
  }
  NearestOf nearest;
  ARROW_ASSIGN_OR_RAISE(const bool has_nearest, HasNearest(audits, run_id));
  if (has_nearest) {
    for (const Rows& of : rows) {
      for (const Row& row : of.first) nearest.try_emplace(row.front());
    }
    ARROW_RETURN_NOT_OK(ReadNearest(audits, run_id, cancel, &nearest));
  }
  const size_t beside = has_nearest ? kNearest : 0;
  for (size_t t = 0; t < tables.size(); ++t) {
    const Shown& table = tables[t];
    // Of each row the image, and those nearest to it.
    std::vector<std::string> paths;
    for (size_t i = 0; i < rows[t].first.size(); ++i) {
      const std::string& path = rows[t].first[i].front();
      paths.push_back(path);
      if (i < kMostRowsBeside) std::ranges::copy(nearest[path].paths, std::back_inserter(paths));
      paths.resize((i + 1) * (beside + 1));
    }
    std::vector<Pictured> pictures(paths.size());
    if (read) {
      ARROW_ASSIGN_OR_RAISE(pictures, MakePictures(paths, read, threads, threads, cancel));
    }
    size_t picture_bytes = 0;
    std::vector<Json> shown_pictures(pictures.size());
    const auto show = [&](size_t at) {
      const auto& thumbnail = pictures[at].thumbnail;
      if (!thumbnail || picture_bytes + thumbnail->size() > kMostPictureBytes) return;
      picture_bytes += thumbnail->size();
      shown_pictures[at] = Base64(*thumbnail);
    };
    // First each row's own.
    for (size_t at = 0; at < pictures.size(); at += beside + 1) show(at);
    for (size_t at = 0; at < pictures.size(); ++at) {
      if (at % (beside + 1) != 0) show(at);
    }
    Json shown = Json::array();
    for (size_t i = 0; i < rows[t].first.size(); ++i) {
      const Row& row = rows[t].first[i];
      const size_t at = i * (beside + 1);
      Json line = Json::array();
      for (size_t k = 0; k <= beside; ++k) line.push_back(std::move(shown_pictures[at + k]));
      if (has_nearest) line.push_back(nearest[row.front()].text);
      for (const size_t place : table.picked) {
        line.push_back(Text(table.columns[place], row[place]));
      }
      shown.push_back(std::move(line));
    }
    std::vector<Column> columns = {{"picture", kPicture}};
    for (size_t other = 1; other <= beside; ++other) {
      columns.push_back({"nearest " + std::to_string(other), kPicture});
    }
    if (has_nearest) columns.push_back({"of the nearest: label, distance"});
    for (const size_t place : table.picked) columns.push_back({table.columns[place]});
    const int64_t rest = rows[t].count - std::ssize(rows[t].first);
    section.headlines.push_back(Headline(rows[t].count, table.headline, kCount));
    section.blocks.push_back(Table(table.title, columns, std::move(shown),
                                   rest > 0 ? "and " + std::to_string(rest) + " more" : ""));
  }
  return section;
}

}  // namespace pomona
