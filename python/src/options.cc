#include "options.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <string>
#include <type_traits>
#include <variant>

#include "errors.h"
#include "path.h"
#include "pomona/check.h"

namespace nb = nanobind;

namespace pomona::python {

std::string PythonName(const RunOptionSpec& spec) {
  std::string name = spec.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

namespace {

const RunOptionSpec& FindSpec(const std::string& name) {
  for (const RunOptionSpec& spec : RunOptionSpecs()) {
    if (PythonName(spec) == name) return spec;
  }
  throw nb::type_error(("there is no option '" + name + "'").c_str());
}

bool IsPath(nb::handle value) {
  return nb::isinstance<nb::bytes>(value) || nb::hasattr(value, "__fspath__");
}

std::string TextOf(nb::handle value) {
  if (value.is(Py_True)) return "true";
  if (value.is(Py_False)) return "false";
  return Path::Of(IsPath(value) ? nb::borrow(value) : nb::str(value));
}

// True and False, also NumPy's.
std::string FlagOf(const RunOptionSpec& spec, nb::handle value) {
  std::string text = TextOf(value);
  if (text == "True" || text == "False") text[0] = static_cast<char>(text[0] - 'A' + 'a');
  if (text == "true" || text == "false") return text;
  throw nb::value_error((PythonName(spec) + " '" + text + "': expected True or False").c_str());
}

bool HoldsSeveral(nb::handle value) {
  return nb::hasattr(value, "__iter__") && !nb::isinstance<nb::str>(value) && !IsPath(value);
}

void Set(const RunOptionSpec& spec, nb::handle value, RunOptions* options) {
  if (value.is_none()) return;
  if (nb::hasattr(value, "__next__")) {
    // It would be empty where the options are read once more.
    throw nb::type_error((PythonName(spec) + ": a list is expected, not an iterator").c_str());
  }
  if (spec.kind == RunOptionSpec::Kind::kFlag) {
    ThrowIfFailed(spec.set(options, FlagOf(spec, value)));
  } else if (!HoldsSeveral(value)) {
    ThrowIfFailed(spec.set(options, TextOf(value)));
  } else if (spec.kind == RunOptionSpec::Kind::kList) {
    for (nb::handle element : value) ThrowIfFailed(spec.set(options, TextOf(element)));
  } else {
    std::string list;
    for (nb::handle element : value) list += (list.empty() ? "" : ",") + TextOf(element);
    ThrowIfFailed(spec.set(options, list));
  }
}

}  // namespace

RunOptions OptionsOf(const nb::dict& given) {
  RunOptions options;
  for (const auto& [name, value] : given) {
    Set(FindSpec(Path::Of(name)), value, &options);
  }
  ThrowIfFailed(Validate(options));
  return options;
}

void BindOptions(nb::module_& module) {
  using Kind = RunOptionSpec::Kind;
  nb::class_<RunOptionSpec>(module, "OptionSpec", "An option of a run, for front ends.")
      .def_prop_ro("name", &PythonName)
      .def_prop_ro("flag", [](const RunOptionSpec& spec) { return "--" + std::string(spec.name); })
      .def_ro("value", &RunOptionSpec::value)
      .def_prop_ro("help", &HelpText)
      .def_prop_ro("is_switch", [](const RunOptionSpec& spec) { return spec.kind == Kind::kFlag; })
      .def_prop_ro("is_list", [](const RunOptionSpec& spec) { return spec.kind == Kind::kList; })
      .def_prop_ro("is_for_check", &IsCheckOption);
  module.def("option_specs", [] {
    const auto specs = RunOptionSpecs();
    return std::vector<RunOptionSpec>(specs.begin(), specs.end());
  });

  nb::class_<RunOptions> run_options(module, "RunOptions",
                                     "The options of a run; unset ones are the defaults.");
  for (const RunOptionSpec& spec : RunOptionSpecs()) {
    const auto define = [&]<typename T>(const T&) {
      run_options.def_prop_ro(
          PythonName(spec).c_str(),
          [get = spec.get](const RunOptions& self) {
            using Given = std::conditional_t<std::is_same_v<T, std::string>, Path, T>;
            return Given(std::get<T>(get(self)));
          },
          spec.help);
    };
    std::visit(define, spec.get({}));
  }
  run_options
      .def("__init__", [](RunOptions* self,
                          const nb::kwargs& options) { new (self) RunOptions(OptionsOf(options)); })
      .def_prop_ro("parquet", [](const RunOptions& self) { return self.formats.parquet; })
      .def_prop_ro("csv", [](const RunOptions& self) { return self.formats.csv; })
      .def_prop_ro("spark_vectors",
                   [](const RunOptions& self) { return self.vectors == VectorLayout::kSpark; })
      .def_ro("part_rows", &RunOptions::part_rows)
      .def(
          "allows_rejects",
          [](const RunOptions& self, int64_t rows, int64_t rejects) {
            return WithinBound(self.max_rejects, rows, rejects);
          },
          nb::arg("rows"), nb::arg("rejects"));
}

}  // namespace pomona::python
