// The job from end to end; every other file of this folder does one part of it.
#include <arrow/util/io_util.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <functional>
#include <set>
#include <utility>

#include "disk.h"
#include "extract.h"
#include "guarded.h"
#include "model.h"
#include "parts.h"
#include "pomona/reports.h"
#include "pomona/run.h"
#include "pomona/version.h"
#include "refusal.h"
#include "s3/connection.h"
#include "store/layout.h"
#include "store/reuse.h"
#include "store/s3_output.h"
#include "store/workspace.h"
#include "tasks.h"

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

// Begins the run of the id asked for, or else of the time, and a number behind it where other runs
// began within this second. `begin` answers Invalid where the output has a run of that id.
// REQUIRES: nobody else can publish in the output.
arrow::Result<std::string> BeginRun(const std::string& asked_for,
                                    const std::function<arrow::Status(const std::string&)>& begin) {
  const std::string name = asked_for.empty() ? TimestampNow() : asked_for;
  std::string id = name;
  arrow::Status status = begin(id);
  for (int n = 2; status.IsInvalid() && asked_for.empty(); ++n) {
    id = name + '_' + std::to_string(n);
    status = begin(id);
  }
  ARROW_RETURN_NOT_OK(status);
  return id;
}

// Checks that nothing was lost.
arrow::Status CheckCounts(const Counts& counts) {
  if (counts.listed != counts.rows + counts.rejects + counts.skips) {
    return arrow::Status::UnknownError("items were lost: ", counts.listed, " listed, but ",
                                       counts.rows, " rows + ", counts.rejects, " rejects + ",
                                       counts.skips, " skips; please report this");
  }
  return arrow::Status::OK();
}

// Says so where an unfinished run stored fragments of other items or for other weights. They are
// kept until a run is published, as the user may have meant them.
// REQUIRES: everything is listed.
arrow::Status TellOfOtherFragments(const Workspace& workspace, Listing& listing,
                                   const RunHooks& hooks) {
  std::set<std::string> wanted;
  for (size_t f = 0;; ++f) {
    ARROW_ASSIGN_OR_RAISE(const ListedFragment* fragment, listing.Fragment(f));
    if (!fragment) break;
    const std::string path = workspace.FragmentPath(f, fragment->range.key);
    wanted.insert(path);
    wanted.insert(PartialPath(path));
  }
  ARROW_ASSIGN_OR_RAISE(const int64_t others, workspace.CountOtherFragments(wanted));
  if (others > 0 && hooks.log) {
    hooks.log(
        "an unfinished run left work that does not fit this one, as its images, weights or "
        "options were others (fragments: " +
        std::to_string(others) + "); it is not used, and removed when this run is published");
  }
  return arrow::Status::OK();
}

// Refuses an input all of which is left out, since it is the output's.
arrow::Status CheckApart(const std::string& input, const std::string& output) {
  std::error_code error;
  const auto real = [&](const std::string& path) {
    if (IsS3Uri(path)) return path + '/';
    const std::string found = std::filesystem::weakly_canonical(path, error).string();
    return (found.empty() ? path : found) + '/';  // opening it will say what is wrong
  };
  const std::string training = input + "/Training";
  const bool has_training = std::filesystem::is_directory(training, error);
  if (!real(has_training ? training : input).starts_with(real(output))) return {};
  return arrow::Status::Invalid("INPUT ", input, " lies in OUTPUT ", output,
                                ", of which nothing is taken for input; name another OUTPUT");
}

// Says so where readers of the outputs would take the name of a folder for a column of ours.
void TellOfColumnNames(const std::string& output, const RunHooks& hooks) {
  constexpr std::string_view kColumns[] = {
      "path", "label", "features", "features_string", "pca_features", "pca_features_string"};
  if (!hooks.log) return;
  for (const std::string_view column : kColumns) {
    const size_t begin = output.find('/' + std::string(column) + '=');
    if (begin == output.npos) continue;
    hooks.log("OUTPUT lies in a folder called " +
              output.substr(begin + 1, output.find('/', begin + 1) - begin - 1) +
              ": DuckDB and ClickHouse put that in place of the column '" + std::string(column) +
              "', unless told hive_partitioning = false (use_hive_partitioning = 0)");
  }
}

std::string HowGlobsMatch(const PathFilter& filter) {
  return "a glob has to match the whole path below INPUT or INPUT/Training, such as '" +
         filter.example() + "'";
}

std::string HiddenOnes(const PathFilter& filter) {
  return std::to_string(filter.hidden()) + " hidden files and folders";
}

// Of a tree in which nothing was selected.
arrow::Status NoFiles(const std::string& input, const PathFilter& filter,
                      const RunOptions& options) {
  std::string text = "no files under " + input;
  if (!filter.example().empty()) {
    text += " that the mode, --include and --exclude select";
    if (!options.include.empty() || !options.exclude.empty()) text += "; " + HowGlobsMatch(filter);
  }
  if (filter.hidden() > 0) text += "; " + HiddenOnes(filter) + " are left out without --hidden";
  return arrow::Status::Invalid(text);
}

// Says what was left out that the user may have meant, and which globs may be mistaken.
// REQUIRES: everything is listed.
void TellOfFilter(const Listing& listing, const RunHooks& hooks) {
  const PathFilter& filter = listing.filter();
  if (filter.hidden() > 0) {
    hooks.log(HiddenOnes(filter) +
              " are left out (.names and what systems leave behind); "
              "--hidden takes them");
  }
  if (!listing.saw_everything()) return;
  for (const std::string& option : filter.Unmatched()) {
    hooks.log(option + " matched nothing; " + HowGlobsMatch(filter));
  }
}

// Lists the rejects of a run that is refused, and says where.
arrow::Result<std::string> ReportRejects(const RunContent& content) {
  const std::string path = content.workspace.RefusedErrorsPath();
  ARROW_ASSIGN_OR_RAISE(const auto file, OutputFile::Create(path));
  ARROW_RETURN_NOT_OK(WriteErrors(content, file.get()));
  return "; see " + path;
}

arrow::Status CheckRejects(const RunContent& content, const Counts& counts) {
  if (WithinBound(content.options.max_rejects, counts.rows, counts.rejects)) {
    return arrow::Status::OK();
  }
  ARROW_ASSIGN_OR_RAISE(const std::string where, ReportRejects(content));
  return Refuse(RunRefusal::kTooManyRejects,
                std::to_string(counts.rejects) + " of " +
                    std::to_string(counts.rows + counts.rejects) +
                    " images were rejected, more than --max-rejects allows" + where);
}

// Where files that could not be read or are no image leave too few for a PCA, says so: what Pca
// itself would say does not help then.
arrow::Status CheckEnough(const RunContent& content, const RunSummary& summary,
                          const std::string& input) {
  const Counts& counts = summary.counts;
  const int components = content.options.pca_components;
  if (counts.rows >= std::max(2, components)) return arrow::Status::OK();
  if (counts.rejects > 0) {
    ARROW_ASSIGN_OR_RAISE(const std::string where, ReportRejects(content));
    return arrow::Status::Invalid(
        counts.rows, " of ", counts.rows + counts.rejects, " images could be read",
        CountsText(summary.rejects_by_reason),
        counts.rows == 0 ? ""
                         : ", too few for a PCA of " + std::to_string(components) + " components",
        where);
  }
  if (counts.rows > 0) return arrow::Status::OK();
  return arrow::Status::Invalid("no images under ", input, ": ", counts.skips, " other files",
                                CountsText(summary.skips_by_reason));
}

// Merges the fragments' moments in their order, whoever made them and whenever.
arrow::Result<Pca> FitPca(const RunContent& content, int dimensions) {
  Moments moments(dimensions);
  for (size_t f = 0; f < content.fragments.size(); ++f) {
    ARROW_ASSIGN_OR_RAISE(const StoredFragment stored, content.Fragment(f));
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

// What a run of so many items writes, about.
int64_t SpaceNeeded(int64_t items, int64_t features, const RunOptions& options) {
  // A number in its fragment, in Parquet (which compresses it little), as text.
  const int64_t number = 4 + (options.formats.parquet ? 4 : 0) + (options.formats.csv ? 9 : 0);
  const int64_t fragments = items / options.fragment_items + 1;
  const int64_t moments = features * features / 2 * int64_t{sizeof(double)};
  return items * features * number + fragments * moments;
}

// What an unfinished run leaves to its successor.
std::string KeptText(const Kept& kept) {
  if (kept.items == 0) return "; no images were finished: run the same command again";
  std::string text = "; " + std::to_string(kept.items);
  if (kept.listed > 0) text += " of " + std::to_string(kept.listed);
  return text + " images are kept: the same command resumes";
}

// Adds to an error that says that there is no space how much is asked for.
arrow::Status WithNeed(const arrow::Status& status, const std::string& output, int64_t need) {
  const int error = arrow::internal::ErrnoFromStatus(status);
  if (error != ENOSPC && error != EDQUOT) return status;
  std::string text;
  if (need > 0) text = "; the run takes about " + std::to_string((need >> 20) + 1) + " MiB in all";
  struct statvfs disk;
  if (statvfs(output.c_str(), &disk) == 0) {
    const uint64_t bytes = uint64_t{disk.f_bavail} * disk.f_frsize;
    text += "; " + std::to_string(bytes >> 20) + " MiB are free";
    if (disk.f_files > 0 && disk.f_favail < 100) {
      text += ", but only " + std::to_string(disk.f_favail) + " more files can be created";
    }
  }
  return status.WithMessage(status.message(), text, "; the same command resumes");
}

// `remote`: null, or where to publish what is made in the local folder `output`. `space_needed` is
// told as soon as it is known.
arrow::Result<RunSummary> RunJob(Source& source, const EngineFactory& make_engine,
                                 const ModelIdentity& model, const std::string& input,
                                 const std::string& output, S3Output* remote,
                                 const RunOptions& options, const RunHooks& hooks,
                                 int64_t* space_needed, Kept* kept) {
  const Clock::time_point started = hooks.started.value_or(Clock::now());
  ARROW_RETURN_NOT_OK(Validate(options));
  RunSummary summary;
  ARROW_ASSIGN_OR_RAISE(const auto workspace, Workspace::Open(output, options.fresh));
  if (remote) ARROW_RETURN_NOT_OK(remote->Lock(hooks.cancel));
  ARROW_ASSIGN_OR_RAISE(summary.run_id,
                        BeginRun(options.run_id, [&](const std::string& id) -> arrow::Status {
                          ARROW_RETURN_NOT_OK(workspace->Begin(id));
                          return remote ? remote->Begin(id) : arrow::Status::OK();
                        }));
  RunDetails details;
  details.input = input;
  details.output = remote ? remote->uri() : output;
  details.threads = ThreadCount(options.threads);
  if (details.threads < options.threads && hooks.log) {
    hooks.log(std::to_string(details.threads) + " threads instead of " +
              std::to_string(options.threads) +
              ": the memory limit of this process allows no more");
  }

  Clock::time_point stage_start = Clock::now();
  const auto end_stage = [&stage_start](double* seconds) {
    *seconds = SecondsSince(stage_start);
    stage_start = Clock::now();
  };

  if (hooks.progress) hooks.progress({"list", 0, 0, {}});
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<Engine> engine, make_engine());
  details.engine = engine->name();
  const std::string recipe =
      model.digest + '\n' + std::string(kPreprocessing) + '\n' + details.engine + '\n' + kVersion;
  std::unique_ptr<EarlierRun> earlier;
  if (!options.fresh) {
    auto found = EarlierRun::Find(remote ? remote->published() : PublishedFiles(output), recipe,
                                  engine->features());
    if (!found.ok() && hooks.log) {
      hooks.log("no features are taken over from earlier runs: " + found.status().message());
    }
    if (found.ok()) earlier = *std::move(found);
  }
  Listing listing(source, details.output, options, recipe);
  ARROW_ASSIGN_OR_RAISE(const Extraction extraction,
                        Extract({source, *engine, earlier.get(), listing,
                                 [&](size_t f, const FragmentRange& range) {
                                   return workspace->FragmentPath(f, range.key);
                                 },
                                 details.threads, options.cpu, hooks,
                                 [&] {
                                   *space_needed =
                                       SpaceNeeded(listing.count(), engine->features(), options);
                                   return TellOfOtherFragments(*workspace, listing, hooks);
                                 },
                                 std::chrono::duration<double>(options.save_seconds), kept}));
  details.stages.list = listing.seconds();
  end_stage(&details.stages.extract);
  const auto [items, fragments] = listing.TakeAll();
  if (items.empty()) return NoFiles(input, listing.filter(), options);
  if (hooks.log) TellOfFilter(listing, hooks);
  summary.unlabelled =
      std::ranges::count_if(items, [](const Item& item) { return item.label().empty(); });
  details.workers = extraction.seconds;
  details.reads = source.transfers();
  if (extraction.first_row) {
    details.first_row_seconds =
        std::chrono::duration<double>(*extraction.first_row - started).count();
  }

  const RunContent content{items,
                           fragments,
                           *workspace,
                           options,
                           {{"pomona.weights_digest", model.digest},
                            {"pomona.preprocessing", std::string(kPreprocessing)},
                            {"pomona.engine", details.engine}},
                           recipe};
  summary.counts = extraction.counts;
  if (summary.counts.reused > 0) summary.reused_run_id = earlier->run_id();
  summary.rejects_by_reason = extraction.rejects_by_reason;
  summary.skips_by_reason = extraction.skips_by_reason;
  ARROW_RETURN_NOT_OK(CheckCounts(summary.counts));
  ARROW_RETURN_NOT_OK(CheckRejects(content, summary.counts));
  ARROW_RETURN_NOT_OK(CheckEnough(content, summary, input));

  // The features do not wait for the PCA, nor it for them.
  const int64_t rows_to_write =
      summary.counts.rows * (int64_t{options.formats.parquet} + int64_t{options.formats.csv});
  std::atomic<int64_t> features_done = 0, projections_done = 0;
  const auto poll = [&](std::string_view stage, const std::atomic<int64_t>& done) {
    if (hooks.progress) hooks.progress({stage, done, rows_to_write, summary.counts});
  };
  std::optional<Pca> pca;
  std::vector<Task> tasks = FeatureTasks(content, engine->features(), &features_done);
  tasks.insert(tasks.begin(), [&]() -> arrow::Status {
    const Clock::time_point fit_start = Clock::now();
    ARROW_ASSIGN_OR_RAISE(pca, FitPca(content, engine->features()));
    details.stages.fit = SecondsSince(fit_start);
    return arrow::Status::OK();
  });
  const auto run_tasks = [&](const std::vector<Task>& all, std::string_view stage,
                             const std::atomic<int64_t>& done) {
    return ParallelFor(
        all.size(), details.threads, hooks.cancel, [&](size_t i, int) { return all[i](); },
        [&] { poll(stage, done); });
  };
  ARROW_RETURN_NOT_OK(run_tasks(tasks, "fit", features_done));
  if (hooks.log && pca->determined() < pca->components()) {
    hooks.log("the images determine " + std::to_string(pca->determined()) + " of the " +
              std::to_string(pca->components()) +
              " components; the further columns are arbitrary: use --pca-components " +
              std::to_string(std::max(1, pca->determined())));
  }
  ARROW_RETURN_NOT_OK(
      run_tasks(PcaTasks(content, *pca, &projections_done), "write", projections_done));
  if (features_done != rows_to_write || projections_done != rows_to_write) {
    return arrow::Status::UnknownError("internal error: of ", rows_to_write, " rows, ",
                                       features_done.load(), " of the features and ",
                                       projections_done.load(),
                                       " of the PCA were written; please report this");
  }

  const std::vector<double> ratios = pca->ExplainedVarianceRatio();
  summary.components = pca->components();
  for (const double ratio : ratios) summary.variance_explained += ratio;
  ARROW_RETURN_NOT_OK(workspace->WritePart(
      kModelInfo, 0, "json", ModelInfoJson(summary.run_id, *pca, model, details.engine)));
  ARROW_RETURN_NOT_OK(workspace->WritePart(kVariance, 0, "csv", VarianceCsv(*pca)));
  ARROW_ASSIGN_OR_RAISE(const std::string pca_model,
                        workspace->PartPath(kPcaModel, 0, "safetensors"));
  ARROW_RETURN_NOT_OK(pca->Save(pca_model));
  ARROW_RETURN_NOT_OK(workspace->NotePart(pca_model));
  ARROW_ASSIGN_OR_RAISE(const auto errors, workspace->CreatePart(kErrors, 0, "csv"));
  ARROW_RETURN_NOT_OK(WriteErrors(content, errors.get()));
  const auto uploaded = [&](int64_t bytes) {
    if (hooks.progress) hooks.progress({"upload", bytes, 0, {}});
  };
  if (remote) {
    ARROW_RETURN_NOT_OK(remote->Upload(workspace->StagedRoot(), hooks.cancel, uploaded));
    details.writes = remote->transfers();
  }
  end_stage(&details.stages.write);

  summary.seconds = SecondsSince(started);
  summary.images_per_second =
      static_cast<double>(summary.counts.listed - summary.counts.resumed - summary.counts.reused) /
      details.stages.extract;
  summary.peak_memory_bytes = PeakMemoryBytes();
  ARROW_RETURN_NOT_OK(
      workspace->WritePart(kRunInfo, 0, "json", RunInfoJson(summary, details, options)));
  ARROW_RETURN_NOT_OK(hooks.cancel.Check());
  const std::vector<OutputFolder> folders = PublishedFolders(options);
  Workspace::PublishElsewhere elsewhere;
  if (remote) {
    elsewhere = [&](const std::vector<OutputFolder>& all) {
      return remote->Finish(workspace->StagedRoot(), all, hooks.cancel, uploaded);
    };
  }
  ARROW_RETURN_NOT_OK(workspace->Publish(folders, elsewhere));
  for (const OutputFolder& folder : folders) {
    summary.folders.push_back(folder.Path(summary.run_id));
  }
  return summary;
}

arrow::Result<RunSummary> RunInto(Source& source, const EngineFactory& make_engine,
                                  const ModelIdentity& model, const std::string& input,
                                  const std::string& output, S3Output* remote,
                                  const RunOptions& options, const RunHooks& hooks) {
  int64_t space_needed = 0;
  Kept kept;
  auto summary = Guarded([&] {
    return RunJob(source, make_engine, model, input, output, remote, options, hooks, &space_needed,
                  &kept);
  });
  const arrow::Status& status = summary.status();
  if (status.ok() || RefusalOf(status)) return summary;
  if (status.IsCancelled()) return status.WithMessage("interrupted", KeptText(kept));
  if (status.IsOutOfMemory()) {
    return status.WithMessage(status.message(), "; give the process more memory or lower --threads",
                              KeptText(kept));
  }
  return WithNeed(status, output, space_needed);
}

// See Run().
arrow::Result<RunSummary> RunTree(const std::string& input, const std::string& output,
                                  const RunOptions& options, const RunHooks& hooks) {
  ARROW_RETURN_NOT_OK(Validate(options));
  ARROW_RETURN_NOT_OK(ResolveCpu(options.cpu));
  ARROW_ASSIGN_OR_RAISE(const std::string input_path,
                        IsS3Uri(input) ? NormalS3Uri(input) : LocalPath(input));
  std::unique_ptr<S3Output> remote;
  std::string output_path;
  if (IsS3Uri(output)) {
    ARROW_ASSIGN_OR_RAISE(remote, S3Output::Open(output, options.s3, hooks.cancel));
    output_path = remote->LocalFolder();
  } else {
    ARROW_ASSIGN_OR_RAISE(output_path, LocalPath(output));
  }
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<Source> source,
                        OpenTree(input_path, options.s3, hooks.cancel));
  const std::string& published_in = remote ? remote->uri() : output_path;
  ARROW_RETURN_NOT_OK(CheckApart(input_path, published_in));
  TellOfColumnNames(published_in, hooks);
  ARROW_ASSIGN_OR_RAISE(const auto weights, OpenWeights(options));
  return RunInto(
      *source, [&] { return MakeEngine(*weights, options); }, IdentityOf(*weights), input_path,
      output_path, remote.get(), options, hooks);
}

}  // namespace

arrow::Result<RunSummary> Run(Source& source, const EngineFactory& make_engine,
                              const ModelIdentity& model, const std::string& input,
                              const std::string& output, const RunOptions& options,
                              const RunHooks& hooks) {
  return RunInto(source, make_engine, model, input, output, nullptr, options, hooks);
}

arrow::Result<RunSummary> Run(const std::string& input, const std::string& output,
                              const RunOptions& options, const RunHooks& hooks) {
  RunHooks local_hooks = hooks;
  if (!local_hooks.started) local_hooks.started = Clock::now();
  return Guarded([&] { return RunTree(input, output, options, local_hooks); });
}

}  // namespace pomona
