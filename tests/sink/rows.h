// Arrays to write and the bytes that a sink makes of them.
#pragma once

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/io/memory.h>
#include <gtest/gtest.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "pomona/sink.h"

namespace pomona {

using MakeSink = decltype(&MakeParquetSink);

inline std::shared_ptr<arrow::StringArray> Strings(const std::vector<std::string>& texts) {
  arrow::StringBuilder builder;
  EXPECT_TRUE(builder.AppendValues(texts).ok());
  return std::static_pointer_cast<arrow::StringArray>(builder.Finish().ValueOrDie());
}

template <typename T>
std::shared_ptr<arrow::FixedSizeListArray> Vectors(int dimensions, const std::vector<T>& values) {
  typename arrow::CTypeTraits<T>::BuilderType builder;
  EXPECT_TRUE(builder.AppendValues(values).ok());
  auto type = arrow::fixed_size_list(arrow::CTypeTraits<T>::type_singleton(), dimensions);
  return std::make_shared<arrow::FixedSizeListArray>(
      type, static_cast<int64_t>(values.size()) / dimensions, builder.Finish().ValueOrDie());
}

// The file that `make` writes of the vectors, appended in blocks of these lengths and, last, of
// what they leave.
inline std::shared_ptr<arrow::Buffer> Write(MakeSink make, const VectorTable& table,
                                            const std::vector<std::string>& paths,
                                            const std::vector<std::string>& labels,
                                            const arrow::FixedSizeListArray& vectors,
                                            std::initializer_list<int64_t> blocks = {}) {
  auto out = arrow::io::BufferOutputStream::Create().ValueOrDie();
  auto sink = make(out, table, Strings(paths), Strings(labels)).ValueOrDie();
  int64_t row = 0;
  const auto append = [&](int64_t rows) {
    const auto block = vectors.Slice(row, rows);
    EXPECT_EQ(sink->Append(static_cast<const arrow::FixedSizeListArray&>(*block)),
              arrow::Status::OK());
    row += rows;
  };
  for (const int64_t rows : blocks) append(rows);
  append(vectors.length() - row);
  EXPECT_EQ(sink->Finish(), arrow::Status::OK());
  EXPECT_TRUE(out->closed());
  return out->Finish().ValueOrDie();
}

}  // namespace pomona
