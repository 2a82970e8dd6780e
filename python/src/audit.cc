// pomona.audit() and near_pairs().
#include "pomona/audit.h"

#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "arrow_bridge.h"
#include "audit_hooks.h"
#include "bind.h"
#include "errors.h"
#include "hooks.h"
#include "options.h"
#include "path.h"

namespace nb = nanobind;

namespace pomona::python {
namespace {

arrow::Result<std::shared_ptr<arrow::RecordBatch>> TableOf(const std::vector<NearPair>& pairs) {
  arrow::UInt32Builder a, b;
  arrow::DoubleBuilder cosine;
  for (const NearPair& pair : pairs) {
    ARROW_RETURN_NOT_OK(a.Append(pair.a));
    ARROW_RETURN_NOT_OK(b.Append(pair.b));
    ARROW_RETURN_NOT_OK(cosine.Append(pair.cosine));
  }
  arrow::ArrayVector columns(3);
  ARROW_RETURN_NOT_OK(a.Finish(&columns[0]));
  ARROW_RETURN_NOT_OK(b.Finish(&columns[1]));
  ARROW_RETURN_NOT_OK(cosine.Finish(&columns[2]));
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("a", arrow::uint32(), false),
                                                 arrow::field("b", arrow::uint32(), false),
                                                 arrow::field("cosine", arrow::float64(), false)}),
                                  std::ssize(pairs), std::move(columns));
}

}  // namespace

void BindAudit(nb::module_& module) {
  nb::class_<AuditSummary>(module, "AuditSummary", "What an audit found.")
      .def_ro("run_id", &AuditSummary::run_id)
      .def_ro("rows", &AuditSummary::rows, "Images that were audited.")
      .def_ro("groups", &AuditSummary::groups,
              "Groups of images that are duplicates of one another.")
      .def_ro("duplicates", &AuditSummary::duplicates, "Images in these groups.")
      .def_ro("same_bytes", &AuditSummary::same_bytes,
              "Of these: with the very file of another one.")
      .def_ro("same_pixels", &AuditSummary::same_pixels,
              "Of these: another file with the very pixels of another one.")
      .def_ro("label_conflicts", &AuditSummary::label_conflicts, "Groups with more than one label.")
      .def_ro("splits", &AuditSummary::splits, "Parts of the data set that images are in.")
      .def_ro("split_leaks", &AuditSummary::split_leaks,
              "Groups in more than one part of the data set, as train and test.")
      .def_ro("outliers", &AuditSummary::outliers)
      .def_ro("label_issues", &AuditSummary::label_issues)
      .def_prop_ro(
          "stats", [](const AuditSummary& self) { return std::string(StatsName(self.stats)); },
          "The statistics that all images have: none, basic or full.")
      .def_ro("image_issues", &AuditSummary::image_issues,
              "Images by issue, of those that could be judged.")
      .def_ro("notes", &AuditSummary::notes,
              "Where options or counts say little about these images.")
      .def_ro("seconds", &AuditSummary::seconds)
      .def_ro("folders", &AuditSummary::folders, "What was published, below the output.")
      .def("__repr__", [](const AuditSummary& self) { return Describe(self); });

  module.def(
      "audit",
      [](const Path& output, const std::string& run_id, double near, int neighbours, int knn,
         const std::vector<std::string>& split, int threads, const nb::object& progress,
         const nb::dict& s3) {
        AuditOptions options;
        options.run_id = run_id;
        options.near = near;
        options.neighbours = neighbours;
        options.knn = knn;
        options.threads = threads;
        options.s3 = OptionsOf(s3).s3;
        for (const std::string& text : split) {
          options.splits.push_back(ValueOf(ParseSplitRule(text)));
        }
        CallHooks hooks(progress);
        const AuditHooks heard = AuditHooksOf(hooks);
        arrow::Result<AuditSummary> summary;
        {
          const nb::gil_scoped_release release;
          summary = Audit(output, options, heard);
        }
        hooks.Rethrow();
        return ValueOf(std::move(summary));
      },
      nb::arg("output"), nb::arg("run_id"), nb::arg("near"), nb::arg("neighbours"), nb::arg("knn"),
      nb::arg("split"), nb::arg("threads"), nb::arg("progress").none(), nb::arg("s3"));

  module.def(
      "near_pairs",
      [](nb::handle features, double cosine, nb::handle others, int threads) {
        const Rows rows(features);
        std::optional<Rows> second;
        if (!others.is_none()) second.emplace(others);
        const int dimensions = std::max({1, rows.dimensions(), second ? second->dimensions() : 0});
        if (second && rows.dimensions() > 0 && second->dimensions() > 0 &&
            rows.dimensions() != second->dimensions()) {
          throw nb::value_error("others: the vectors differ in length from the features");
        }
        CallHooks hooks{nb::none()};
        const AuditHooks heard = AuditHooksOf(hooks);
        arrow::Result<std::shared_ptr<arrow::RecordBatch>> table;
        {
          const nb::gil_scoped_release release;
          std::vector<float> copy, copy_of_others;
          const std::span<const float> all = OnePiece(rows, &copy);
          const auto find = [&]() -> arrow::Result<std::shared_ptr<arrow::RecordBatch>> {
            ARROW_ASSIGN_OR_RAISE(const auto pairs,
                                  second ? NearPairs(all, OnePiece(*second, &copy_of_others),
                                                     dimensions, cosine, threads, heard)
                                         : NearPairs(all, dimensions, cosine, threads, heard));
            return TableOf(pairs);
          };
          table = find();
        }
        hooks.Rethrow();
        return ExportTable(ValueOf(std::move(table)));
      },
      nb::arg("features"), nb::arg("cosine"), nb::arg("others").none(), nb::arg("threads"));
}

}  // namespace pomona::python
