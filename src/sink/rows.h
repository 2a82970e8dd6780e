// What both sinks ask of a part's rows.
#pragma once

#include <arrow/array.h>
#include <arrow/status.h>
#include <arrow/type.h>

#include <cstdint>
#include <type_traits>
#include <vector>

#include "pomona/sink.h"

namespace pomona {

inline arrow::Status CheckTable(const VectorTable& table, const arrow::StringArray& paths,
                                const arrow::StringArray& labels) {
  if (table.dimensions < 1) {
    return arrow::Status::Invalid("vectors of ", table.dimensions, " dimensions");
  }
  if (paths.length() != labels.length()) {
    return arrow::Status::Invalid(paths.length(), " paths, but ", labels.length(), " labels");
  }
  if (paths.null_count() + labels.null_count() > 0) {
    return arrow::Status::Invalid("a path or label is null");
  }
  return arrow::Status::OK();
}

// rows_left: how many rows of the part have no vector yet.
inline arrow::Status CheckBlock(const arrow::FixedSizeListArray& vectors, int dimensions,
                                int64_t rows_left) {
  const arrow::FixedSizeListType& type = *vectors.list_type();
  const arrow::Type::type value_type = type.value_type()->id();
  if (type.list_size() != dimensions ||
      (value_type != arrow::Type::FLOAT && value_type != arrow::Type::DOUBLE)) {
    return arrow::Status::Invalid("vectors of type ", type.ToString(), " where ", dimensions,
                                  " floating-point values are expected");
  }
  if (vectors.null_count() + vectors.values()->null_count() > 0) {
    return arrow::Status::Invalid("a vector or one of its values is null");
  }
  if (vectors.length() > rows_left) {
    return arrow::Status::Invalid(vectors.length(), " vectors appended where ", rows_left,
                                  " rows are left");
  }
  return arrow::Status::OK();
}

// rows_left: as above, at the end.
inline arrow::Status CheckComplete(int64_t rows_left) {
  if (rows_left > 0) return arrow::Status::Invalid(rows_left, " rows without a vector");
  return arrow::Status::OK();
}

// Calls write(const T*) -> Status with the values of each row, converted where the array's type is
// another, and stops at the first failure.
// REQUIRES: CheckBlock() of the vectors.
template <typename T, typename Write>
arrow::Status ForEachRow(const arrow::FixedSizeListArray& vectors, Write write) {
  const int64_t dimensions = vectors.list_type()->list_size();
  const auto visit = [&](const auto& values) {
    std::vector<T> converted;
    for (int64_t row = 0; row < vectors.length(); ++row) {
      const auto* source = values.raw_values() + vectors.value_offset(row);
      if constexpr (std::is_same_v<decltype(source), const T*>) {
        ARROW_RETURN_NOT_OK(write(source));
      } else {
        converted.assign(source, source + dimensions);
        ARROW_RETURN_NOT_OK(write(converted.data()));
      }
    }
    return arrow::Status::OK();
  };
  if (vectors.value_type()->id() == arrow::Type::FLOAT) {
    return visit(static_cast<const arrow::FloatArray&>(*vectors.values()));
  }
  return visit(static_cast<const arrow::DoubleArray&>(*vectors.values()));
}

}  // namespace pomona
