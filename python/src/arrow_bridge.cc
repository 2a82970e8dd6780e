#include "arrow_bridge.h"

#include <arrow/c/abi.h>
#include <arrow/c/bridge.h>
#include <arrow/type.h>

#include <string>

#include "errors.h"

namespace nb = nanobind;

namespace pomona::python {
namespace {

constexpr const char* kSchemaCapsule = "arrow_schema";
constexpr const char* kArrayCapsule = "arrow_array";
constexpr const char* kStreamCapsule = "arrow_array_stream";

template <typename T>
T* Pointer(nb::handle capsule, const char* name) {
  void* pointer = PyCapsule_GetPointer(capsule.ptr(), name);
  if (!pointer) throw nb::python_error();
  return static_cast<T*>(pointer);
}

// A struct of the C data interface in a capsule, which releases it where no one took it.
template <typename T>
nb::object NewCapsule(T* content, const char* name) {
  PyObject* capsule = PyCapsule_New(content, name, [](PyObject* self) {
    T* content = static_cast<T*>(PyCapsule_GetPointer(self, PyCapsule_GetName(self)));
    if (content->release) content->release(content);
    delete content;
  });
  if (!capsule) throw nb::python_error();
  return nb::steal(capsule);
}

// Arrow data on its way out: an array, or a record batch as an array of structs.
struct Exported {
  std::shared_ptr<arrow::Array> array;
  std::shared_ptr<arrow::RecordBatch> batch;

  nb::tuple Capsules() const {
    auto schema = std::make_unique<ArrowSchema>();
    auto content = std::make_unique<ArrowArray>();
    ThrowIfFailed(array ? arrow::ExportArray(*array, content.get(), schema.get())
                        : arrow::ExportRecordBatch(*batch, content.get(), schema.get()));
    const nb::object schema_capsule = NewCapsule(schema.release(), kSchemaCapsule);
    return nb::make_tuple(schema_capsule, NewCapsule(content.release(), kArrayCapsule));
  }
};

}  // namespace

bool IsArrow(nb::handle object) {
  return nb::hasattr(object, "__arrow_c_stream__") || nb::hasattr(object, "__arrow_c_array__");
}

std::vector<std::shared_ptr<arrow::Array>> ImportArrow(nb::handle object) {
  if (nb::hasattr(object, "__arrow_c_array__")) {
    const nb::object capsules = object.attr("__arrow_c_array__")();
    return {ValueOf(arrow::ImportArray(Pointer<ArrowArray>(capsules[1], kArrayCapsule),
                                       Pointer<ArrowSchema>(capsules[0], kSchemaCapsule)))};
  }
  const nb::object capsule = object.attr("__arrow_c_stream__")();
  return ValueOf(arrow::ImportChunkedArray(Pointer<ArrowArrayStream>(capsule, kStreamCapsule)))
      ->chunks();
}

nb::object ExportArray(const std::shared_ptr<arrow::Array>& array) {
  return nb::module_::import_("pyarrow").attr("array")(Exported{array, nullptr});
}

nb::object ExportTable(const std::shared_ptr<arrow::RecordBatch>& batch) {
  return nb::module_::import_("pyarrow").attr("table")(Exported{nullptr, batch});
}

nb::object ExportTable(const arrow::RecordBatchVector& batches) {
  nb::list tables;
  for (const auto& batch : batches) tables.append(ExportTable(batch));
  return nb::module_::import_("pyarrow").attr("concat_tables")(tables);
}

Rows::Rows(nb::handle object) {
  from_arrow_ = IsArrow(object);
  if (from_arrow_) {
    for (const auto& chunk : ImportArrow(object)) AddLists(chunk);
  } else {
    AddMatrix(object);
  }
  if (count_ > 0 && dimensions_ == 0) throw nb::value_error("rows: the vectors hold no numbers");
}

void Rows::AddMatrix(nb::handle object) {
  if (!nb::try_cast<Matrix>(object, matrix_)) {
    throw nb::type_error("rows: expected an Arrow array of lists of floats or a matrix of floats");
  }
  count_ = static_cast<int64_t>(matrix_.shape(0));
  dimensions_ = static_cast<int>(matrix_.shape(1));
  if (count_ > 0) blocks_.push_back({matrix_.data(), matrix_.size()});
}

void Rows::AddLists(const std::shared_ptr<arrow::Array>& lists) {
  if (lists->length() == 0) return;
  if (lists->null_count() > 0)
    throw nb::value_error(
        "rows: a vector is null; leave such rows out: table.filter(pc.field('verdict') == 'ok')");
  std::shared_ptr<arrow::Array> values;
  const auto add = [&](const auto& list) {
    const int64_t dimensions = list.value_length(0);
    for (int64_t row = 1; row < list.length(); ++row) {
      if (list.value_length(row) != dimensions) {
        throw nb::value_error("rows: the vectors differ in length");
      }
    }
    if (dimensions_ != 0 && dimensions != dimensions_) {
      throw nb::value_error("rows: the vectors differ in length");
    }
    dimensions_ = static_cast<int>(dimensions);
    values = list.values()->Slice(list.value_offset(0), dimensions * list.length());
  };
  switch (lists->type_id()) {
    case arrow::Type::LIST: add(static_cast<const arrow::ListArray&>(*lists)); break;
    case arrow::Type::LARGE_LIST: add(static_cast<const arrow::LargeListArray&>(*lists)); break;
    case arrow::Type::FIXED_SIZE_LIST:
      add(static_cast<const arrow::FixedSizeListArray&>(*lists));
      break;
    default:
      throw nb::type_error(("rows: an Arrow array of lists of floats is expected, not of " +
                            lists->type()->ToString())
                               .c_str());
  }
  if (values->null_count() > 0) throw nb::value_error("rows: a vector has a null in it");
  count_ += lists->length();
  if (const auto* floats = dynamic_cast<const arrow::FloatArray*>(values.get())) {
    blocks_.push_back({floats->raw_values(), static_cast<size_t>(floats->length())});
    arrays_.push_back(values);
  } else if (const auto* doubles = dynamic_cast<const arrow::DoubleArray*>(values.get())) {
    const double* from = doubles->raw_values();
    blocks_.push_back(converted_.emplace_back(from, from + doubles->length()));
  } else {
    throw nb::type_error(
        ("rows: the vectors hold " + values->type()->ToString() + ", not floats").c_str());
  }
}

void BindArrow(nb::module_& module) {
  nb::class_<Exported>(module, "_Exported")
      .def(
          "__arrow_c_array__", [](const Exported& self, nb::handle) { return self.Capsules(); },
          nb::arg("requested_schema").none() = nb::none());
}

}  // namespace pomona::python
