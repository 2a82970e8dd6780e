// Progress and interruption of a long call that runs without the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include <atomic>
#include <optional>

#include "pomona/pipeline.h"

namespace pomona::python {

// Hands progress to a Python callback and stops the call on Ctrl-C or when the callback raises.
//
// Made and destroyed with the GIL held, on the thread that makes the call.
class CallHooks {
 public:
  explicit CallHooks(nanobind::object progress);  // may be None

  const RunHooks& hooks() const { return hooks_; }

  // Throws what the callback or the signal handler raised, if anything.
  void Rethrow();

 private:
  void Report(const Progress& progress);

  nanobind::object progress_;
  std::atomic<bool> cancel_ = false;
  std::optional<nanobind::python_error> error_;
  RunHooks hooks_;
};

}  // namespace pomona::python
