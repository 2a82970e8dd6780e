// Runs whose work is done by other processes: each stage is a number of tasks, which any process
// can do that reaches INPUT, OUTPUT and the weights.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "pomona/cancel.h"

namespace pomona {

// Who does the tasks of a run, in the place of this process' threads.
struct Executor {
  using Deliver = std::function<arrow::Status(std::string_view result)>;

  // Does the tasks 0 to tasks - 1 of a stage with a TaskWorker of `job`, wherever it likes, in any order,
  // again where one fails, and hands on the result of each, once. Called on the thread that called
  // Run(), where Deliver must be called as well. Errors: end the run.
  std::function<arrow::Status(const std::string& job, const std::string& stage, int64_t tasks,
                              const Deliver& deliver)>
      run;

  // How many tasks can be done at once, so that there are enough of them.
  int parallelism = 1;
};

// One of the processes that do the tasks of a run which another one plans and publishes. What it
// has to know it reads from OUTPUT/_pomona.
//
// Threads: one caller at a time; a worker works on one thread, or as many as an engine's device wants.
class TaskWorker {
 public:
  // `job`: as Executor::run was given it. `weights`: where the file is on this machine; empty: see
  // FindDefaultWeights().
  // Errors: Invalid where the run is not to be found, or was made for other weights or by another
  // version; IOError.
  static arrow::Result<std::unique_ptr<TaskWorker>> Open(const std::string& job,
                                                         const std::string& weights,
                                                         CancelToken cancel = {});
  virtual ~TaskWorker() = default;

  // Does a task, or finds it done, and returns its result. The same task gives the same files,
  // however often and wherever it is done.
  // Errors: those of Run() of pomona/run.h, but for what a reject can tell.
  virtual arrow::Result<std::string> Run(const std::string& stage, int64_t task) = 0;
};

}  // namespace pomona
