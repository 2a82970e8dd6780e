// pomona._core.Index.
#include "pomona/index.h"

#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "arrow_bridge.h"
#include "audit_hooks.h"
#include "bind.h"
#include "bound_extractor.h"
#include "errors.h"
#include "hooks.h"
#include "options.h"
#include "path.h"

namespace nb = nanobind;

namespace pomona::python {
namespace {

// What Python holds and makes classes of: an Index itself is abstract.
struct BoundIndex {
  std::unique_ptr<Index> made;
};

bool HasRoom(const arrow::StringBuilder& builder, std::string_view text) {
  const auto size = static_cast<int64_t>(text.size());
  return builder.value_data_length() + size <= arrow::StringBuilder::memory_limit();
}

// In as many batches as the texts need: one holds 2 GiB of them in a column.
arrow::Result<arrow::RecordBatchVector> BatchesOf(const Index& index, size_t queries,
                                                  const std::vector<Neighbour>& found) {
  const auto schema = arrow::schema(
      {arrow::field("query", arrow::int64(), false), arrow::field("rank", arrow::int64(), false),
       arrow::field("path", arrow::utf8(), false), arrow::field("label", arrow::utf8(), false),
       arrow::field("distance", arrow::float64(), false)});
  arrow::Int64Builder query, rank;
  arrow::StringBuilder path, label;
  arrow::DoubleBuilder distance;
  arrow::RecordBatchVector batches;
  const auto finish = [&] {
    const int64_t rows = query.length();
    arrow::ArrayVector columns(5);
    ARROW_RETURN_NOT_OK(query.Finish(&columns[0]));
    ARROW_RETURN_NOT_OK(rank.Finish(&columns[1]));
    ARROW_RETURN_NOT_OK(path.Finish(&columns[2]));
    ARROW_RETURN_NOT_OK(label.Finish(&columns[3]));
    ARROW_RETURN_NOT_OK(distance.Finish(&columns[4]));
    batches.push_back(arrow::RecordBatch::Make(schema, rows, std::move(columns)));
    return arrow::Status::OK();
  };
  const size_t each = queries == 0 ? 0 : found.size() / queries;
  for (size_t i = 0; i < found.size(); ++i) {
    const std::string_view its_path = index.path(found[i].row),
                           its_label = index.label(found[i].row);
    if (!HasRoom(path, its_path) || !HasRoom(label, its_label)) ARROW_RETURN_NOT_OK(finish());
    ARROW_RETURN_NOT_OK(query.Append(static_cast<int64_t>(i / each)));
    ARROW_RETURN_NOT_OK(rank.Append(static_cast<int64_t>(i % each + 1)));
    ARROW_RETURN_NOT_OK(path.Append(its_path));
    ARROW_RETURN_NOT_OK(label.Append(its_label));
    ARROW_RETURN_NOT_OK(distance.Append(found[i].distance));
  }
  ARROW_RETURN_NOT_OK(finish());
  return batches;
}

arrow::Result<arrow::RecordBatchVector> Search(const Index& index, const Rows& rows, int k,
                                               const AuditHooks& hooks) {
  if (rows.count() > 0 && rows.dimensions() != index.dimensions()) {
    return arrow::Status::Invalid("queries: vectors of ", rows.dimensions(),
                                  ", where those of the run have ", index.dimensions());
  }
  std::vector<float> copy;
  ARROW_ASSIGN_OR_RAISE(const auto found, index.Search(OnePiece(rows, &copy), k, hooks));
  return BatchesOf(index, static_cast<size_t>(rows.count()), found);
}

}  // namespace

void BindIndex(nb::module_& module) {
  nb::class_<BoundIndex>(module, "Index", "What pomona.Index is made of.")
      .def(
          "__init__",
          [](BoundIndex* self, const Path& output, const std::string& run_id, int threads,
             const nb::object& progress, const nb::dict& s3) {
            IndexOptions options;
            options.run_id = run_id;
            options.threads = threads;
            options.s3 = OptionsOf(s3).s3;
            CallHooks hooks(progress);
            const AuditHooks heard = AuditHooksOf(hooks);
            arrow::Result<std::unique_ptr<Index>> opened;
            {
              const nb::gil_scoped_release release;
              opened = Index::Open(output, options, heard);
            }
            hooks.Rethrow();
            new (self) BoundIndex{ValueOf(std::move(opened))};
          },
          nb::arg("output"), nb::arg("run_id"), nb::arg("threads"), nb::arg("progress").none(),
          nb::arg("s3"))
      .def(
          "_search",
          [](const BoundIndex& self, nb::handle queries, int k) {
            const Rows rows(queries);
            CallHooks hooks{nb::none()};
            const AuditHooks heard = AuditHooksOf(hooks);
            arrow::Result<arrow::RecordBatchVector> batches;
            {
              const nb::gil_scoped_release release;
              batches = Search(*self.made, rows, k, heard);
            }
            hooks.Rethrow();
            return ExportTable(ValueOf(std::move(batches)));
          },
          nb::arg("queries"), nb::arg("k"))
      .def(
          "_extractor",
          [](const BoundIndex& self, nb::handle weights, const nb::dict& given) {
            RunOptions options = OptionsOf(given);
            const auto opened = WeightsOf(weights, &options);
            return BoundExtractor{
                ValueOf(Extractor::MakeFor(self.made->origin(), *opened, options))};
          },
          nb::arg("weights").none(), nb::arg("options"), "Of pictures to search by.")
      .def("__len__", [](const BoundIndex& self) { return self.made->size(); })
      .def_prop_ro("run_id", [](const BoundIndex& self) { return self.made->run_id(); })
      .def_prop_ro(
          "n_features", [](const BoundIndex& self) { return self.made->dimensions(); },
          "Numbers in a feature vector.")
      .def_prop_ro(
          "weights_digest",
          [](const BoundIndex& self) { return self.made->origin().weights_digest; },
          "SHA-256 of the tensors of the run's weights, in hex.")
      .def_prop_ro(
          "preprocessing", [](const BoundIndex& self) { return self.made->origin().preprocessing; },
          "What was done to a picture before the network saw it, by the name in outputs.");
}

}  // namespace pomona::python
