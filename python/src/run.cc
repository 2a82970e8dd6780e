// pomona.run().
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "errors.h"
#include "hooks.h"
#include "options.h"
#include "path.h"
#include "pomona/executor.h"
#include "pomona/run.h"

namespace nb = nanobind;

namespace pomona::python {
namespace {

// Of executor(job, stage, tasks, deliver), whose exceptions end the run.
Executor ExecutorOf(const nb::object& executor, int parallelism, CallHooks* hooks) {
  const auto run = [&executor, hooks](const std::string& job, const std::string& stage,
                                      int64_t tasks,
                                      const Executor::Deliver& deliver) -> arrow::Status {
    const nb::gil_scoped_acquire gil;
    try {
      executor(Path(job), stage, tasks, nb::cpp_function([&deliver](const std::string& result) {
                 arrow::Status status;
                 {
                   const nb::gil_scoped_release release;
                   status = deliver(result);
                 }
                 ThrowIfFailed(status);
               }));
      return arrow::Status::OK();
    } catch (nb::python_error& error) {
      hooks->Fail(std::move(error));
      return arrow::Status::Cancelled("interrupted");
    }
  };
  return {run, parallelism};
}

}  // namespace

void BindRun(nb::module_& module) {
  nb::class_<RunSummary>(module, "RunSummary", "A published run, or what a shard made of one.")
      .def(nb::init<const RunSummary&>(), nb::arg("summary"))
      .def_ro("run_id", &RunSummary::run_id)
      .def_prop_ro("listed", [](const RunSummary& self) { return self.counts.listed; })
      .def_prop_ro(
          "rows", [](const RunSummary& self) { return self.counts.rows; }, "Images with features.")
      .def_prop_ro(
          "rejects", [](const RunSummary& self) { return self.counts.rejects; },
          "Images without; see errors/errors_{run_id}.")
      .def_prop_ro(
          "skips", [](const RunSummary& self) { return self.counts.skips; },
          "Files that are no image.")
      .def_prop_ro(
          "resumed", [](const RunSummary& self) { return self.counts.resumed; },
          "Of listed: taken from an unfinished run.")
      .def_prop_ro(
          "reused", [](const RunSummary& self) { return self.counts.reused; },
          "Of rows: features of unchanged images, taken from the run reused_run_id.")
      .def_ro("reused_run_id", &RunSummary::reused_run_id)
      .def_ro("rejects_by_reason", &RunSummary::rejects_by_reason)
      .def_ro("skips_by_reason", &RunSummary::skips_by_reason)
      .def_ro("unlabelled", &RunSummary::unlabelled,
              "Of listed: in no folder, as right in a bucket; their label is empty.")
      .def_ro("components", &RunSummary::components, "Of the PCA.")
      .def_ro("given_pca", &RunSummary::given_pca,
              "The digest of the PCA, where an earlier run fitted it; else empty.")
      .def_ro("variance_explained", &RunSummary::variance_explained,
              "Share of the variance that they explain.")
      .def_ro("seconds", &RunSummary::seconds)
      .def_ro("images_per_second", &RunSummary::images_per_second)
      .def_ro("peak_memory_bytes", &RunSummary::peak_memory_bytes)
      .def_ro("folders", &RunSummary::folders, "That were published, below the output.")
      .def_ro("fragments_missing", &RunSummary::fragments_missing,
              "Of a shard: what others have to make before one of them publishes the run.")
      .def_ro("published_elsewhere", &RunSummary::published_elsewhere,
              "Another shard has published the run.")
      .def_prop_ro("published", &RunSummary::published, "Whether this call published the run.")
      .def("__repr__", &Describe);

  module.def(
      "run",
      [](const Path& input, const Path& output, const nb::object& progress, const nb::object& log,
         const nb::dict& given, const nb::object& executor, int parallelism) {
        const RunOptions options = OptionsOf(given);
        CallHooks hooks(progress, log);
        const Executor elsewhere = ExecutorOf(executor, parallelism, &hooks);
        arrow::Result<RunSummary> summary;
        {
          const nb::gil_scoped_release release;
          summary =
              Run(input, output, options, hooks.hooks(), executor.is_none() ? nullptr : &elsewhere);
        }
        hooks.Rethrow();
        return ValueOf(std::move(summary));
      },
      nb::arg("input"), nb::arg("output"), nb::arg("progress").none(), nb::arg("log").none(),
      nb::arg("options"), nb::arg("executor").none() = nb::none(), nb::arg("parallelism") = 1);

  nb::class_<TaskWorker>(module, "Worker", "Does tasks of a run that another process planned.")
      .def(nb::new_([](const Path& job, const Path& weights) {
             arrow::Result<std::unique_ptr<TaskWorker>> worker;
             {
               const nb::gil_scoped_release release;
               worker = TaskWorker::Open(job, weights);
             }
             return ValueOf(std::move(worker));
           }),
           nb::arg("job"), nb::arg("weights") = Path())
      .def(
          "run",
          [](TaskWorker& self, const std::string& stage, int64_t task) {
            arrow::Result<std::string> result;
            {
              const nb::gil_scoped_release release;
              result = self.Run(stage, task);
            }
            return ValueOf(std::move(result));
          },
          nb::arg("stage"), nb::arg("task"));
}

}  // namespace pomona::python
