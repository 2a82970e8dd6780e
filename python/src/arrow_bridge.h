// Arrow data to and from Python objects, by the Arrow PyCapsule protocol: nothing is copied.
#pragma once

#include <arrow/array.h>
#include <arrow/chunked_array.h>
#include <arrow/record_batch.h>
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace pomona::python {

// Whether the object offers Arrow data: an array or a chunked array of any library.
bool IsArrow(nanobind::handle object);

// The chunks of an Arrow array or chunked array.
std::vector<std::shared_ptr<arrow::Array>> ImportArrow(nanobind::handle object);

// Calls use(value, is_text) for each value of a binary or string array.
template <typename Use>
void ForEachBinary(const arrow::Array& array, Use use) {
  const auto visit = [&](const auto& values, bool is_text) {
    for (int64_t i = 0; i < values.length(); ++i) {
      use(values.IsNull(i) ? std::string_view() : std::string_view(values.GetView(i)), is_text);
    }
  };
  switch (array.type_id()) {
    case arrow::Type::BINARY: visit(static_cast<const arrow::BinaryArray&>(array), false); break;
    case arrow::Type::LARGE_BINARY:
      visit(static_cast<const arrow::LargeBinaryArray&>(array), false);
      break;
    case arrow::Type::BINARY_VIEW:
      visit(static_cast<const arrow::BinaryViewArray&>(array), false);
      break;
    case arrow::Type::STRING: visit(static_cast<const arrow::StringArray&>(array), true); break;
    case arrow::Type::LARGE_STRING:
      visit(static_cast<const arrow::LargeStringArray&>(array), true);
      break;
    case arrow::Type::STRING_VIEW:
      visit(static_cast<const arrow::StringViewArray&>(array), true);
      break;
    default:
      throw nanobind::type_error(
          ("expected an Arrow array of binary or string, not of " + array.type()->ToString())
              .c_str());
  }
}

nanobind::object ExportArray(const std::shared_ptr<arrow::Array>& array);        // pyarrow.Array
nanobind::object ExportTable(const std::shared_ptr<arrow::RecordBatch>& batch);  // pyarrow.Table
// A pyarrow.Table of one or more batches of one schema.
nanobind::object ExportTable(const arrow::RecordBatchVector& batches);

// Rows of vectors from an Arrow array of lists of floats, or from anything with the buffer or
// DLPack protocol that is a matrix.
//
// Errors: TypeError where it is neither; ValueError where rows differ in length or are null.
class Rows {
 public:
  explicit Rows(nanobind::handle object);

  int dimensions() const { return dimensions_; }  // 0 where there is no row
  int64_t count() const { return count_; }
  bool from_arrow() const { return from_arrow_; }
  // Each holds whole rows; in order.
  const std::vector<std::span<const float>>& blocks() const { return blocks_; }

 private:
  using Matrix =
      nanobind::ndarray<const float, nanobind::ndim<2>, nanobind::c_contig, nanobind::device::cpu>;

  void AddMatrix(nanobind::handle object);
  void AddLists(const std::shared_ptr<arrow::Array>& lists);

  int dimensions_ = 0;
  int64_t count_ = 0;
  bool from_arrow_ = false;
  std::vector<std::span<const float>> blocks_;
  std::vector<std::shared_ptr<arrow::Array>> arrays_;
  std::vector<std::vector<float>> converted_;
  Matrix matrix_;
};

void BindArrow(nanobind::module_& module);

}  // namespace pomona::python
