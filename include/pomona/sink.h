// Rows -> part files: Parquet and CSV.
#pragma once

#include <arrow/array.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>
#include <arrow/type_fwd.h>

#include <concepts>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pomona {

// How a vector stands in Parquet.
enum class VectorLayout {
  kFixed,  // as kList, and the file's Arrow schema says fixed_size_list<element: float>[dimensions]
  kList,   // list<element: float>
  kSpark,  // the struct of Spark MLlib's VectorUDT, in float64, read back as a `vector` column
};

// What the rows of a part are.
struct VectorTable {
  std::string column;  // "features" or "pca_features"; the CSV's column is column + "_string"
  int dimensions = 0;
  VectorLayout layout = VectorLayout::kFixed;
  std::map<std::string, std::string> metadata;  // for the file's key-value metadata (Parquet)
};

// Writes one part: rows of (path, label, vector).
//
// Paths and labels of all rows are given at creation, since Parquet stores column after column;
// the vectors follow in blocks, so memory is bounded by one block whatever the part's size.
//
// Threads: one caller at a time.
// Errors: after the first failure, the sink is only good for destruction.
class VectorSink {
 public:
  virtual ~VectorSink() = default;

  // The vectors of the next rows, float32 or float64, `dimensions` values each, without nulls.
  // Keeps no reference to them after returning.
  virtual arrow::Status Append(const arrow::FixedSizeListArray& vectors) = 0;

  // Writes what is left and closes the stream.
  // REQUIRES: vectors of all rows were appended (Invalid otherwise); called at most once.
  virtual arrow::Status Finish() = 0;
};

// One row group; zstd, page checksums, plain encoding of the values: all that Spark 3.5 reads. With
// a page index, and no vector in two pages.
arrow::Result<std::unique_ptr<VectorSink>> MakeParquetSink(
    std::shared_ptr<arrow::io::OutputStream> out, const VectorTable& table,
    std::shared_ptr<arrow::StringArray> paths, std::shared_ptr<arrow::StringArray> labels);

// RFC 4180 with LF line ends; the vector is one quoted field, its float32 numbers joined by commas,
// each the shortest text that reads back as the same float32.
arrow::Result<std::unique_ptr<VectorSink>> MakeCsvSink(std::shared_ptr<arrow::io::OutputStream> out,
                                                       const VectorTable& table,
                                                       std::shared_ptr<arrow::StringArray> paths,
                                                       std::shared_ptr<arrow::StringArray> labels);

// The numbers of a vector as they stand in CSV, without the quotes.
void AppendVectorText(std::span<const float> vector, std::string* text);

// Writes a table without vectors to Parquet, a row group for each batch.
//
// Threads, errors: as for VectorSink.
class TableSink {
 public:
  virtual ~TableSink() = default;

  // REQUIRES: the batch has the table's schema. Keeps no reference to it after returning.
  virtual arrow::Status Append(const std::shared_ptr<arrow::RecordBatch>& batch) = 0;

  // Closes the stream. REQUIRES: called at most once.
  virtual arrow::Status Finish() = 0;
};

// Compressed, checked and indexed as by MakeParquetSink(). `repeating`: the columns whose values
// repeat, which get a dictionary.
arrow::Result<std::unique_ptr<TableSink>> MakeTableSink(
    std::shared_ptr<arrow::io::OutputStream> out, const std::shared_ptr<arrow::Schema>& schema,
    const std::vector<std::string>& repeating);

// Builds CSV tables without vectors (metadata, errors, variance) in memory, a field at a time, by the same
// rules as the CSV sink.
class CsvBuilder {
 public:
  CsvBuilder& Field(std::string_view text);  // quoted where RFC 4180 asks for it
  CsvBuilder& Field(int64_t number);
  CsvBuilder& Field(float number);
  CsvBuilder& Field(double number);
  // No pointer becomes one. true, false.
  CsvBuilder& Field(std::same_as<bool> auto value) {
    return Field(std::string_view(value ? "true" : "false"));
  }
  // Empty where there is nothing.
  template <typename Value>
  CsvBuilder& Field(const std::optional<Value>& value) {
    return value ? Field(*value) : Field(std::string_view());
  }
  void EndRow();
  const std::string& text() const { return text_; }
  void clear();

 private:
  void Separate();
  std::string text_;
  bool row_started_ = false;
};

}  // namespace pomona
