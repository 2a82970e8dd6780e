// What module.cc puts together; each is bound by the file of its name.
#pragma once

#include <nanobind/nanobind.h>

namespace pomona::python {

void BindAudit(nanobind::module_& module);
void BindCheck(nanobind::module_& module);
void BindExtractor(nanobind::module_& module);
void BindIndex(nanobind::module_& module);
void BindPublished(nanobind::module_& module);
void BindReduce(nanobind::module_& module);
void BindRun(nanobind::module_& module);
void BindReports(nanobind::module_& module);
void BindSelect(nanobind::module_& module);

}  // namespace pomona::python
