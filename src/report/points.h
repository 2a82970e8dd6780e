// The rows of a run as points, as many as a page holds.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "packed.h"
#include "pomona/cancel.h"
#include "tables.h"

namespace pomona {

// What a page holds at most; all of it is said in the page.
struct ReportLimits {
  int64_t points = 1'000'000;
  int64_t exact_points = 100'000;  // up to so many, scores are those of the table; above, steps
  int components = 10;
  size_t labels = 65'535;         // told apart; the others are one
  size_t path_bytes = 1'500'000;  // deflated
  size_t pictures = 2000;
  size_t picture_bytes = 2'400'000;
  size_t table_rows = 500;
};

// A number that a path always has, and that nobody would call a pattern.
uint64_t HashOf(std::string_view path);

// A point whose picture is to be shown.
struct PicturedPoint {
  uint64_t hash;
  uint32_t point;
  std::string path;
};

struct Points {
  int64_t rows = 0;                        // of the table
  size_t count = 0;                        // of them here, in their order
  std::vector<std::vector<float>> scores;  // of each component
  std::vector<uint16_t> labels;            // of each point, an index of label_names
  std::vector<std::string> label_names;    // in the order of their first rows
  std::vector<int64_t> label_counts;       // of all rows
  int64_t distinct_labels = 0;             // above limits.labels the last name is all others
  Bytes paths;                             // of the first points, each ended by a 0, deflated
  size_t path_count = 0;
  std::vector<PicturedPoint> pictured;  // evenly many of each label
};

// Reads the PCA's rows. `with_paths`: else neither paths nor pictured points.
// Above limits.points, those points are here whose paths have the lowest hashes.
arrow::Result<Points> ReadPoints(const RunTables& tables, int64_t rows, int components,
                                 bool with_paths, const ReportLimits& limits, CancelToken cancel);

}  // namespace pomona
