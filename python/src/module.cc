// pomona._core: the library for Python.
#include <nanobind/nanobind.h>

#include "arrow_bridge.h"
#include "bind.h"
#include "errors.h"
#include "options.h"
#include "pomona/version.h"

NB_MODULE(_core, module) {
  namespace py = pomona::python;
  module.doc() = "The C++ library; use the names of the package pomona.";
  module.attr("version") = pomona::kVersion;
  py::BindErrors(module);
  py::BindArrow(module);
  py::BindOptions(module);
  py::BindExtractor(module);
  py::BindReduce(module);
  py::BindRun(module);
  py::BindCheck(module);
  py::BindAudit(module);
  py::BindIndex(module);
  py::BindReports(module);
  py::BindSelect(module);
  py::BindPublished(module);
}
