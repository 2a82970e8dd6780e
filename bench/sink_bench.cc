// Microseconds that the sinks spend on an image, writing to memory.
//
//   parquet    1280 float32 features as list<float>
//   spark      50 float64 components as Spark's vector
//   csv        1280 float32 features as text
//
// The features are random, a third of them zero as MobileNetV2's are, and compress no better than
// real ones. Each figure is the median of several parts, with the bytes that an image takes.
#include <arrow/builder.h>
#include <arrow/io/memory.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <random>
#include <vector>

#include "pomona/sink.h"

namespace {

using pomona::VectorLayout;
using pomona::VectorTable;

constexpr int kRows = 4096;
constexpr int kRepetitions = 7;

using MakeSink = decltype(&pomona::MakeParquetSink);

std::shared_ptr<arrow::FixedSizeListArray> RandomVectors(
    const std::shared_ptr<arrow::DataType>& type, int dimensions) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0.3f, 0.7f);
  auto fill = [&](auto builder) {
    for (int64_t i = 0; i < int64_t{kRows} * dimensions; ++i) {
      (void)builder.Append(std::max(0.0f, normal(random)));
    }
    return builder.Finish().ValueOrDie();
  };
  const auto values =
      type->id() == arrow::Type::FLOAT ? fill(arrow::FloatBuilder()) : fill(arrow::DoubleBuilder());
  return std::make_shared<arrow::FixedSizeListArray>(arrow::fixed_size_list(type, dimensions),
                                                     kRows, values);
}

arrow::Status WritePart(MakeSink make, const VectorTable& table,
                        const arrow::FixedSizeListArray& vectors,
                        const std::shared_ptr<arrow::StringArray>& paths,
                        const std::shared_ptr<arrow::StringArray>& labels, int64_t* bytes) {
  ARROW_ASSIGN_OR_RAISE(auto out, arrow::io::BufferOutputStream::Create());
  ARROW_ASSIGN_OR_RAISE(auto sink, make(out, table, paths, labels));
  ARROW_RETURN_NOT_OK(sink->Append(vectors));
  ARROW_RETURN_NOT_OK(sink->Finish());
  ARROW_ASSIGN_OR_RAISE(auto buffer, out->Finish());
  *bytes = buffer->size();
  return arrow::Status::OK();
}

arrow::Status Measure(const char* name, MakeSink make, const VectorTable& table,
                      const std::shared_ptr<arrow::DataType>& type) {
  arrow::StringBuilder path_builder, label_builder;
  for (int row = 0; row < kRows; ++row) {
    const std::string label = "Apple " + std::to_string(row / 400);
    ARROW_RETURN_NOT_OK(
        path_builder.Append("/data/Training/" + label + "/" + std::to_string(row) + "_100.jpg"));
    ARROW_RETURN_NOT_OK(label_builder.Append(label));
  }
  std::shared_ptr<arrow::StringArray> paths, labels;
  ARROW_RETURN_NOT_OK(path_builder.Finish(&paths));
  ARROW_RETURN_NOT_OK(label_builder.Finish(&labels));
  const auto vectors = RandomVectors(type, table.dimensions);

  std::vector<double> microseconds;
  int64_t bytes = 0;
  for (int i = 0; i < kRepetitions; ++i) {
    const auto start = std::chrono::steady_clock::now();
    ARROW_RETURN_NOT_OK(WritePart(make, table, *vectors, paths, labels, &bytes));
    const std::chrono::duration<double, std::micro> elapsed =
        std::chrono::steady_clock::now() - start;
    microseconds.push_back(elapsed.count() / kRows);
  }
  std::nth_element(microseconds.begin(), microseconds.begin() + kRepetitions / 2,
                   microseconds.end());
  std::printf("%-8s %7.2f us/image %7.0f bytes/image\n", name, microseconds[kRepetitions / 2],
              static_cast<double>(bytes) / kRows);
  return arrow::Status::OK();
}

arrow::Status MeasureAll() {
  const VectorTable features{"features", 1280, VectorLayout::kFixed, {}};
  const VectorTable components{"pca_features", 50, VectorLayout::kSpark, {}};
  ARROW_RETURN_NOT_OK(Measure("parquet", pomona::MakeParquetSink, features, arrow::float32()));
  ARROW_RETURN_NOT_OK(Measure("spark", pomona::MakeParquetSink, components, arrow::float64()));
  return Measure("csv", pomona::MakeCsvSink, features, arrow::float32());
}

}  // namespace

int main() {
  const arrow::Status status = MeasureAll();
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
