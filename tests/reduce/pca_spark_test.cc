#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "pomona/pca_forms.h"
#include "reduce/random_rows.h"

namespace pomona {
namespace {

Pca Fitted(const PcaOptions& options) {
  Moments moments(3);
  moments.Add(RandomRows(50, 3, 1));
  return *Pca::Fit(moments, options);
}

std::shared_ptr<arrow::Table> Read(const std::string& bytes) {
  auto reader = *parquet::arrow::OpenFile(
      std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(bytes)),
      arrow::default_memory_pool());
  return *reader->ReadTable();
}

// What Spark makes of it is in tests/spark/test_pca_model.py.
TEST(PcaToSpark, HoldsTheProjection) {
  const Pca pca = Fitted({2, false, true});
  const auto files = PcaToSpark(pca, "pca_r");
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->metadata,
            R"({"class":"org.apache.spark.ml.feature.PCAModel","timestamp":0,)"
            R"("sparkVersion":"3.5.0","uid":"pca_r",)"
            R"("paramMap":{"inputCol":"features","k":2,"outputCol":"pca_features"},)"
            R"("defaultParamMap":{"outputCol":"pca_r__output"}})"
            "\n");
  const auto table = Read(files->data);
  ASSERT_EQ(table->num_rows(), 1);
  const auto member = [&](int column, const char* name) {
    const auto& whole = static_cast<const arrow::StructArray&>(*table->column(column)->chunk(0));
    return whole.GetFieldByName(name);
  };
  EXPECT_EQ(static_cast<const arrow::Int8Array&>(*member(0, "type")).Value(0), 1);
  EXPECT_EQ(static_cast<const arrow::Int32Array&>(*member(0, "numRows")).Value(0), 3);
  EXPECT_EQ(static_cast<const arrow::Int32Array&>(*member(0, "numCols")).Value(0), 2);
  EXPECT_FALSE(static_cast<const arrow::BooleanArray&>(*member(0, "isTransposed")).Value(0));
  EXPECT_TRUE(member(0, "colPtrs")->IsNull(0));
  EXPECT_TRUE(member(1, "size")->IsNull(0));
  const auto matrix = member(0, "values"), shares = member(1, "values");
  const auto values = [](const arrow::Array& list) {
    return std::static_pointer_cast<arrow::DoubleArray>(
        static_cast<const arrow::ListArray&>(list).value_slice(0));
  };
  ASSERT_EQ(values(*matrix)->length(), 6);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(values(*matrix)->Value(i), pca.basis()[i] / pca.scale()[i % 3]);
  }
  ASSERT_EQ(values(*shares)->length(), 2);
  EXPECT_EQ(values(*shares)->Value(1), pca.ExplainedVarianceRatio()[1]);
  const auto& metadata = table->schema()->metadata();
  const auto row = nlohmann::json::parse(
      *metadata->Get("org.apache.spark.sql.parquet.row.metadata"), nullptr, false);
  EXPECT_EQ(row["fields"][0]["type"]["class"], "org.apache.spark.ml.linalg.MatrixUDT");
  EXPECT_EQ(row["fields"][1]["type"]["class"], "org.apache.spark.ml.linalg.VectorUDT");
}

TEST(PcaToSpark, GivesTheSameBytes) {
  const Pca pca = Fitted({2, false, false});
  EXPECT_EQ(PcaToSpark(pca, "u")->data, PcaToSpark(pca, "u")->data);
  EXPECT_EQ(PcaToSpark(pca, "u")->metadata, PcaToSpark(pca, "u")->metadata);
}

TEST(FitsSpark, UnlessTheMeanIsTakenOff) {
  EXPECT_TRUE(FitsSpark({2, false, true}));
  EXPECT_FALSE(FitsSpark({2, true, false}));
}

}  // namespace
}  // namespace pomona
