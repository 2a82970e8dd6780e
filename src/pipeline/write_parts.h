// Stored fragments -> part files.
#pragma once

#include <arrow/result.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "plan.h"
#include "pomona/options.h"
#include "pomona/pca.h"
#include "store/fragment.h"
#include "store/item_spool.h"
#include "store/work_folder.h"
#include "vector_formats.h"

namespace pomona {

// An extracted run: the fragments in the work folder, and what is written of them.
struct ExtractedRun {
  const std::vector<ListedFragment>& fragments;
  const ItemSpool& items;
  WorkFolder& work;
  const RunOptions& options;
  int dimensions;                                 // of the features
  std::map<std::string, std::string> provenance;  // for the metadata of Parquet files
  std::string recipe;                             // what the features depend on beside the items

  size_t parts() const;

  arrow::Result<StoredFragment> OpenFragment(size_t fragment) const;
};

// A run as it was planned. All but the result outlive it.
ExtractedRun ExtractedRunOf(const Plan& plan, const ItemSpool& items, WorkFolder& work);

// A part file holds the rows of options.part_rows / options.fragment_items fragments.
size_t PartCount(const RunOptions& options, size_t fragments);

// The number of each part's first row in the run, where the fragments have so many rows.
std::vector<int64_t> FirstRows(const RunOptions& options, std::span<const int64_t> fragment_rows);

struct PartRows;

// Writes all parts of the features in the formats asked for, of the metadata and of the record of
// items: a task for each format, and one for all that is told of the items. Tasks of one part share
// its rows, which are opened once.
//
// Threads: each task on any.
class FeatureWriter {
 public:
  // `first_rows`: of each part, the number of its first row in the run; outlives this. `rows_done`
  // grows by one for each row of each file of vectors.
  FeatureWriter(const ExtractedRun& run, std::span<const int64_t> first_rows,
                std::atomic<int64_t>* rows_done);
  ~FeatureWriter();

  size_t files() const { return formats_.size() + 1; }  // tasks of a part
  size_t tasks() const { return parts_.size() * files(); }
  arrow::Status Write(size_t task);

 private:
  struct Part {
    std::mutex mutex;
    std::shared_ptr<const PartRows> rows;  // from the first task's call to the last one's
    size_t to_come = 0;                    // tasks that have not asked for them
  };
  arrow::Result<std::shared_ptr<const PartRows>> RowsOf(size_t part);

  const ExtractedRun& run_;
  const std::span<const int64_t> first_rows_;
  std::atomic<int64_t>* const rows_done_;
  const std::vector<const VectorFormat*> formats_;
  std::vector<Part> parts_;
};

// Writes one part of the projections, in the formats asked for.
arrow::Status WriteProjections(const ExtractedRun& run, const Pca& pca, size_t part,
                               std::atomic<int64_t>* rows_done);

}  // namespace pomona
