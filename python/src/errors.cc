#include "errors.h"

#include <arrow/util/io_util.h>
#include <nanobind/stl/string.h>

#include <string>

#include "options.h"
#include "path.h"
#include "pomona/run.h"

namespace nb = nanobind;

namespace pomona::python {
namespace {

[[noreturn]] void Throw(PyObject* type, const std::string& message) {
  PyErr_SetObject(type, nb::cast(Path(message)).ptr());
  throw nb::python_error();
}

void ReplaceAll(std::string* text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text->find(from, at)) != std::string::npos; at += to.size()) {
    text->replace(at, from.size(), to);
  }
}

}  // namespace

std::string InPythonsWords(std::string message) {
  for (const RunOptionSpec& spec : RunOptionSpecs()) {
    const std::string name = spec.name;
    const std::string pythons = PythonName(spec);
    ReplaceAll(&message, " --" + name, " " + pythons);
    // What is wrong with an option's value begins with its name.
    if (message.starts_with(name + ' ')) message.replace(0, name.size(), pythons);
  }
  return message;
}

void ThrowIfFailed(const arrow::Status& status) {
  if (status.ok()) return;
  const std::string message = InPythonsWords(status.message());
  if (const auto refusal = RefusalOf(status)) {
    const bool busy = *refusal == RunRefusal::kOutputBusy;
    const nb::module_ module = nb::module_::import_("pomona._core");
    Throw(module.attr(busy ? "OutputBusy" : "TooManyRejects").ptr(), message);
  }
  if (const int number = arrow::internal::ErrnoFromStatus(status)) {
    // The number makes Python choose among FileNotFoundError and the like.
    PyErr_SetObject(PyExc_OSError, nb::make_tuple(number, Path(message)).ptr());
    throw nb::python_error();
  }
  switch (status.code()) {
    case arrow::StatusCode::Invalid:
    case arrow::StatusCode::AlreadyExists: Throw(PyExc_ValueError, message);
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
  const auto define = [&](const char* name, const char* doc) {
    // As the module is called here: the stub is written of a module without its package.
    const std::string full = nb::cast<std::string>(module.attr("__name__")) + '.' + name;
    module.attr(name) =
        nb::steal(PyErr_NewExceptionWithDoc(full.c_str(), doc, PyExc_RuntimeError, nullptr));
  };
  define("OutputBusy", "Another run is writing to this output; nothing was changed.");
  define("TooManyRejects",
         "More images were rejected than max_rejects allows; nothing was published.");
}

}  // namespace pomona::python
