#include <arrow/io/interfaces.h>
#include <arrow/ipc/writer.h>
#include <arrow/type.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/column_writer.h>
#include <parquet/exception.h>
#include <parquet/file_writer.h>
#include <parquet/properties.h>
#include <parquet/schema.h>

#include <span>
#include <utility>
#include <vector>

#include "base64.h"
#include "part_properties.h"
#include "pomona/sink.h"
#include "rows.h"

namespace pomona {
namespace {

using parquet::LogicalType;
using parquet::Repetition;
using parquet::Type;
using parquet::schema::GroupNode;
using parquet::schema::NodePtr;
using parquet::schema::PrimitiveNode;

constexpr int64_t kPageBytes = 1 << 20;

NodePtr StringField(const std::string& name) {
  return PrimitiveNode::Make(name, Repetition::OPTIONAL, LogicalType::String(), Type::BYTE_ARRAY);
}

NodePtr ListField(const std::string& name, Repetition::type element_repetition,
                  Type::type element_type) {
  const NodePtr element = PrimitiveNode::Make("element", element_repetition, element_type);
  const NodePtr list = GroupNode::Make("list", Repetition::REPEATED, {element});
  return GroupNode::Make(name, Repetition::OPTIONAL, {list}, LogicalType::List());
}

// The storage of org.apache.spark.ml.linalg.VectorUDT: a dense vector has type 1 and values, a
// sparse one type 0, size, indices and values. Only dense ones are written here.
NodePtr SparkVectorField(const std::string& name) {
  return GroupNode::Make(
      name, Repetition::OPTIONAL,
      {PrimitiveNode::Make("type", Repetition::REQUIRED, LogicalType::Int(8, true), Type::INT32),
       PrimitiveNode::Make("size", Repetition::OPTIONAL, Type::INT32),
       ListField("indices", Repetition::REQUIRED, Type::INT32),
       ListField("values", Repetition::REQUIRED, Type::DOUBLE)});
}

// The schema that Spark itself writes, root's name included.
std::shared_ptr<GroupNode> Schema(const VectorTable& table) {
  const NodePtr vector = table.layout == VectorLayout::kSpark
                             ? SparkVectorField(table.column)
                             : ListField(table.column, Repetition::OPTIONAL, Type::FLOAT);
  return std::static_pointer_cast<GroupNode>(GroupNode::Make(
      "spark_schema", Repetition::REQUIRED, {StringField("path"), StringField("label"), vector}));
}

// The table's schema in Spark's own JSON: what makes the struct a `vector` column in Spark.
std::string SparkRowMetadata(const VectorTable& table) {
  return R"({"type":"struct","fields":[)"
         R"({"name":"path","type":"string","nullable":true,"metadata":{}},)"
         R"({"name":"label","type":"string","nullable":true,"metadata":{}},)"
         R"({"name":")" +
         table.column +
         R"(","type":{"type":"udt","class":"org.apache.spark.ml.linalg.VectorUDT",)"
         R"("pyClass":"pyspark.ml.linalg.VectorUDT","sqlType":{"type":"struct","fields":[)"
         R"({"name":"type","type":"byte","nullable":false,"metadata":{}},)"
         R"({"name":"size","type":"integer","nullable":true,"metadata":{}},)"
         R"({"name":"indices","type":{"type":"array","elementType":"integer",)"
         R"("containsNull":false},"nullable":true,"metadata":{}},)"
         R"({"name":"values","type":{"type":"array","elementType":"double",)"
         R"("containsNull":false},"nullable":true,"metadata":{}}]}},)"
         R"("nullable":true,"metadata":{"ml_attr":{"num_attrs":)" +
         std::to_string(table.dimensions) + "}}}]}";
}

// What Arrow's readers make of the columns, in the form in which Arrow's own writer leaves it. Whoever
// knows nothing of Arrow passes over it and reads the lists that the file's own schema tells of.
arrow::Result<std::string> ArrowSchema(const VectorTable& table) {
  const auto vector =
      arrow::fixed_size_list(arrow::field("element", arrow::float32()), table.dimensions);
  const arrow::Schema schema({arrow::field("path", arrow::utf8()),
                              arrow::field("label", arrow::utf8()),
                              arrow::field(table.column, vector)});
  ARROW_ASSIGN_OR_RAISE(const auto message, arrow::ipc::SerializeSchema(schema));
  return Base64(std::span(message->data(), static_cast<size_t>(message->size())));
}

arrow::Result<std::shared_ptr<const arrow::KeyValueMetadata>> Metadata(const VectorTable& table) {
  auto metadata = std::make_shared<arrow::KeyValueMetadata>();
  for (const auto& [key, value] : table.metadata) metadata->Append(key, value);
  if (table.layout == VectorLayout::kSpark) {
    metadata->Append("org.apache.spark.sql.parquet.row.metadata", SparkRowMetadata(table));
  }
  if (table.layout == VectorLayout::kFixed) {
    ARROW_ASSIGN_OR_RAISE(std::string schema, ArrowSchema(table));
    metadata->Append("ARROW:schema", std::move(schema));
  }
  return metadata;
}

std::shared_ptr<parquet::WriterProperties> Properties(const VectorTable& table) {
  const std::string values =
      table.column +
      (table.layout == VectorLayout::kSpark ? ".values.list.element" : ".list.element");
  // Values are in the plain encoding: byte-stream split would save 6 %, but Spark's vectorized
  // reader, on by default, refuses it (seen with 3.5).
  parquet::WriterProperties::Builder properties;
  SetPartProperties(&properties);
  return properties.data_pagesize(kPageBytes)
      ->enable_dictionary("label")
      // The least and the greatest of all values of all vectors tell a reader nothing.
      ->disable_statistics(values)
      ->build();
}

class ParquetSink final : public VectorSink {
 public:
  ParquetSink(std::shared_ptr<arrow::io::OutputStream> out, const VectorTable& table, int64_t rows)
      : out_(std::move(out)),
        layout_(table.layout),
        dimensions_(table.dimensions),
        rows_(rows),
        rows_left_(rows),
        definition_levels_(dimensions_, 3),
        repetition_levels_(dimensions_, 1) {
    repetition_levels_[0] = 0;
  }

  // Writes all columns before the vectors' values.
  arrow::Status Open(const VectorTable& table, const arrow::StringArray& paths,
                     const arrow::StringArray& labels) {
    ARROW_ASSIGN_OR_RAISE(auto metadata, Metadata(table));
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    writer_ = parquet::ParquetFileWriter::Open(out_, Schema(table), Properties(table),
                                               std::move(metadata));
    columns_ = writer_->AppendRowGroup();
    WriteStrings(paths);
    WriteStrings(labels);
    if (layout_ == VectorLayout::kSpark) {
      const std::vector<int32_t> dense(rows_, 1);
      WriteColumn<parquet::Int32Type>(dense.data());  // type
      WriteColumn<parquet::Int32Type>(nullptr);       // size
      WriteColumn<parquet::Int32Type>(nullptr);       // indices
    }
    values_ = columns_->NextColumn();
    return arrow::Status::OK();
    END_PARQUET_CATCH_EXCEPTIONS
  }

  arrow::Status Append(const arrow::FixedSizeListArray& vectors) override {
    ARROW_RETURN_NOT_OK(CheckBlock(vectors, dimensions_, rows_left_));
    BEGIN_PARQUET_CATCH_EXCEPTIONS
    return layout_ == VectorLayout::kSpark ? WriteVectors<parquet::DoubleType>(vectors)
                                           : WriteVectors<parquet::FloatType>(vectors);
    END_PARQUET_CATCH_EXCEPTIONS
  }

  arrow::Status Finish() override {
    ARROW_RETURN_NOT_OK(CheckComplete(rows_left_));
    PARQUET_CATCH_NOT_OK(writer_->Close());
    return out_->Close();
  }

 private:
  // A column with one value in each row, or without any where `values` is null.
  template <typename ParquetType>
  void WriteColumn(const typename ParquetType::c_type* values) {
    auto* column = static_cast<parquet::TypedColumnWriter<ParquetType>*>(columns_->NextColumn());
    // At 1 the path, the label or the struct is there, but no optional field below it.
    const std::vector<int16_t> definition_levels(rows_, 1);
    const std::vector<int16_t> repetition_levels(rows_, 0);
    column->WriteBatch(rows_, definition_levels.data(), repetition_levels.data(), values);
  }

  void WriteStrings(const arrow::StringArray& strings) {
    std::vector<parquet::ByteArray> values(strings.length());
    for (int64_t row = 0; row < strings.length(); ++row) {
      values[row] = parquet::ByteArray(strings.GetView(row));
    }
    WriteColumn<parquet::ByteArrayType>(values.data());
  }

  // One call a row, so that pages do not depend on how the rows are divided into blocks.
  template <typename ParquetType>
  arrow::Status WriteVectors(const arrow::FixedSizeListArray& vectors) {
    using T = typename ParquetType::c_type;
    auto* column = static_cast<parquet::TypedColumnWriter<ParquetType>*>(values_);
    return ForEachRow<T>(vectors, [&](const T* row) {
      column->WriteBatch(dimensions_, definition_levels_.data(), repetition_levels_.data(), row);
      --rows_left_;
      return arrow::Status::OK();
    });
  }

  const std::shared_ptr<arrow::io::OutputStream> out_;
  const VectorLayout layout_;
  const int dimensions_;
  const int64_t rows_;
  int64_t rows_left_;
  const std::vector<int16_t> definition_levels_;  // of one vector, the same in both layouts
  std::vector<int16_t> repetition_levels_;        // of one vector
  std::unique_ptr<parquet::ParquetFileWriter> writer_;
  parquet::RowGroupWriter* columns_ = nullptr;  // writer_ owns it
  parquet::ColumnWriter* values_ = nullptr;     // writer_ owns it
};

}  // namespace

arrow::Result<std::unique_ptr<VectorSink>> MakeParquetSink(
    std::shared_ptr<arrow::io::OutputStream> out, const VectorTable& table,
    std::shared_ptr<arrow::StringArray> paths, std::shared_ptr<arrow::StringArray> labels) {
  ARROW_RETURN_NOT_OK(CheckTable(table, *paths, *labels));
  auto sink = std::make_unique<ParquetSink>(std::move(out), table, paths->length());
  ARROW_RETURN_NOT_OK(sink->Open(table, *paths, *labels));
  return sink;
}

}  // namespace pomona
