#include "hooks.h"

#include <nanobind/stl/string_view.h>

#include <utility>

namespace nb = nanobind;

namespace pomona::python {

CallHooks::CallHooks(nb::object progress) : progress_(std::move(progress)) {
  hooks_.cancel = &cancel_;
  hooks_.progress = [this](const Progress& progress) { Report(progress); };
}

void CallHooks::Report(const Progress& progress) {
  if (cancel_) return;
  const nb::gil_scoped_acquire gil;
  try {
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (!progress_.is_none()) progress_(progress.stage, progress.done, progress.total);
  } catch (nb::python_error& error) {
    error_.emplace(std::move(error));
    cancel_ = true;
  }
}

void CallHooks::Rethrow() {
  if (error_) throw nb::python_error(std::move(*error_));
}

}  // namespace pomona::python
