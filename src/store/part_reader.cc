#include "part_reader.h"

#include <parquet/column_reader.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>

#include "csv_rows.h"
#include "layout.h"

namespace pomona {
namespace {

constexpr size_t kBlockRows = 512;

arrow::Status Broken(std::string_view why) { return arrow::Status::Invalid(why); }

arrow::Result<std::unique_ptr<parquet::ParquetFileReader>> OpenParquet(const PublishedFiles& files,
                                                                       const std::string& path) {
  BEGIN_PARQUET_CATCH_EXCEPTIONS
  parquet::ReaderProperties properties;
  properties.enable_buffered_stream();
  properties.set_buffer_size(files.read_bytes());
  properties.set_page_checksum_verification(true);
  ARROW_ASSIGN_OR_RAISE(auto file, files.OpenFile(path));
  return parquet::ParquetFileReader::Open(std::move(file), properties);
  END_PARQUET_CATCH_EXCEPTIONS
}

class ParquetPart : public PartReader {
 public:
  ParquetPart(PublishedFiles files, std::string path, int dimensions)
      : files_(std::move(files)), path_(std::move(path)), dimensions_(dimensions) {}

  arrow::Status Open() {
    ARROW_ASSIGN_OR_RAISE(reader_, OpenParquet(files_, path_));
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    const parquet::FileMetaData& metadata = *reader_->metadata();
    if (metadata.num_row_groups() > 1) return Broken("not one of ours");
    if (metadata.num_row_groups() == 0) return arrow::Status::OK();
    rows_left_ = static_cast<size_t>(metadata.num_rows());
    group_ = reader_->RowGroup(0);
    paths_ = Column<parquet::ByteArrayType>("path");
    labels_ = Column<parquet::ByteArrayType>("label");
    if (dimensions_ > 0) {
      floats_ = Column<parquet::FloatType>(metadata.num_columns() - 1);
      doubles_ = Column<parquet::DoubleType>(metadata.num_columns() - 1);
    } else {
      ids_ = Column<parquet::Int64Type>("id");
    }
    if (!paths_ || !labels_ || (!floats_ && !doubles_ && !ids_)) return Broken("not one of ours");
    return arrow::Status::OK();
    END_PARQUET_CATCH_EXCEPTIONS
  }

  arrow::Status Read(RowBlock* block) override { return files_.Explain(path_, ReadBlock(block)); }

 private:
  arrow::Status ReadBlock(RowBlock* block) {
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    const size_t rows = std::min(kBlockRows, rows_left_);
    rows_left_ -= rows;
    if (rows == 0) {
      *block = {};
      return arrow::Status::OK();
    }
    const auto text = [](const parquet::ByteArray& value) {
      return std::string(reinterpret_cast<const char*>(value.ptr), value.len);
    };
    ARROW_RETURN_NOT_OK(ReadValues(*paths_, rows, text, &block->paths));
    ARROW_RETURN_NOT_OK(ReadValues(*labels_, rows, text, &block->labels));
    if (floats_) return ReadVectors(*floats_, rows, &block->floats);
    if (doubles_) return ReadVectors(*doubles_, rows, &block->doubles);
    return ReadValues(*ids_, rows, std::identity(), &block->ids);
    END_PARQUET_CATCH_EXCEPTIONS
  }

  template <typename Type>
  using Reader = parquet::TypedColumnReader<Type>;

  // Null where the column is of another type, or is not there.
  template <typename Type>
  std::shared_ptr<Reader<Type>> Column(int column) {
    if (column < 0) return nullptr;
    return std::dynamic_pointer_cast<Reader<Type>>(group_->Column(column));
  }
  template <typename Type>
  std::shared_ptr<Reader<Type>> Column(const char* name) {
    return Column<Type>(reader_->metadata()->schema()->ColumnIndex(name));
  }

  // One value a row, as `convert` makes it.
  template <typename Type, typename Convert, typename Value>
  arrow::Status ReadValues(Reader<Type>& column, size_t rows, const Convert& convert,
                           std::vector<Value>* read) {
    std::vector<typename Type::c_type> values(rows);
    std::vector<int16_t> definition(rows);
    read->clear();
    while (read->size() < rows) {
      int64_t count = 0;
      const auto left = static_cast<int64_t>(rows - read->size());
      const int64_t levels =
          column.ReadBatch(left, definition.data(), nullptr, values.data(), &count);
      if (count == 0 || count != levels) return Broken("a path, label or id is missing");
      for (int64_t i = 0; i < count; ++i) read->push_back(convert(values[i]));
    }
    return arrow::Status::OK();
  }

  template <typename Type>
  arrow::Status ReadVectors(Reader<Type>& column, size_t rows,
                            std::vector<typename Type::c_type>* values) {
    const size_t size = rows * static_cast<size_t>(dimensions_);
    values->resize(size);
    definition_.resize(size);
    repetition_.resize(size);
    for (size_t at = 0; at < size;) {
      int64_t count = 0;
      const int64_t levels =
          column.ReadBatch(static_cast<int64_t>(size - at), definition_.data() + at,
                           repetition_.data() + at, values->data() + at, &count);
      if (count == 0 || count != levels) return Broken("a value is missing");
      at += static_cast<size_t>(count);
    }
    for (size_t i = 0; i < size; ++i) {
      if ((repetition_[i] == 0) != (i % static_cast<size_t>(dimensions_) == 0)) {
        return Broken("a vector of a wrong length");
      }
    }
    return arrow::Status::OK();
  }

  const PublishedFiles files_;
  const std::string path_;
  const int dimensions_;
  size_t rows_left_ = 0;
  std::unique_ptr<parquet::ParquetFileReader> reader_;
  std::shared_ptr<parquet::RowGroupReader> group_;
  std::shared_ptr<Reader<parquet::ByteArrayType>> paths_, labels_;
  std::shared_ptr<Reader<parquet::FloatType>> floats_;
  std::shared_ptr<Reader<parquet::DoubleType>> doubles_;
  std::shared_ptr<Reader<parquet::Int64Type>> ids_;
  std::vector<int16_t> definition_, repetition_;
};

class CsvPart : public PartReader {
 public:
  CsvPart(PublishedFiles files, std::string path, int dimensions)
      : files_(std::move(files)), path_(std::move(path)), dimensions_(dimensions) {}

  arrow::Status Open() {
    ARROW_ASSIGN_OR_RAISE(rows_, CsvRows::Open(files_, path_));
    const size_t columns = dimensions_ > 0 ? 3 : 2;
    return rows_->columns() == columns ? arrow::Status::OK() : Broken("a wrong number of columns");
  }

  arrow::Status Read(RowBlock* block) override { return files_.Explain(path_, ReadBlock(block)); }

 private:
  arrow::Status ReadBlock(RowBlock* block) {
    *block = {};
    while (block->rows() < kBlockRows) {
      ARROW_ASSIGN_OR_RAISE(const bool more, rows_->Next());
      if (!more) break;
      block->paths.emplace_back(rows_->Field(0));
      block->labels.emplace_back(rows_->Field(1));
      if (dimensions_ > 0) ARROW_RETURN_NOT_OK(ParseVector(rows_->Field(2), &block->floats));
    }
    return arrow::Status::OK();
  }

  arrow::Status ParseVector(std::string_view text, std::vector<float>* values) const {
    const char* at = text.data();
    const char* const end = at + text.size();
    for (int i = 0; i < dimensions_; ++i) {
      if (i > 0 && (at == end || *at++ != ',')) return Broken("a vector of a wrong length");
      float value = 0;
      const auto parsed = std::from_chars(at, end, value);
      if (parsed.ec != std::errc()) return Broken("a vector with something else in it");
      at = parsed.ptr;
      values->push_back(value);
    }
    return at == end ? arrow::Status::OK() : Broken("a vector of a wrong length");
  }

  const PublishedFiles files_;
  const std::string path_;
  const int dimensions_;
  std::optional<CsvRows> rows_;
};

template <typename Part>
arrow::Result<std::unique_ptr<PartReader>> OpenPart(const PublishedFiles& files,
                                                    const std::string& path, int dimensions) {
  auto part = std::make_unique<Part>(files, path, dimensions);
  ARROW_RETURN_NOT_OK(files.Explain(path, part->Open()));
  return part;
}

}  // namespace

arrow::Result<std::unique_ptr<PartReader>> OpenParquetPart(const PublishedFiles& files,
                                                           const std::string& path,
                                                           int dimensions) {
  return OpenPart<ParquetPart>(files, path, dimensions);
}

arrow::Result<std::unique_ptr<PartReader>> OpenCsvPart(const PublishedFiles& files,
                                                       const std::string& path, int dimensions) {
  return OpenPart<CsvPart>(files, path, dimensions);
}

arrow::Result<std::unique_ptr<PartReader>> OpenFeaturesPart(const PublishedFiles& files,
                                                            const std::string& run_id, size_t part,
                                                            int dimensions, std::string* path) {
  *path = kFeaturesParquet.Path(run_id) + '/' + PartName(part, "parquet");
  ARROW_ASSIGN_OR_RAISE(const bool has_parquet, files.Exists(*path));
  if (has_parquet) return OpenParquetPart(files, *path, dimensions);
  // A part that is missing is missed where the run's are.
  ARROW_ASSIGN_OR_RAISE(const bool has_csv, files.Exists(SuccessOf(kFeaturesCsv, run_id)));
  if (!has_csv) return OpenParquetPart(files, *path, dimensions);
  *path = kFeaturesCsv.Path(run_id) + '/' + PartName(part, "csv");
  return OpenCsvPart(files, *path, dimensions);
}

arrow::Status ForEachCsvRow(const PublishedFiles& files, const std::string& path, int columns,
                            const UseCsvRow& use) {
  auto rows = CsvRows::Open(files, path);
  if (!rows.ok()) return files.Explain(path, rows.status());
  std::vector<std::string_view> fields(static_cast<size_t>(columns));
  if (rows->columns() != fields.size()) return files.Explain(path, Broken("other columns"));
  while (true) {
    const auto more = rows->Next();
    if (!more.ok()) return files.Explain(path, more.status());
    if (!*more) return arrow::Status::OK();
    for (size_t c = 0; c < fields.size(); ++c) fields[c] = rows->Field(c);
    ARROW_RETURN_NOT_OK(use(fields));
  }
}

arrow::Result<int64_t> CountCsvRows(const PublishedFiles& files, const std::string& path) {
  auto rows = CsvRows::Open(files, path);
  if (!rows.ok()) return files.Explain(path, rows.status());
  for (int64_t count = 0;; ++count) {
    const auto more = rows->Next();
    if (!more.ok()) return files.Explain(path, more.status());
    if (!*more) return count;
  }
}

arrow::Result<int64_t> CountParquetRows(const PublishedFiles& files, const std::string& path) {
  const auto reader = OpenParquet(files, path);
  if (!reader.ok()) return files.Explain(path, reader.status());
  return (*reader)->metadata()->num_rows();
}

}  // namespace pomona
