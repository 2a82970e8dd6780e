// Rows of features on the disk, for those that are asked for again in no order that is known before.
#pragma once

#include <arrow/result.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "page_buffer.h"

namespace pomona::audit {

// A file without a name, which goes with this.
//
// Threads: writing of different rows from any number; reading by a Reader each, once all is written.
class RowFile {
 public:
  // At `path` for a moment. width: numbers in a row.
  static arrow::Result<RowFile> Create(const std::string& path, size_t width);
  // In the folder for temporary files.
  static arrow::Result<RowFile> CreateTemporary(size_t width);
  ~RowFile();
  RowFile(RowFile&& other) noexcept;
  RowFile& operator=(RowFile&&) = delete;

  size_t width() const { return width_; }

  // Row after row, from this one on.
  arrow::Status Write(size_t first_row, std::span<const float> rows) const;

  // Keeps some of the rows that it read last.
  class Reader {
   public:
    explicit Reader(const RowFile& file);

    // Good until the next call.
    arrow::Result<const float*> Read(uint32_t row);

   private:
    const RowFile& file_;
    std::vector<uint32_t> kept_;  // the row that lies in each place
    PageBuffer rows_;             // of which only what is read is touched
  };

 private:
  RowFile(int fd, std::string path, size_t width);

  int fd_;
  std::string path_;
  size_t width_;
};

}  // namespace pomona::audit
