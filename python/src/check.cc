// pomona.check().
#include "pomona/check.h"

#include <nanobind/stl/array.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <array>
#include <string>
#include <tuple>
#include <vector>

#include "bind.h"
#include "errors.h"
#include "hooks.h"
#include "options.h"
#include "path.h"
#include "pomona/junit.h"
#include "pomona/statistics.h"

namespace nb = nanobind;

namespace pomona::python {
namespace {

// path, label, format, mode, width, height, rgb_sha256, statistics.
using CheckedImage = std::tuple<std::string, std::string, std::string, std::string, int, int,
                                std::string, std::vector<double>>;

// With its rejects as the rows of the errors table, and its images where statistics are asked for.
struct Checked {
  CheckSummary summary;
  StatsKind stats = StatsKind::kNone;
  std::vector<std::array<std::string, 5>> rejects;
  std::vector<CheckedImage> images;

  void Add(const CheckResult& result) {
    if (!result.statistics.empty()) {
      images.emplace_back(result.item->path, result.item->label(), result.format, result.mode,
                          result.width, result.height, result.rgb_sha256, result.statistics);
    }
    const auto& reject = result.outcome.reject;
    if (!reject) return;
    rejects.push_back({result.item->path, std::string(result.item->label()),
                       std::string(StageName(reject->stage)),
                       std::string(ReasonName(reject->reason)), reject->message});
  }
};

arrow::Result<Checked> CheckTree(const std::string& input, const CheckOptions& options,
                                 const std::string& junit, const RunHooks& hooks) {
  if (!junit.empty()) ARROW_RETURN_NOT_OK(JunitReport::CheckWritable(junit));
  ARROW_ASSIGN_OR_RAISE(const auto source, OpenTree(input, options.run.s3, hooks.cancel));
  Checked checked;
  checked.stats = options.run.stats;
  JunitReport report;
  const auto add = [&](const CheckResult& result) {
    checked.Add(result);
    if (!junit.empty()) report.Add(result);
  };
  ARROW_ASSIGN_OR_RAISE(checked.summary, Check(*source, options, add, hooks));
  if (!junit.empty()) ARROW_RETURN_NOT_OK(report.Write(junit, input, checked.summary.passed));
  return checked;
}

}  // namespace

void BindCheck(nb::module_& module) {
  nb::class_<Checked>(module, "CheckSummary", "What became of the files that were checked.")
      .def(nb::init<const Checked&>(), nb::arg("summary"))
      .def_prop_ro("listed", [](const Checked& self) { return self.summary.counts.listed; })
      .def_prop_ro(
          "rows", [](const Checked& self) { return self.summary.counts.rows; },
          "Images that can be read.")
      .def_prop_ro(
          "rejects", [](const Checked& self) { return self.summary.counts.rejects; },
          "Images that cannot.")
      .def_prop_ro(
          "skips", [](const Checked& self) { return self.summary.counts.skips; },
          "Files that are no image.")
      .def_prop_ro("rejects_by_reason",
                   [](const Checked& self) { return self.summary.rejects_by_reason; })
      .def_prop_ro("skips_by_reason",
                   [](const Checked& self) { return self.summary.skips_by_reason; })
      .def_prop_ro(
          "unlabelled", [](const Checked& self) { return self.summary.unlabelled; },
          "Of listed: in no folder, as right in a bucket; their label is empty.")
      .def_prop_ro(
          "passed", [](const Checked& self) { return self.summary.passed; },
          "Whether max_rejects allows so many rejects.")
      .def_prop_ro("_stats", [](const Checked& self) { return std::string(StatsName(self.stats)); })
      .def_prop_ro("_statistic_names",
                   [](const Checked& self) { return StatisticNames(self.stats); })
      .def_ro("_rejects", &Checked::rejects)
      .def_ro("_images", &Checked::images);

  module.def(
      "check",
      [](const Path& input, const nb::object& progress, const nb::object& log,
         const nb::dict& given, const Path& junit) {
        const CheckOptions options{OptionsOf(given)};
        CallHooks hooks(progress, log);
        arrow::Result<Checked> checked;
        {
          const nb::gil_scoped_release release;
          checked = CheckTree(input, options, junit, hooks.hooks());
        }
        hooks.Rethrow();
        return ValueOf(std::move(checked));
      },
      nb::arg("input"), nb::arg("progress").none(), nb::arg("log").none(), nb::arg("options"),
      nb::arg("junit") = Path());
}

}  // namespace pomona::python
