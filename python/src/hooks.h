// Progress and interruption of a long call that runs without the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <optional>
#include <string>

#include "pomona/run.h"

namespace pomona::python {

// Hands progress to a Python callback and stops the call on Ctrl-C or when the callback raises.
//
// Made and destroyed with the GIL held, on the thread that makes the call.
class CallHooks {
 public:
  // Both may be None.
  explicit CallHooks(nanobind::object progress, nanobind::object log = nanobind::none());

  const RunHooks& hooks() const { return hooks_; }

  // Ends the call with what other Python code of it raised.
  void Fail(nanobind::python_error&& error);

  // Throws what the callback or the signal handler raised, if anything.
  void Rethrow();

 private:
  void Report(const Progress& progress);
  void Log(const std::string& line);
  template <typename Function>
  void Call(Function function);  // with the GIL; what it raises ends the call

  nanobind::object progress_;
  nanobind::object log_;
  std::atomic<bool> cancel_ = false;
  std::optional<nanobind::python_error> error_;
  RunHooks hooks_;
};

}  // namespace pomona::python
