// The reports of a run, for the job on Spark, which publishes them itself.
#include "pomona/reports.h"

#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "bind.h"
#include "bound_extractor.h"
#include "errors.h"
#include "options.h"
#include "pca_model.h"
#include "pomona/run.h"

namespace nb = nanobind;

namespace pomona::python {

void BindReports(nb::module_& module) {
  module.def(
      "model_info_json",
      [](const std::string& run_id, const PcaModel& pca, int64_t images, bool given,
         const BoundExtractor& extractor) {
        return ModelInfoJson(run_id, {pca.get(), images, given}, extractor.made->model(),
                             extractor.made->engine(), DecodeMode::kExact);
      },
      nb::arg("run_id"), nb::arg("pca"), nb::arg("images"), nb::arg("given"), nb::arg("extractor"));
  module.def(
      "given_pca",
      [](RunOptions* options, const BoundExtractor& extractor) -> std::optional<PcaModel> {
        auto pca = ValueOf(OpenGivenPca(options, extractor.made->model()));
        if (!pca) return std::nullopt;
        return PcaModel::Of(*std::move(pca));
      },
      nb::arg("options"), nb::arg("extractor"),
      "The PCA that options.pca names, for the extractor's features; the options take over what it "
      "decides.");
  module.def(
      "fit_pca",
      [](const Moments& moments, const RunOptions& options, const BoundExtractor& extractor) {
        const PcaOptions wanted{options.pca_components, options.center, options.standardize};
        return PcaModel::Of(
            ValueOf(Pca::Fit(moments, wanted, OriginOf(extractor.made->model(), DecodeMode::kExact),
                             ThreadCount(options.threads))));
      },
      nb::arg("moments"), nb::arg("options"), nb::arg("extractor"),
      "Fits as a run does, and says of which features.");
  module.def(
      "variance_csv", [](const PcaModel& pca) { return VarianceCsv(pca.get()); }, nb::arg("pca"));
  module.def(
      "run_info_json",
      [](const std::string& run_id, const std::string& input, const std::string& output,
         const RunOptions& options, const std::string& engine, int threads,
         const std::map<std::string, int64_t>& rejects_by_reason,
         const std::map<std::string, int64_t>& skips_by_reason, int64_t listed, int64_t rows,
         const std::map<std::string, double>& seconds) {
        RunSummary summary;
        summary.run_id = run_id;
        summary.rejects_by_reason = rejects_by_reason;
        summary.skips_by_reason = skips_by_reason;
        summary.counts.listed = listed;
        summary.counts.rows = rows;
        for (const auto& [reason, count] : rejects_by_reason) summary.counts.rejects += count;
        for (const auto& [reason, count] : skips_by_reason) summary.counts.skips += count;
        summary.peak_memory_bytes = PeakMemoryBytes();
        RunDetails details;
        details.input = input;
        details.output = output;
        details.engine = engine;
        details.threads = threads;
        details.stages = {seconds.at("list"), seconds.at("extract"), seconds.at("fit"),
                          seconds.at("write")};
        summary.seconds = seconds.at("total");
        if (details.stages.extract > 0) {
          summary.images_per_second = static_cast<double>(listed) / details.stages.extract;
        }
        return RunInfoJson(summary, details, options);
      },
      nb::kw_only(), nb::arg("run_id"), nb::arg("input"), nb::arg("output"), nb::arg("options"),
      nb::arg("engine"), nb::arg("threads"), nb::arg("rejects_by_reason"),
      nb::arg("skips_by_reason"), nb::arg("listed"), nb::arg("rows"), nb::arg("seconds"));
}

}  // namespace pomona::python
