// Which files of a listing a run takes, for the job on Spark, which lists them itself.
#include <arrow/array.h>
#include <arrow/builder.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "arrow_bridge.h"
#include "bind.h"
#include "errors.h"
#include "options.h"
#include "pomona/source.h"

namespace nb = nanobind;

namespace pomona::python {
namespace {

// A Boolean for each path of an Arrow array.
template <typename Test>
nb::object Mask(nb::handle paths, const std::string& root, Test test) {
  arrow::BooleanBuilder mask;
  for (const auto& chunk : ImportArrow(paths)) {
    ForEachBinary(*chunk, [&](std::string_view path, bool) {
      Item item{std::string(path)};
      if (item.path.starts_with(root + '/')) item.root_size = root.size() + 1;
      ThrowIfFailed(mask.Append(test(item)));
    });
  }
  return ExportArray(ValueOf(mask.Finish()));
}

}  // namespace

void BindSelect(nb::module_& module) {
  module.def(
      "is_apple",
      [](nb::handle paths, const std::string& root) { return Mask(paths, root, &IsApple); },
      nb::arg("paths"), nb::arg("root"), "Mask of the paths whose label matches Apple*.");
  module.def(
      "is_listed",
      [](nb::handle paths, const std::string& root, const RunOptions& options) {
        PathFilter filter = ValueOf(PathFilter::Make(options));
        return Mask(paths, root,
                    [&](const Item& item) { return filter.TakesFile(item.relative_path()); });
      },
      nb::arg("paths"), nb::arg("root"), nb::arg("options"),
      "Mask of the paths that are not hidden and that the options' globs take.");
  module.def(
      "item_limit",
      [](const RunOptions& options) {
        return static_cast<int64_t>(std::min(ItemLimit(options), size_t{INT64_MAX}));
      },
      nb::arg("options"), "How many of them a run has at most.");
  module.attr("max_file_bytes") = kMaxFileBytes;
}

}  // namespace pomona::python
