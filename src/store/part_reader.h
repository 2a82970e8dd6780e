// Published parts, read back: the counterpart of the sinks.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "published_files.h"

namespace pomona {

// Consecutive rows of a part. The vectors are float32 or float64, as the part has them; a part
// without vectors (metadata) has neither, and in Parquet numbers its rows.
struct RowBlock {
  std::vector<std::string> paths;
  std::vector<std::string> labels;
  std::vector<float> floats;
  std::vector<double> doubles;
  std::vector<int64_t> ids;

  size_t rows() const { return paths.size(); }
};

// Reads a part from its beginning to its end, holding a block at a time.
//
// Threads: one caller at a time.
// Errors: name the file: one that cannot be read, or is not what the sinks write.
class PartReader {
 public:
  virtual ~PartReader() = default;

  // The next rows; none at the end. The blocks of parts with the same rows have the same rows.
  virtual arrow::Status Read(RowBlock* block) = 0;
};

// Checks the checksums of the pages. `dimensions`: of the vectors, in the last column; 0 where there
// are none.
arrow::Result<std::unique_ptr<PartReader>> OpenParquetPart(const PublishedFiles& files,
                                                           const std::string& path, int dimensions);

// `dimensions` is 0 where the file has two columns only.
arrow::Result<std::unique_ptr<PartReader>> OpenCsvPart(const PublishedFiles& files,
                                                       const std::string& path, int dimensions);

// Of the features of a run's part, in whichever format it has them, and the path below the output.
arrow::Result<std::unique_ptr<PartReader>> OpenFeaturesPart(const PublishedFiles& files,
                                                            const std::string& run_id, size_t part,
                                                            int dimensions, std::string* path);

// Hands over the fields of each row below the header of a CSV file of ours, one after another.
// Errors: `use`'s, too.
using UseCsvRow = std::function<arrow::Status(std::span<const std::string_view> fields)>;
arrow::Status ForEachCsvRow(const PublishedFiles& files, const std::string& path, int columns,
                            const UseCsvRow& use);

// The rows of a CSV file below its header, and those of a Parquet file.
arrow::Result<int64_t> CountCsvRows(const PublishedFiles& files, const std::string& path);
arrow::Result<int64_t> CountParquetRows(const PublishedFiles& files, const std::string& path);

}  // namespace pomona
