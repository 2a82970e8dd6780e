// Rows of a table without vectors, for a TableSink.
#pragma once

#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/result.h>
#include <arrow/table_builder.h>
#include <arrow/type.h>

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace pomona {

// Takes the values of a row one after another; of a table's rows so far it makes a batch.
class RowBuilder {
 public:
  static arrow::Result<RowBuilder> Make(const std::shared_ptr<arrow::Schema>& schema) {
    RowBuilder rows;
    ARROW_ASSIGN_OR_RAISE(rows.columns_,
                          arrow::RecordBatchBuilder::Make(schema, arrow::default_memory_pool()));
    return rows;
  }

  template <typename... Values>
  arrow::Status Append(const Values&... values) {
    return AppendFrom(0, values...);
  }

  // The same for a row's values from a column on.
  template <typename... Values>
  arrow::Status AppendFrom(int column, const Values&... values) {
    arrow::Status status;
    ((status &= AppendTo(column++, values)), ...);
    return status;
  }

  int64_t rows() { return columns_->GetField(0)->length(); }
  arrow::Result<std::shared_ptr<arrow::RecordBatch>> Flush() { return columns_->Flush(); }

 private:
  arrow::Status AppendTo(int column, std::string_view text) {
    return columns_->GetFieldAs<arrow::StringBuilder>(column)->Append(text);
  }
  arrow::Status AppendTo(int column, int64_t number) {
    return columns_->GetFieldAs<arrow::Int64Builder>(column)->Append(number);
  }
  arrow::Status AppendTo(int column, int32_t number) {
    return columns_->GetFieldAs<arrow::Int32Builder>(column)->Append(number);
  }
  arrow::Status AppendTo(int column, double number) {
    return columns_->GetFieldAs<arrow::DoubleBuilder>(column)->Append(number);
  }
  arrow::Status AppendTo(int column, std::same_as<bool> auto value) {
    return columns_->GetFieldAs<arrow::BooleanBuilder>(column)->Append(value);
  }

  // Null where there is nothing.
  template <typename Value>
  arrow::Status AppendTo(int column, const std::optional<Value>& value) {
    return value ? AppendTo(column, *value) : columns_->GetField(column)->AppendNull();
  }

  std::unique_ptr<arrow::RecordBatchBuilder> columns_;
};

}  // namespace pomona
