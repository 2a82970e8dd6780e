#include <arrow/io/interfaces.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <parquet/arrow/writer.h>

#include <utility>

#include "part_properties.h"
#include "pomona/sink.h"

namespace pomona {
namespace {

class ParquetTable final : public TableSink {
 public:
  ParquetTable(std::shared_ptr<arrow::io::OutputStream> out,
               std::unique_ptr<parquet::arrow::FileWriter> writer)
      : out_(std::move(out)), writer_(std::move(writer)) {}

  arrow::Status Append(const std::shared_ptr<arrow::RecordBatch>& batch) override {
    if (batch->num_rows() == 0) return arrow::Status::OK();
    ARROW_ASSIGN_OR_RAISE(const auto table, arrow::Table::FromRecordBatches({batch}));
    return writer_->WriteTable(*table, batch->num_rows());
  }

  arrow::Status Finish() override {
    ARROW_RETURN_NOT_OK(writer_->Close());
    return out_->Close();
  }

 private:
  const std::shared_ptr<arrow::io::OutputStream> out_;
  const std::unique_ptr<parquet::arrow::FileWriter> writer_;
};

}  // namespace

arrow::Result<std::unique_ptr<TableSink>> MakeTableSink(
    std::shared_ptr<arrow::io::OutputStream> out, const std::shared_ptr<arrow::Schema>& schema,
    const std::vector<std::string>& repeating) {
  parquet::WriterProperties::Builder properties;
  SetPartProperties(&properties);
  for (const std::string& column : repeating) properties.enable_dictionary(column);
  ARROW_ASSIGN_OR_RAISE(auto writer,
                        parquet::arrow::FileWriter::Open(*schema, arrow::default_memory_pool(), out,
                                                         properties.build()));
  return std::make_unique<ParquetTable>(std::move(out), std::move(writer));
}

}  // namespace pomona
