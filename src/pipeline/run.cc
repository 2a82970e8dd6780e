// The job from end to end; every other file of this folder does one part of it.
#include <algorithm>
#include <ctime>
#include <utility>

#include "extract.h"
#include "layout.h"
#include "model.h"
#include "parts.h"
#include "pomona/pipeline.h"
#include "refusal.h"
#include "reports.h"
#include "tasks.h"
#include "workspace.h"

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string TimestampNow() {
  const std::time_t now = std::time(nullptr);
  std::tm local;
  localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%d_%H%M%S", &local);
  return text;
}

arrow::Result<std::vector<Item>> ListItems(Source& source, const std::string& output,
                                           const RunOptions& options) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Item> items, source.List());
  // An output below the input is not part of it.
  const std::string outputs = output + "/";
  std::erase_if(items, [&](const Item& item) { return item.path.starts_with(outputs); });
  items = Select(std::move(items), options);
  items.shrink_to_fit();
  return items;
}

// Fills the summary's counts from the reports and checks that nothing was lost.
arrow::Status Count(const RunContent& content, RunSummary* summary) {
  Counts& counts = summary->counts;
  for (const FragmentReport& report : content.reports) {
    counts.rows += static_cast<int64_t>(report.rows.size());
    counts.rejects += static_cast<int64_t>(report.rejects.size());
    counts.skips += report.skip_count();
    for (const FragmentReject& r : report.rejects) {
      ++summary->rejects_by_reason[std::string(ReasonName(r.reject.reason))];
    }
    for (const auto& [reason, count] : report.skips) summary->skips_by_reason[reason] += count;
  }
  if (counts.listed != counts.rows + counts.rejects + counts.skips) {
    return arrow::Status::UnknownError("items were lost: ", counts.listed, " listed, but ",
                                       counts.rows, " rows + ", counts.rejects, " rejects + ",
                                       counts.skips, " skips; please report this");
  }
  return arrow::Status::OK();
}

arrow::Status CheckRejects(const RunContent& content, const Counts& counts) {
  if (WithinBound(content.options.max_rejects, counts.rows, counts.rejects)) {
    return arrow::Status::OK();
  }
  const std::string path = content.workspace.RefusedErrorsPath();
  ARROW_RETURN_NOT_OK(content.workspace.WriteText(path, ErrorsCsv(content)));
  return Refuse(RunRefusal::kTooManyRejects,
                std::to_string(counts.rejects) + " of " +
                    std::to_string(counts.rows + counts.rejects) +
                    " images were rejected, more than --max-rejects allows; see " + path);
}

// Merges the fragments' moments in their order, whoever made them and whenever.
arrow::Result<Pca> FitPca(const RunContent& content, int dimensions) {
  Moments moments(dimensions);
  for (size_t f = 0; f < content.fragments.size(); ++f) {
    const FragmentRange& range = content.fragments[f];
    ARROW_ASSIGN_OR_RAISE(
        const StoredFragment stored,
        StoredFragment::Open(content.workspace.FragmentPath(f, range.key), range));
    ARROW_ASSIGN_OR_RAISE(const Moments part, stored.ReadMoments());
    moments.Merge(part);
  }
  return Pca::Fit(moments, {content.options.pca_components, content.options.center,
                            content.options.standardize});
}

std::vector<OutputFolder> PublishedFolders(const RunOptions& options) {
  std::vector<OutputFolder> folders;
  if (options.formats.parquet) folders.insert(folders.end(), {kFeaturesParquet, kPcaParquet});
  if (options.formats.csv) folders.insert(folders.end(), {kFeaturesCsv, kPcaCsv});
  folders.insert(folders.end(), {kMetadata, kModelInfo, kVariance, kPcaModel, kErrors, kRunInfo});
  return folders;
}

}  // namespace

arrow::Result<RunSummary> Run(Source& source, const EngineFactory& make_engine,
                              const ModelIdentity& model, const std::string& input,
                              const std::string& output, const RunOptions& options,
                              const RunHooks& hooks) {
  const Clock::time_point started = hooks.started.value_or(Clock::now());
  ARROW_RETURN_NOT_OK(Validate(options));
  RunSummary summary;
  summary.run_id = options.run_id.empty() ? TimestampNow() : options.run_id;
  ARROW_ASSIGN_OR_RAISE(const auto workspace,
                        Workspace::Open(output, summary.run_id, options.fresh));
  RunDetails details;
  details.input = input;
  details.output = output;
  details.threads = ThreadCount(options.threads);

  Clock::time_point stage_start = Clock::now();
  const auto end_stage = [&stage_start](double* seconds) {
    *seconds = SecondsSince(stage_start);
    stage_start = Clock::now();
  };

  if (hooks.progress) hooks.progress({"list", 0, 0, {}});
  ARROW_ASSIGN_OR_RAISE(const std::vector<Item> items, ListItems(source, output, options));
  summary.counts.listed = static_cast<int64_t>(items.size());
  if (items.empty()) {
    return arrow::Status::Invalid("no files under ", input,
                                  " that the mode, --include and --exclude select");
  }
  end_stage(&details.stages.list);

  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<Engine> engine, make_engine());
  details.engine = engine->name();
  const std::string recipe =
      model.digest + '\n' + std::string(kPreprocessing) + '\n' + details.engine;
  const std::vector<FragmentRange> fragments = CutFragments(items, options.fragment_items, recipe);
  ARROW_ASSIGN_OR_RAISE(
      const Extraction extraction,
      Extract({source, *engine, items, fragments,
               [&](size_t f) { return workspace->FragmentPath(f, fragments[f].key); },
               details.threads, hooks}));
  end_stage(&details.stages.extract);
  details.workers = extraction.seconds;
  if (extraction.first_row) {
    details.first_row_seconds =
        std::chrono::duration<double>(*extraction.first_row - started).count();
  }

  const RunContent content{items,
                           fragments,
                           extraction.reports,
                           *workspace,
                           options,
                           {{"pomona.weights_digest", model.digest},
                            {"pomona.preprocessing", std::string(kPreprocessing)},
                            {"pomona.engine", details.engine}}};
  summary.counts.resumed = extraction.resumed;
  ARROW_RETURN_NOT_OK(Count(content, &summary));
  ARROW_RETURN_NOT_OK(CheckRejects(content, summary.counts));

  // The features do not wait for the PCA, nor it for them.
  const int64_t files = int64_t{options.formats.parquet} + int64_t{options.formats.csv};
  std::atomic<int64_t> rows_done = 0;
  const auto poll = [&](std::string_view stage) {
    if (hooks.progress) {
      hooks.progress({stage, rows_done, 2 * files * summary.counts.rows, summary.counts});
    }
  };
  std::optional<Pca> pca;
  std::vector<Task> tasks = FeatureTasks(content, engine->features(), &rows_done);
  tasks.insert(tasks.begin(), [&]() -> arrow::Status {
    const Clock::time_point fit_start = Clock::now();
    ARROW_ASSIGN_OR_RAISE(pca, FitPca(content, engine->features()));
    details.stages.fit = SecondsSince(fit_start);
    return arrow::Status::OK();
  });
  ARROW_RETURN_NOT_OK(RunTasks(tasks, details.threads, hooks, [&] { poll("fit"); }));
  ARROW_RETURN_NOT_OK(RunTasks(PcaTasks(content, *pca, &rows_done), details.threads, hooks,
                               [&] { poll("write"); }));
  if (rows_done != 2 * files * summary.counts.rows) {
    return arrow::Status::UnknownError(
        "rows were lost between the fragments and the files: ", rows_done.load(), " written, ",
        2 * files * summary.counts.rows, " expected");
  }

  const std::vector<double> ratios = pca->ExplainedVarianceRatio();
  for (const double ratio : ratios) summary.variance_explained += ratio;
  ARROW_RETURN_NOT_OK(workspace->WritePart(
      kModelInfo, 0, "json", ModelInfoJson(summary.run_id, *pca, model, details.engine)));
  ARROW_RETURN_NOT_OK(workspace->WritePart(kVariance, 0, "csv", VarianceCsv(*pca)));
  ARROW_ASSIGN_OR_RAISE(const std::string pca_model,
                        workspace->PartPath(kPcaModel, 0, "safetensors"));
  ARROW_RETURN_NOT_OK(pca->Save(pca_model));
  ARROW_RETURN_NOT_OK(workspace->WritePart(kErrors, 0, "csv", ErrorsCsv(content)));
  end_stage(&details.stages.write);

  summary.seconds = SecondsSince(started);
  summary.images_per_second =
      static_cast<double>(summary.counts.listed - summary.counts.resumed) / details.stages.extract;
  summary.peak_memory_bytes = PeakMemoryBytes();
  ARROW_RETURN_NOT_OK(
      workspace->WritePart(kRunInfo, 0, "json", RunInfoJson(summary, details, options)));
  if (hooks.cancel && *hooks.cancel) return arrow::Status::Cancelled("interrupted");
  const std::vector<OutputFolder> folders = PublishedFolders(options);
  ARROW_RETURN_NOT_OK(workspace->Publish(folders));
  for (const OutputFolder& folder : folders) {
    summary.folders.push_back(folder.kind + '/' + folder.name + '_' + summary.run_id);
  }
  return summary;
}

arrow::Result<RunSummary> Run(const std::string& input, const std::string& output,
                              const RunOptions& options, const RunHooks& hooks) {
  RunHooks local_hooks = hooks;
  if (!local_hooks.started) local_hooks.started = Clock::now();
  ARROW_RETURN_NOT_OK(Validate(options));
  ARROW_RETURN_NOT_OK(UseCpu(options.cpu));
  ARROW_ASSIGN_OR_RAISE(const std::string input_path, LocalPath(input));
  ARROW_ASSIGN_OR_RAISE(const std::string output_path, LocalPath(output));
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<Source> source, OpenLocalTree(input_path));
  ARROW_ASSIGN_OR_RAISE(const auto weights, OpenWeights(options));
  return Run(
      *source, [&] { return MakeEngine(*weights, options); }, IdentityOf(*weights), input_path,
      output_path, options, local_hooks);
}

}  // namespace pomona
