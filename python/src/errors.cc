#include "errors.h"

#include <stdexcept>
#include <string>

#include "pomona/pipeline.h"

namespace nb = nanobind;

namespace pomona::python {
namespace {

struct OutputBusy : std::runtime_error {
  using std::runtime_error::runtime_error;
};
struct TooManyRejects : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] void Throw(PyObject* type, const std::string& message) {
  PyErr_SetString(type, message.c_str());
  throw nb::python_error();
}

}  // namespace

void ThrowIfFailed(const arrow::Status& status) {
  if (status.ok()) return;
  const std::string& message = status.message();
  if (const auto refusal = RefusalOf(status)) {
    if (*refusal == RunRefusal::kOutputBusy) throw OutputBusy(message);
    throw TooManyRejects(message);
  }
  switch (status.code()) {
    case arrow::StatusCode::Invalid: Throw(PyExc_ValueError, message);
    case arrow::StatusCode::TypeError: Throw(PyExc_TypeError, message);
    case arrow::StatusCode::KeyError: Throw(PyExc_LookupError, message);
    case arrow::StatusCode::IOError: Throw(PyExc_OSError, message);
    case arrow::StatusCode::OutOfMemory: Throw(PyExc_MemoryError, message);
    case arrow::StatusCode::NotImplemented: Throw(PyExc_NotImplementedError, message);
    case arrow::StatusCode::Cancelled: Throw(PyExc_KeyboardInterrupt, message);
    default: Throw(PyExc_RuntimeError, message);
  }
}

void BindErrors(nb::module_& module) {
  nb::exception<OutputBusy>(module, "OutputBusy", PyExc_RuntimeError).doc() =
      "Another run is writing to this output; nothing was changed.";
  nb::exception<TooManyRejects>(module, "TooManyRejects", PyExc_RuntimeError).doc() =
      "More images were rejected than max_rejects allows; nothing was published.";
}

}  // namespace pomona::python
