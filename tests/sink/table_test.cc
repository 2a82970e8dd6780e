#include <arrow/io/file.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/file_reader.h>

#include "pomona/sink.h"
#include "sink/rows.h"

namespace pomona {
namespace {

std::shared_ptr<arrow::Schema> SmallSchema() {
  return arrow::schema({arrow::field("id", arrow::int64()), arrow::field("label", arrow::utf8())});
}

std::shared_ptr<arrow::RecordBatch> Batch(const std::vector<int64_t>& ids,
                                          const std::vector<std::string>& labels) {
  arrow::Int64Builder builder;
  EXPECT_TRUE(builder.AppendValues(ids).ok());
  return arrow::RecordBatch::Make(SmallSchema(), static_cast<int64_t>(ids.size()),
                                  {builder.Finish().ValueOrDie(), Strings(labels)});
}

std::shared_ptr<arrow::Buffer> WriteTable(
    const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches) {
  auto out = arrow::io::BufferOutputStream::Create().ValueOrDie();
  const auto sink = MakeTableSink(out, SmallSchema(), {"label"}).ValueOrDie();
  for (const auto& batch : batches) EXPECT_EQ(sink->Append(batch), arrow::Status::OK());
  EXPECT_EQ(sink->Finish(), arrow::Status::OK());
  EXPECT_TRUE(out->closed());
  return out->Finish().ValueOrDie();
}

std::unique_ptr<parquet::ParquetFileReader> OpenParquet(std::shared_ptr<arrow::Buffer> file) {
  return parquet::ParquetFileReader::Open(std::make_shared<arrow::io::BufferReader>(file));
}

TEST(TableSink, WritesARowGroupForEachBatch) {
  const auto bytes = WriteTable({Batch({0, 1}, {"a", "a"}), Batch({}, {}), Batch({2}, {"b"})});
  EXPECT_TRUE(
      bytes->Equals(*WriteTable({Batch({0, 1}, {"a", "a"}), Batch({}, {}), Batch({2}, {"b"})})));
  auto file = OpenParquet(bytes);
  ASSERT_EQ(file->metadata()->num_row_groups(), 2);
  const auto columns = file->metadata()->RowGroup(0);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(columns->ColumnChunk(i)->compression(), parquet::Compression::ZSTD);
    EXPECT_EQ(columns->ColumnChunk(i)->has_dictionary_page(), i == 1);
  }
  const auto reader =
      parquet::arrow::FileReader::Make(arrow::default_memory_pool(), std::move(file)).ValueOrDie();
  const auto table = reader->ReadTable().ValueOrDie()->CombineChunksToBatch().ValueOrDie();
  EXPECT_TRUE(table->Equals(*Batch({0, 1, 2}, {"a", "a", "b"}))) << table->ToString();
}

TEST(TableSink, NoRowsGiveAValidFile) {
  const auto file = OpenParquet(WriteTable({}));
  EXPECT_EQ(file->metadata()->num_rows(), 0);
  EXPECT_EQ(file->metadata()->num_columns(), 2);
}

TEST(TableSink, AFullDiskIsAnError) {
  auto full = arrow::io::FileOutputStream::Open("/dev/full");
  if (!full.ok()) GTEST_SKIP() << "no /dev/full on this system";
  const auto sink = MakeTableSink(*full, SmallSchema(), {});
  arrow::Status status = sink.status();
  if (status.ok()) status = (*sink)->Append(Batch({0}, {"a"}));
  if (status.ok()) status = (*sink)->Finish();
  EXPECT_TRUE(status.IsIOError()) << status.ToString();
}

}  // namespace
}  // namespace pomona
