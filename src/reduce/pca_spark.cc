#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/builder.h>
#include <arrow/io/memory.h>
#include <arrow/table.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/writer.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "json.h"
#include "pomona/pca_forms.h"

namespace pomona {
namespace {

using nlohmann::ordered_json;

// A field of Spark's linear algebra types, as Arrow has it and as Spark writes it.
struct Field {
  std::shared_ptr<arrow::Field> arrow;
  ordered_json spark;
};

Field Scalar(const char* name, std::shared_ptr<arrow::DataType> type, const char* spark,
             bool nullable = false) {
  return {
      arrow::field(name, std::move(type), nullable),
      {{"name", name}, {"type", spark}, {"nullable", nullable}, {"metadata", ordered_json({})}}};
}

Field List(const char* name, const std::shared_ptr<arrow::DataType>& type, const char* spark) {
  return {arrow::field(name, arrow::list(arrow::field("element", type, /*nullable=*/false))),
          {{"name", name},
           {"type", {{"type", "array"}, {"elementType", spark}, {"containsNull", false}}},
           {"nullable", true},
           {"metadata", ordered_json({})}}};
}

// A column of a type of org.apache.spark.ml.linalg.
Field Column(const char* name, const std::string& type, const std::vector<Field>& fields) {
  arrow::FieldVector members;
  ordered_json types = ordered_json::array();
  for (const Field& field : fields) {
    members.push_back(field.arrow);
    types.push_back(field.spark);
  }
  return {arrow::field(name, arrow::struct_(members)),
          {{"name", name},
           {"type",
            {{"type", "udt"},
             {"class", "org.apache.spark.ml.linalg." + type},
             {"pyClass", "pyspark.ml.linalg." + type},
             {"sqlType", {{"type", "struct"}, {"fields", types}}}}},
           {"nullable", true},
           {"metadata", ordered_json({})}}};
}

// What stands in a type's field `type`.
constexpr int8_t kDense = 1;

// Of one row; null where `value` is.
template <typename T>
arrow::Result<std::shared_ptr<arrow::Array>> One(std::optional<T> value) {
  typename arrow::CTypeTraits<T>::BuilderType builder;
  ARROW_RETURN_NOT_OK(value ? builder.Append(*value) : builder.AppendNull());
  return builder.Finish();
}

// One row's list of all values.
arrow::Result<std::shared_ptr<arrow::Array>> OneList(const Field& field,
                                                     const std::vector<double>& values) {
  arrow::DoubleBuilder elements;
  arrow::Int32Builder offsets;
  ARROW_RETURN_NOT_OK(elements.AppendValues(values));
  ARROW_RETURN_NOT_OK(offsets.AppendValues({0, static_cast<int32_t>(values.size())}));
  ARROW_ASSIGN_OR_RAISE(const auto ends, offsets.Finish());
  ARROW_ASSIGN_OR_RAISE(const auto flat, elements.Finish());
  return arrow::ListArray::FromArrays(field.arrow->type(), *ends, *flat);
}

arrow::Result<std::shared_ptr<arrow::Array>> NoList(const Field& field) {
  return arrow::MakeArrayOfNull(field.arrow->type(), 1);
}

arrow::Result<std::string> Parquet(const Pca& pca) {
  const int dimensions = pca.dimensions(), components = pca.components();
  // A matrix of dimensions x components, column by column: component by component.
  std::vector<double> matrix(pca.basis().begin(), pca.basis().end());
  for (size_t i = 0; i < matrix.size() && !pca.scale().empty(); ++i) {
    matrix[i] /= pca.scale()[i % static_cast<size_t>(dimensions)];
  }
  const Field type = Scalar("type", arrow::int8(), "byte");
  const Field values = List("values", arrow::float64(), "double");
  const Field colPtrs = List("colPtrs", arrow::int32(), "integer");
  const Field rowIndices = List("rowIndices", arrow::int32(), "integer");
  const Field indices = List("indices", arrow::int32(), "integer");
  const Field pc = Column("pc", "MatrixUDT",
                          {type, Scalar("numRows", arrow::int32(), "integer"),
                           Scalar("numCols", arrow::int32(), "integer"), colPtrs, rowIndices,
                           values, Scalar("isTransposed", arrow::boolean(), "boolean")});
  const Field variance =
      Column("explainedVariance", "VectorUDT",
             {type, Scalar("size", arrow::int32(), "integer", /*nullable=*/true), indices, values});

  ARROW_ASSIGN_OR_RAISE(const auto dense, One<int8_t>(kDense));
  ARROW_ASSIGN_OR_RAISE(const auto rows, One<int32_t>(dimensions));
  ARROW_ASSIGN_OR_RAISE(const auto columns, One<int32_t>(components));
  ARROW_ASSIGN_OR_RAISE(const auto no_pointers, NoList(colPtrs));
  ARROW_ASSIGN_OR_RAISE(const auto no_indices, NoList(rowIndices));
  ARROW_ASSIGN_OR_RAISE(const auto entries, OneList(values, matrix));
  ARROW_ASSIGN_OR_RAISE(const auto as_it_is, One<bool>(false));
  ARROW_ASSIGN_OR_RAISE(const auto no_size, One<int32_t>(std::nullopt));
  ARROW_ASSIGN_OR_RAISE(const auto shares, OneList(values, pca.ExplainedVarianceRatio()));
  const arrow::ArrayVector of_pc = {dense,      rows,    columns, no_pointers,
                                    no_indices, entries, as_it_is};
  const arrow::ArrayVector of_variance = {dense, no_size, no_indices, shares};
  ARROW_ASSIGN_OR_RAISE(const auto pcs,
                        arrow::StructArray::Make(of_pc, pc.arrow->type()->fields()));
  ARROW_ASSIGN_OR_RAISE(const auto variances,
                        arrow::StructArray::Make(of_variance, variance.arrow->type()->fields()));

  // What makes the structs a matrix and a vector in Spark.
  const ordered_json row = {{"type", "struct"},
                            {"fields", ordered_json::array({pc.spark, variance.spark})}};
  const auto metadata =
      arrow::key_value_metadata({"org.apache.spark.sql.parquet.row.metadata"}, {JsonText(row)});
  const auto table =
      arrow::Table::Make(arrow::schema({pc.arrow, variance.arrow}), {pcs, variances});
  ARROW_ASSIGN_OR_RAISE(const auto out, arrow::io::BufferOutputStream::Create());
  const auto properties = parquet::WriterProperties::Builder()
                              .compression(arrow::Compression::ZSTD)
                              ->enable_page_checksum()
                              ->disable_dictionary()
                              ->build();
  ARROW_ASSIGN_OR_RAISE(const auto writer,
                        parquet::arrow::FileWriter::Open(
                            *table->schema(), arrow::default_memory_pool(), out, properties));
  ARROW_RETURN_NOT_OK(writer->AddKeyValueMetadata(metadata));
  ARROW_RETURN_NOT_OK(writer->WriteTable(*table, table->num_rows()));
  ARROW_RETURN_NOT_OK(writer->Close());
  ARROW_ASSIGN_OR_RAISE(const auto bytes, out->Finish());
  return bytes->ToString();
}

}  // namespace

bool FitsSpark(const PcaOptions& options) { return !options.center; }

arrow::Result<SparkPca> PcaToSpark(const Pca& pca, std::string_view uid) {
  const std::string name(uid);
  // Of no time, so that the same run has the same bytes.
  const ordered_json metadata = {
      {"class", "org.apache.spark.ml.feature.PCAModel"},
      {"timestamp", 0},
      {"sparkVersion", "3.5.0"},
      {"uid", name},
      {"paramMap",
       {{"inputCol", "features"}, {"k", pca.components()}, {"outputCol", "pca_features"}}},
      {"defaultParamMap", {{"outputCol", name + "__output"}}}};
  ARROW_ASSIGN_OR_RAISE(std::string data, Parquet(pca));
  return SparkPca{JsonText(metadata) + '\n', std::move(data)};
}

}  // namespace pomona
