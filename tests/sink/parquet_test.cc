#include <arrow/io/file.h>
#include <arrow/table.h>
#include <arrow/util/key_value_metadata.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>
#include <parquet/column_page.h>
#include <parquet/column_reader.h>
#include <parquet/file_reader.h>
#include <parquet/page_index.h>
#include <parquet/printer.h>
#include <parquet/schema.h>
#include <parquet/statistics.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "pomona/sink.h"
#include "sink/rows.h"

namespace pomona {
namespace {

const std::vector<std::string> kPaths = {"/d/Apple/1.jpg", "/d/Apple/p\u00eache, \"2\".jpg",
                                         "/d/Lemon/3.jpg"};
const std::vector<std::string> kLabels = {"Apple", "Apple", "Lemon"};
constexpr char kSparkRowMetadata[] = "org.apache.spark.sql.parquet.row.metadata";

VectorTable Features(int dimensions, VectorLayout layout = VectorLayout::kFixed) {
  return {"features", dimensions, layout, {{"pomona.b", "2"}, {"pomona.a", "1"}}};
}

VectorTable SparkPca(int dimensions) {
  return {"pca_features", dimensions, VectorLayout::kSpark, {}};
}

// Random bit patterns, so that a value changed on its way shows.
template <typename T>
std::vector<T> RandomValues(size_t n) {
  std::mt19937_64 random(11);
  std::vector<T> values(n);
  for (T& value : values) {
    do {
      if constexpr (sizeof(T) == 4) {
        value = std::bit_cast<T>(static_cast<uint32_t>(random()));
      } else {
        value = std::bit_cast<T>(static_cast<uint64_t>(random()));
      }
    } while (!std::isfinite(value));
  }
  return values;
}

std::unique_ptr<parquet::ParquetFileReader> OpenParquet(std::shared_ptr<arrow::Buffer> file) {
  parquet::ReaderProperties properties;
  properties.set_page_checksum_verification(true);
  return parquet::ParquetFileReader::Open(std::make_shared<arrow::io::BufferReader>(file),
                                          properties);
}

arrow::Result<std::shared_ptr<arrow::Table>> ReadTable(std::shared_ptr<arrow::Buffer> file) {
  ARROW_ASSIGN_OR_RAISE(auto reader, parquet::arrow::FileReader::Make(arrow::default_memory_pool(),
                                                                      OpenParquet(file)));
  ARROW_ASSIGN_OR_RAISE(auto table, reader->ReadTable());
  return table->CombineChunks();
}

std::string SchemaText(const parquet::ParquetFileReader& file) {
  std::ostringstream text;
  parquet::schema::PrintSchema(file.metadata()->schema()->schema_root().get(), text);
  return text.str();
}

template <typename ArrayType>
const ArrayType& Column(const arrow::Table& table, const std::string& name) {
  return static_cast<const ArrayType&>(*table.GetColumnByName(name)->chunk(0));
}

void ExpectTexts(const arrow::Table& table) {
  EXPECT_TRUE(Column<arrow::StringArray>(table, "path").Equals(Strings(kPaths)));
  EXPECT_TRUE(Column<arrow::StringArray>(table, "label").Equals(Strings(kLabels)));
}

template <typename T, typename Lists>
void ExpectSameBits(const Lists& lists, int dimensions, const std::vector<T>& expected) {
  ASSERT_EQ(lists.length() * dimensions, static_cast<int64_t>(expected.size()));
  ASSERT_EQ(lists.null_count(), 0);
  for (int64_t row = 0; row < lists.length(); ++row) {
    ASSERT_EQ(lists.value_length(row), dimensions);
  }
  const auto& values =
      static_cast<const typename arrow::CTypeTraits<T>::ArrayType&>(*lists.values());
  ASSERT_EQ(values.length(), static_cast<int64_t>(expected.size()));
  EXPECT_EQ(std::memcmp(values.raw_values(), expected.data(), expected.size() * sizeof(T)), 0);
}

// A part file of the original pipeline's output, or none.
std::string SeedPart(const std::string& folder) {
  const char* data = std::getenv("POMONA_TEST_DATA");
  if (data == nullptr) return "";
  const auto path = std::filesystem::path(data) / "reference/seed_output_sample" / folder;
  std::error_code error;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path, error)) {
    if (entry.path().extension() == ".parquet") return entry.path().string();
  }
  return "";
}

TEST(ParquetSink, ListReadsBackToTheBit) {
  const auto values = RandomValues<float>(3 * 1280);
  const auto file = Write(MakeParquetSink, Features(1280, VectorLayout::kList), kPaths, kLabels,
                          *Vectors(1280, values));
  const auto table = ReadTable(file).ValueOrDie();
  EXPECT_EQ(table->schema()->ToString(),
            "path: string\nlabel: string\nfeatures: list<element: float>");
  ExpectTexts(*table);
  ExpectSameBits(Column<arrow::ListArray>(*table, "features"), 1280, values);
}

TEST(ParquetSink, FixedSizesReadBackToTheBit) {
  const auto values = RandomValues<float>(3 * 1280);
  const auto file = Write(MakeParquetSink, Features(1280), kPaths, kLabels, *Vectors(1280, values));
  const auto table = ReadTable(file).ValueOrDie();
  EXPECT_EQ(table->schema()->ToString(/*show_metadata=*/true),
            "path: string\nlabel: string\nfeatures: fixed_size_list<element: float>[1280]\n"
            "-- metadata --\npomona.a: 1\npomona.b: 2");
  ExpectTexts(*table);
  ExpectSameBits(Column<arrow::FixedSizeListArray>(*table, "features"), 1280, values);
}

// Who does not read the Arrow schema has the same file before him.
TEST(ParquetSink, OnlyTheArrowSchemaTellsFixedSizesFromLists) {
  const auto vectors = Vectors(50, RandomValues<float>(150));
  const auto write = [&](VectorLayout layout) {
    return Write(MakeParquetSink, Features(50, layout), kPaths, kLabels, *vectors)->ToString();
  };
  const std::string list = write(VectorLayout::kList), fixed = write(VectorLayout::kFixed);
  const auto data_end = [](const std::string& file) {
    const auto opened = OpenParquet(arrow::Buffer::FromString(file));
    const auto last = opened->metadata()->RowGroup(0)->ColumnChunk(2);
    return static_cast<size_t>(last->data_page_offset() + last->total_compressed_size());
  };
  EXPECT_EQ(fixed.substr(0, data_end(fixed)), list.substr(0, data_end(list)));
  EXPECT_EQ(SchemaText(*OpenParquet(arrow::Buffer::FromString(fixed))),
            SchemaText(*OpenParquet(arrow::Buffer::FromString(list))));
}

TEST(ParquetSink, ListRoundsDoubles) {
  const auto file =
      Write(MakeParquetSink, Features(1), kPaths, kLabels, *Vectors<double>(1, {0.1, 2, 1.0 / 3}));
  ExpectSameBits<float>(
      Column<arrow::FixedSizeListArray>(*ReadTable(file).ValueOrDie(), "features"), 1,
      {0.1f, 2, 1.0f / 3});
}

TEST(ParquetSink, SparkVectorReadsBackToTheBit) {
  const auto values = RandomValues<double>(3 * 50);
  const auto file = Write(MakeParquetSink, SparkPca(50), kPaths, kLabels, *Vectors(50, values));
  const auto table = ReadTable(file).ValueOrDie();
  ExpectTexts(*table);
  const auto& vectors = Column<arrow::StructArray>(*table, "pca_features");
  EXPECT_EQ(vectors.null_count(), 0);
  const auto& types = static_cast<const arrow::Int8Array&>(*vectors.GetFieldByName("type"));
  for (int64_t row = 0; row < 3; ++row) EXPECT_EQ(types.Value(row), 1);
  EXPECT_EQ(vectors.GetFieldByName("size")->null_count(), 3);
  EXPECT_EQ(vectors.GetFieldByName("indices")->null_count(), 3);
  ExpectSameBits(static_cast<const arrow::ListArray&>(*vectors.GetFieldByName("values")), 50,
                 values);
}

TEST(ParquetSink, SchemaIsTheOriginals) {
  const auto list =
      OpenParquet(Write(MakeParquetSink, Features(2), {}, {}, *Vectors<float>(2, {})));
  const auto spark =
      OpenParquet(Write(MakeParquetSink, SparkPca(50), {}, {}, *Vectors<double>(50, {})));
  EXPECT_EQ(SchemaText(*list),
            "required group field_id=-1 spark_schema {\n"
            "  optional binary field_id=-1 path (String);\n"
            "  optional binary field_id=-1 label (String);\n"
            "  optional group field_id=-1 features (List) {\n"
            "    repeated group field_id=-1 list {\n"
            "      optional float field_id=-1 element;\n"
            "    }\n"
            "  }\n"
            "}\n");

  const std::string features = SeedPart("features/parquet");
  const std::string pca = SeedPart("pca/parquet");
  if (features.empty() || pca.empty()) {
    GTEST_SKIP() << "POMONA_TEST_DATA has no reference/seed_output_sample";
  }
  EXPECT_EQ(SchemaText(*list), SchemaText(*parquet::ParquetFileReader::OpenFile(features)));
  const auto original = parquet::ParquetFileReader::OpenFile(pca);
  EXPECT_EQ(SchemaText(*spark), SchemaText(*original));
  EXPECT_EQ(spark->metadata()->key_value_metadata()->Get(kSparkRowMetadata).ValueOrDie(),
            original->metadata()->key_value_metadata()->Get(kSparkRowMetadata).ValueOrDie());
}

TEST(ParquetSink, MetadataStandsInTheFile) {
  const auto file = OpenParquet(
      Write(MakeParquetSink, Features(1), kPaths, kLabels, *Vectors<float>(1, {1, 2, 3})));
  EXPECT_EQ(file->metadata()->num_row_groups(), 1);
  EXPECT_EQ(file->metadata()->num_rows(), 3);
  const auto metadata = file->metadata()->key_value_metadata();
  ASSERT_NE(metadata, nullptr);
  EXPECT_EQ(metadata->Get("pomona.a").ValueOrDie(), "1");
  EXPECT_EQ(metadata->Get("pomona.b").ValueOrDie(), "2");
  EXPECT_FALSE(metadata->Contains(kSparkRowMetadata));
}

// What Spark's vectorized reader takes: plain values, and a dictionary only of labels.
TEST(ParquetSink, EncodingsAndCompression) {
  for (const VectorTable& table : {Features(50), Features(50, VectorLayout::kList), SparkPca(50)}) {
    const auto file = OpenParquet(
        Write(MakeParquetSink, table, kPaths, kLabels, *Vectors(50, RandomValues<float>(150))));
    const auto columns = file->metadata()->RowGroup(0);
    for (int i = 0; i < columns->num_columns(); ++i) {
      const auto column = columns->ColumnChunk(i);
      EXPECT_EQ(column->compression(), parquet::Compression::ZSTD);
      EXPECT_EQ(column->has_dictionary_page(), i == 1);
      for (const parquet::Encoding::type encoding : column->encodings()) {
        EXPECT_TRUE(encoding == parquet::Encoding::PLAIN || encoding == parquet::Encoding::RLE ||
                    (i == 1 && encoding == parquet::Encoding::RLE_DICTIONARY))
            << i << " " << parquet::EncodingToString(encoding);
      }
    }
    const auto path = columns->ColumnChunk(0)->statistics();
    ASSERT_NE(path, nullptr);
    EXPECT_EQ(path->EncodeMin(), kPaths.front());
    EXPECT_EQ(path->EncodeMax(), kPaths.back());
  }
}

TEST(ParquetSink, PageChecksumsCatchAFlippedBit) {
  const auto good = Write(MakeParquetSink, Features(1280), kPaths, kLabels,
                          *Vectors(1280, RandomValues<float>(3 * 1280)));
  const auto column = OpenParquet(good)->metadata()->RowGroup(0)->ColumnChunk(2);
  // Random bits do not compress: zstd stores them, and would not notice by itself.
  std::string bytes = good->ToString();
  bytes[column->data_page_offset() + column->total_compressed_size() / 2] ^= 1;
  const auto bad = arrow::Buffer::FromString(bytes);
  EXPECT_TRUE(ReadTable(good).ok());
  const arrow::Status status = ReadTable(bad).status();
  EXPECT_NE(status.ToString().find("CRC"), std::string::npos) << status.ToString();
}

TEST(ParquetSink, BlocksDoNotShowInTheFile) {
  constexpr int kRows = 1000;  // several pages
  const std::vector<std::string> names(kRows, "name");
  const auto list = Vectors(1280, RandomValues<float>(kRows * 1280));
  const auto whole = Write(MakeParquetSink, Features(1280), names, names, *list);
  EXPECT_TRUE(whole->Equals(*Write(MakeParquetSink, Features(1280), names, names, *list)));
  EXPECT_TRUE(whole->Equals(
      *Write(MakeParquetSink, Features(1280), names, names, *list, {1, 0, 207, 3, 500, 1})));

  const auto vectors = Vectors(500, RandomValues<double>(kRows * 500));
  EXPECT_TRUE(Write(MakeParquetSink, SparkPca(500), names, names, *vectors)
                  ->Equals(*Write(MakeParquetSink, SparkPca(500), names, names, *vectors,
                                  {1, 0, 207, 3, 500, 1})));
}

// ClickHouse before 26.1 cut an array short that went on in the next page, without a word, unless the
// file had a page index, with which no array may do so.
TEST(ParquetSink, PagesBeginWithARow) {
  constexpr int kRows = 1000;
  const std::vector<std::string> names(kRows, "name");
  for (const VectorTable& table :
       {Features(1280), Features(1280, VectorLayout::kList), SparkPca(1280)}) {
    const auto file = OpenParquet(Write(MakeParquetSink, table, names, names,
                                        *Vectors(1280, RandomValues<float>(kRows * 1280))));
    const int column = file->metadata()->num_columns() - 1;
    const auto index = file->GetPageIndexReader()->RowGroup(0)->GetOffsetIndex(column);
    ASSERT_NE(index, nullptr);
    const auto& places = index->page_locations();
    const auto pages = file->RowGroup(0)->GetColumnPageReader(column);
    const size_t value_bytes = table.layout == VectorLayout::kSpark ? 8 : 4;
    ASSERT_EQ(places.size(), value_bytes == 8 ? 10u : 5u);
    for (size_t i = 0; i < places.size(); ++i) {
      const auto page = pages->NextPage();
      ASSERT_NE(page, nullptr);
      const auto& data = static_cast<const parquet::DataPageV1&>(*page);
      const int64_t next = i + 1 < places.size() ? places[i + 1].first_row_index : kRows;
      EXPECT_EQ(data.num_values(), (next - places[i].first_row_index) * 1280);
      EXPECT_LE(data.size(), (1 << 20) + 64 * 1024);
      if (i + 1 < places.size()) {
        EXPECT_GE(data.size(), 1 << 20);
      }
      parquet::LevelDecoder levels;
      levels.SetData(data.repetition_level_encoding(), /*max_level=*/1, data.num_values(),
                     data.data(), data.size());
      std::vector<int16_t> level(1280);
      ASSERT_EQ(levels.Decode(1280, level.data()), 1280);
      EXPECT_EQ(level[0], 0);
      EXPECT_EQ(std::count(level.begin(), level.end(), 0), 1);
    }
    EXPECT_EQ(pages->NextPage(), nullptr);
  }
}

TEST(ParquetSink, NoRowsGiveAValidFile) {
  for (const VectorTable& table : {Features(50), Features(50, VectorLayout::kList), SparkPca(50)}) {
    const auto read =
        ReadTable(Write(MakeParquetSink, table, {}, {}, *Vectors<float>(50, {}))).ValueOrDie();
    EXPECT_EQ(read->num_rows(), 0);
    EXPECT_EQ(read->num_columns(), 3);
  }
}

TEST(ParquetSink, RefusesWrongRows) {
  auto out = arrow::io::BufferOutputStream::Create().ValueOrDie();
  EXPECT_TRUE(MakeParquetSink(out, Features(2), Strings({"a"}), Strings({})).status().IsInvalid());
  EXPECT_TRUE(MakeParquetSink(out, Features(0), Strings({}), Strings({})).status().IsInvalid());
  auto sink =
      MakeParquetSink(out, Features(2), Strings({"a", "b"}), Strings({"l", "l"})).ValueOrDie();
  EXPECT_TRUE(sink->Append(*Vectors<float>(3, {1, 2, 3})).IsInvalid());
  EXPECT_TRUE(sink->Append(*Vectors<float>(2, {1, 2, 3, 4, 5, 6})).IsInvalid());
  EXPECT_TRUE(sink->Append(*Vectors<float>(2, {1, 2})).ok());
  EXPECT_TRUE(sink->Finish().IsInvalid());
}

TEST(ParquetSink, AFullDiskIsAnError) {
  auto full = arrow::io::FileOutputStream::Open("/dev/full");
  if (!full.ok()) GTEST_SKIP() << "no /dev/full on this system";
  // Not even the magic number finds room.
  auto sink = MakeParquetSink(*full, Features(1), Strings({"a"}), Strings({"l"}));
  EXPECT_TRUE(sink.status().IsIOError()) << sink.status().ToString();
}

}  // namespace
}  // namespace pomona
