// pomona.run().
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bind.h"
#include "errors.h"
#include "hooks.h"
#include "options.h"
#include "pomona/run.h"

namespace nb = nanobind;

namespace pomona::python {

void BindRun(nb::module_& module) {
  nb::class_<RunSummary>(module, "RunSummary", "A published run.")
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
      .def_ro("variance_explained", &RunSummary::variance_explained,
              "Share of the variance that they explain.")
      .def_ro("seconds", &RunSummary::seconds)
      .def_ro("images_per_second", &RunSummary::images_per_second)
      .def_ro("peak_memory_bytes", &RunSummary::peak_memory_bytes)
      .def_ro("folders", &RunSummary::folders, "That were published, below the output.")
      .def("__repr__", &Describe);

  module.def(
      "run",
      [](const std::string& input, const std::string& output, const nb::object& progress,
         const nb::object& log, const nb::dict& given) {
        const RunOptions options = OptionsOf(given);
        CallHooks hooks(progress, log);
        arrow::Result<RunSummary> summary;
        {
          const nb::gil_scoped_release release;
          summary = Run(input, output, options, hooks.hooks());
        }
        hooks.Rethrow();
        return ValueOf(std::move(summary));
      },
      nb::arg("input"), nb::arg("output"), nb::arg("progress").none(), nb::arg("log").none(),
      nb::arg("options"));
}

}  // namespace pomona::python
