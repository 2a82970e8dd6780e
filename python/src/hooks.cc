#include "hooks.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/string_view.h>

#include <utility>

#include "errors.h"
#include "path.h"

namespace nb = nanobind;

namespace pomona::python {

CallHooks::CallHooks(nb::object progress, nb::object log)
    : progress_(std::move(progress)), log_(std::move(log)) {
  hooks_.cancel = &cancel_;
  hooks_.progress = [this](const Progress& progress) { Report(progress); };
  hooks_.log = [this](const std::string& line) { Log(line); };
}

void CallHooks::Report(const Progress& progress) {
  Call([&] {
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (!progress_.is_none()) progress_(progress.stage, progress.done, progress.total);
  });
}

void CallHooks::Log(const std::string& line) {
  Call([&] {
    if (!log_.is_none()) log_("%s", Path(InPythonsWords(line)));
  });
}

template <typename Function>
void CallHooks::Call(Function function) {
  if (cancel_) return;
  const nb::gil_scoped_acquire gil;
  try {
    function();
  } catch (nb::python_error& error) {
    Fail(std::move(error));
  }
}

void CallHooks::Fail(nb::python_error&& error) {
  if (!error_) error_.emplace(std::move(error));
  cancel_ = true;
}

void CallHooks::Rethrow() {
  if (error_) throw nb::python_error(std::move(*error_));
}

}  // namespace pomona::python
