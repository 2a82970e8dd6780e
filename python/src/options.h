// Keyword arguments -> RunOptions, by the library's own table of options.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "pomona/options.h"

namespace pomona::python {

// "pca_components" for "pca-components".
std::string PythonName(const RunOptionSpec& spec);

// Errors: TypeError for a name that is no option, ValueError for a value it does not take.
RunOptions OptionsOf(const nanobind::dict& options);

void BindOptions(nanobind::module_& module);

}  // namespace pomona::python
