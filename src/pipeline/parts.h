// Stored fragments -> part files.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "pomona/options.h"
#include "pomona/pca.h"
#include "store/fragment.h"
#include "store/workspace.h"
#include "tasks.h"

namespace pomona {

using Task = std::function<arrow::Status()>;

// What the writers of parts read.
struct RunContent {
  const std::vector<Item>& items;
  const std::vector<FragmentRange>& fragments;
  Workspace& workspace;
  const RunOptions& options;
  std::map<std::string, std::string> provenance;  // for the metadata of Parquet files
  std::string recipe;                             // what the features depend on beside the items

  // The fragments of one part: options.part_rows / options.fragment_items of them.
  size_t parts() const;
  FragmentRange Part(size_t part) const;  // begin, end: fragments

  arrow::Result<StoredFragment> Fragment(size_t fragment) const;
};

// Tasks that write all parts of the features, in the formats asked for, of the metadata and of
// the record of items.
// `rows_done` grows by one for each row of each vector file. Tasks refer to their arguments.
std::vector<Task> FeatureTasks(const RunContent& content, int dimensions,
                               std::atomic<int64_t>* rows_done);

// The same for the PCA's projections.
std::vector<Task> PcaTasks(const RunContent& content, const Pca& pca,
                           std::atomic<int64_t>* rows_done);

// errors_{id}: a row for each reject, in path order. Closes `out`.
arrow::Status WriteErrors(const RunContent& content, arrow::io::OutputStream* out);

}  // namespace pomona
