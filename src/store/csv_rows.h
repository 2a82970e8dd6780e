// The rows of a CSV file of ours, read back.
#pragma once

#include <arrow/csv/parser.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "published_files.h"

namespace pomona {

// Goes through the rows below the header, by Arrow's parser: its readers of files wait for ever for a
// thread that cannot be had.
//
// Threads: one caller at a time. Errors: Invalid where it is no CSV of ours; IOError. They do not name
// the file.
class CsvRows {
 public:
  static arrow::Result<CsvRows> Open(const PublishedFiles& files, const std::string& path);

  // As the header has them.
  size_t columns() const { return columns_.size(); }

  // Goes on to the next row. False: there is none.
  arrow::Result<bool> Next();

  // Of the row, until the next one.
  std::string_view Field(size_t column) const { return columns_[column][row_]; }

 private:
  CsvRows() = default;

  arrow::Status ParseBlock();

  std::shared_ptr<arrow::io::RandomAccessFile> file_;
  std::unique_ptr<arrow::csv::BlockParser> parser_;  // holds the block's text
  int64_t block_bytes_ = 0;
  std::string unparsed_;
  bool at_end_ = false;  // of the file
  std::vector<std::vector<std::string_view>> columns_;
  size_t rows_ = 0;  // of the block
  size_t row_ = 0;
};

}  // namespace pomona
