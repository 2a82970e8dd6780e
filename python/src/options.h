// Keyword arguments -> RunOptions, by the library's own table of options.
#pragma once

#include <nanobind/nanobind.h>

#include "pomona/options.h"

namespace pomona::python {

// Errors: TypeError for a name that is no option, ValueError for a value it does not take.
RunOptions OptionsOf(const nanobind::dict& options);

void BindOptions(nanobind::module_& module);

}  // namespace pomona::python
