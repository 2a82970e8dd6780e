#include "job.h"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "disk.h"
#include "guarded.h"
#include "item_tables.h"
#include "json.h"
#include "merge_moments.h"
#include "messages.h"
#include "model.h"
#include "open_fragment.h"
#include "pomona/location.h"
#include "pomona/pca_forms.h"
#include "reduce/check_components.h"
#include "refusal.h"
#include "report/picture_files.h"
#include "store/dataset_card.h"
#include "tasks.h"
#include "vector_formats.h"

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;

std::string TimestampNow() {
  const std::time_t now = std::time(nullptr);
  std::tm local;
  localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y%m%d_%H%M%S", &local);
  return text;
}

// Begins the run of the id asked for, or else of the time, and a number behind it where other runs
// began within this second. REQUIRES: nobody else can publish in the output.
arrow::Result<std::string> BeginRun(const std::string& asked_for, Output& output) {
  const std::string name = asked_for.empty() ? TimestampNow() : asked_for;
  std::string id = name;
  arrow::Status status = output.Begin(id);
  for (int n = 2; status.IsAlreadyExists() && asked_for.empty(); ++n) {
    id = name + '_' + std::to_string(n);
    status = output.Begin(id);
  }
  ARROW_RETURN_NOT_OK(status);
  return id;
}

std::vector<OutputFolder> PublishedFolders(const RunOptions& options) {
  std::vector<OutputFolder> folders;
  for (const VectorFormat* format : SelectedFormats(options.formats)) {
    folders.insert(folders.end(), {*format->features, *format->pca});
  }
  if (options.formats.parquet) folders.insert(folders.end(), {kMetadataParquet, kErrorsParquet});
  folders.insert(folders.end(), {kMetadata, kModelInfo, kVariance, kPcaModel, kPcaOnnx});
  if (FitsSpark({options.pca_components, options.center, options.standardize})) {
    folders.insert(folders.end(), {kSparkPcaMetadata, kSparkPcaData, kSparkPca});
  }
  folders.push_back(kErrors);
  if (options.report != ReportKind::kNone) folders.push_back(kReport);
  folders.push_back(kRunInfo);
  return folders;
}

}  // namespace

Job::Job(const JobInput& input)
    : in_(input), started_(input.hooks.started.value_or(Clock::now())) {}

arrow::Result<RunSummary> Job::Run() {
  const arrow::Status locked = Guarded([&] { return Lock(); });
  if (!locked.ok()) {
    EndOutput();
    return WithCure(locked, kept_, in_.output.folder(), 0);
  }
  auto summary = Guarded([&] { return RunSteps(); });
  const int64_t space_needed = summary.ok() ? 0 : SpaceNeeded();
  if (!summary.ok()) in_.output.Abandon();
  EndOutput();
  if (summary.ok()) return summary;
  return WithCure(summary.status(), kept_, in_.output.folder(), space_needed);
}

arrow::Status Job::PlanForOthers() {
  const auto plan = [&]() -> arrow::Status {
    // Somebody may have planned it before we came in.
    const WorkFolder& work = in_.output.work();
    ARROW_RETURN_NOT_OK(work.Prepare());
    if (Plan::Read(work, in_.options.run_id).ok()) return arrow::Status::OK();
    ARROW_RETURN_NOT_OK(Begin());
    ARROW_RETURN_NOT_OK(ListAll());
    if (plan_.fragments.empty()) return NoFiles(in_.input, listing_->filter(), in_.options);
    TellOfFilter(listing_->filter(), listing_->saw_everything(), in_.hooks);
    return WritePlan();
  };
  arrow::Status status = Lock();
  if (status.ok()) {
    if (in_.metrics) in_.metrics->HearPlanning(true);
    status = Guarded(plan);
    if (in_.metrics) in_.metrics->HearPlanning(false);
    status.ok() ? in_.output.Leave() : in_.output.Abandon();
  }
  EndOutput();
  return status;
}

// What one that died left undone is done first, whatever becomes of this run.
arrow::Status Job::Lock() {
  ARROW_RETURN_NOT_OK(in_.output.Lock(in_.hooks.cancel));
  if (in_.output.met_interrupted()) (void)RefreshCard(in_.output);
  return arrow::Status::OK();
}

arrow::Result<RunSummary> Job::RunSteps() {
  ARROW_RETURN_NOT_OK(Begin());
  ARROW_RETURN_NOT_OK(ExtractAll());
  ARROW_RETURN_NOT_OK(CheckExtraction());
  ARROW_RETURN_NOT_OK(MergeAll());
  ARROW_ASSIGN_OR_RAISE(const Pca pca, FitWhileWritingFeatures());
  ARROW_RETURN_NOT_OK(WriteAllProjections(pca));
  ARROW_RETURN_NOT_OK(WriteReports(pca));
  ARROW_RETURN_NOT_OK(Publish());
  return std::move(summary_);
}

arrow::Status Job::Begin() {
  Output& output = in_.output;
  // First, as it may be a link that leads elsewhere.
  ARROW_RETURN_NOT_OK(output.work().ClearStaged());
  ARROW_ASSIGN_OR_RAISE(summary_.run_id, BeginRun(in_.options.run_id, output));
  if (!in_.planned) ARROW_RETURN_NOT_OK(output.Clear(in_.options.fresh));
  stage_ = Stopwatch();
  Tell({"list", 0, 0, {}});
  if (in_.planned) {
    const WorkFolder& work = output.work();
    ARROW_RETURN_NOT_OK(work.Prepare());
    ARROW_ASSIGN_OR_RAISE(plan_, Plan::Read(work, summary_.run_id));
    ARROW_ASSIGN_OR_RAISE(items_, work.OpenItems());
    // What was listed is the planner's choice, all else ours.
    const RunOptions listed = std::exchange(plan_.options, in_.options);
    plan_.options.mode = listed.mode;
    plan_.options.decode = listed.decode;
    plan_.options.stats = listed.stats;
    plan_.options.include = listed.include;
    plan_.options.exclude = listed.exclude;
    plan_.options.hidden = listed.hidden;
    plan_.options.limit = listed.limit;
    plan_.options.fragment_items = listed.fragment_items;
    plan_.options.part_rows = listed.part_rows;
  } else {
    ARROW_ASSIGN_OR_RAISE(items_, ItemSpool::Create(output.work().ItemsPath()));
    ARROW_ASSIGN_OR_RAISE(engine_, in_.make_engine());
    plan_.run_id = summary_.run_id;
    plan_.input = in_.input;
    plan_.options = in_.options;
    plan_.engine = engine_->name();
    plan_.weights_digest = in_.model.digest;
    plan_.preprocessing = in_.model.preprocessing->RecordedName(plan_.options.decode);
    plan_.recipe = RecipeOf(plan_.weights_digest, plan_.preprocessing, plan_.engine);
    plan_.dimensions = engine_->features();
    FindEarlierRun();
  }
  if (in_.pca && in_.pca->dimensions() != plan_.dimensions) {
    return arrow::Status::Invalid(in_.options.pca, ": is a PCA of ", in_.pca->dimensions(),
                                  " features; this run has ", plan_.dimensions);
  }
  if (!in_.pca) {
    ARROW_RETURN_NOT_OK(CheckComponents(in_.options.pca_components, plan_.dimensions));
  }
  details_.input = plan_.input;
  details_.output = output.location();
  details_.engine = plan_.engine;
  details_.threads = in_.executor ? in_.executor->parallelism : ThreadCount(in_.options.threads);
  if (details_.threads < in_.options.threads) {
    Log(std::to_string(details_.threads) + " threads instead of " +
        std::to_string(in_.options.threads) + ": the memory limit of this process allows no more");
  }
  return arrow::Status::OK();
}

// One that cannot be found or read costs time and nothing else.
void Job::FindEarlierRun() {
  if (in_.options.fresh) return;
  auto found =
      EarlierRun::Find(in_.output.published(), plan_.recipe, plan_.dimensions, in_.options.stats);
  if (found.ok()) {
    earlier_ = *std::move(found);
    if (earlier_) plan_.earlier_run = earlier_->run_id();
  } else {
    Log("no features are reused from earlier runs: " + found.status().message());
  }
}

arrow::Status Job::ExtractAll() {
  ARROW_ASSIGN_OR_RAISE(Extraction extraction, in_.planned    ? CountExtracted()
                                               : in_.executor ? ExtractElsewhere()
                                                              : ExtractHere());
  stage_.Lap(&details_.stages.extract);
  extraction.counts.listed = plan_.items();
  Measure(extraction, details_.reads);
  details_.workers = extraction.seconds;
  if (extraction.first_row) {
    details_.first_row_seconds =
        std::chrono::duration<double>(*extraction.first_row - started_).count();
  }
  summary_.unlabelled = plan_.unlabelled;
  summary_.counts = extraction.counts;
  if (summary_.counts.reused > 0) summary_.reused_run_id = plan_.earlier_run;
  if (extraction.rows_by_fragment.size() != plan_.fragments.size()) {
    return arrow::Status::UnknownError("internal error: of ", plan_.fragments.size(),
                                       " fragments, ", extraction.rows_by_fragment.size(),
                                       " were counted; please report this");
  }
  std::vector<int64_t> fragment_rows;
  for (const auto& [begin, rows] : extraction.rows_by_fragment) fragment_rows.push_back(rows);
  first_rows_ = FirstRows(plan_.options, fragment_rows);
  summary_.rejects_by_reason = std::move(extraction.rejects_by_reason);
  summary_.skips_by_reason = std::move(extraction.skips_by_reason);
  return arrow::Status::OK();
}

void Job::StartListing() {
  listing_ = std::make_unique<Listing>(in_.source, details_.output, in_.options,
                                       FragmentRecipeOf(plan_.recipe, in_.options.stats), *items_);
}

arrow::Result<Extraction> Job::ExtractHere() {
  StartListing();
  const auto measure = [&](const Extraction& so_far) { Measure(so_far, in_.source.transfers()); };
  ExtractionInput input{in_.source,  *engine_,          earlier_.get(),
                        *listing_,   in_.output.work(), details_.threads,
                        in_.options, in_.hooks,         [&] { return TellOfOtherFragments(); }};
  if (in_.metrics) input.measure = measure;
  input.check = [&] { return in_.output.CheckHeld(); };
  ARROW_ASSIGN_OR_RAISE(Extraction extraction, ExtractFragments(input, &kept_));
  details_.device = engine_->device_use();
  details_.reads = in_.source.transfers();
  TakeListing();
  return extraction;
}

// What was listed becomes part of the plan.
void Job::TakeListing() {
  details_.stages.list = listing_->seconds();
  plan_.unlabelled = listing_->unlabelled();
  plan_.fragments = listing_->TakeFragments();
}

arrow::Status Job::ListAll() {
  StartListing();
  const auto wait = [&](size_t, int) { return listing_->WaitForAll(); };
  const auto poll = [&] {
    Tell({"list", listing_->count(), 0, {}});
    if (in_.hooks.cancel.requested()) listing_->Stop();
  };
  ARROW_RETURN_NOT_OK(ParallelFor(1, 1, {}, wait, poll));
  ARROW_RETURN_NOT_OK(TellOfOtherFragments());
  TakeListing();
  return arrow::Status::OK();
}

// Shows others what this run is, and what this machine has of it.
arrow::Status Job::WritePlan() {
  ARROW_RETURN_NOT_OK(in_.output.OpenForOthers());
  const WorkFolder& work = in_.output.work();
  for (const ListedFragment& fragment : plan_.fragments) {
    const std::string path = work.FragmentPath(fragment);
    ARROW_ASSIGN_OR_RAISE(const bool here, Exists(path));
    if (here) ARROW_RETURN_NOT_OK(work.Share(path));
  }
  ARROW_RETURN_NOT_OK(items_->Sync());
  ARROW_RETURN_NOT_OK(work.Share(work.ItemsPath()));
  return plan_.Write(work);
}

// Where there are few fragments, they are made in slices, so that nobody waits for the last one.
arrow::Result<Extraction> Job::ExtractElsewhere() {
  constexpr size_t kFragmentsEach = 4;
  ARROW_RETURN_NOT_OK(ListAll());
  if (plan_.fragments.empty()) return Extraction();
  const size_t enough = kFragmentsEach * static_cast<size_t>(in_.executor->parallelism);
  plan_.slices = plan_.fragments.size() < enough ? kSlices : 1;
  ARROW_RETURN_NOT_OK(WritePlan());

  // Only whole fragments tell what became of each item.
  const bool whole = plan_.slices == 1;
  Extraction extraction;
  Progress progress{"extract", 0, plan_.items(), {}};
  progress.counts.listed = extraction.counts.listed = kept_.listed = plan_.items();
  ARROW_RETURN_NOT_OK(RunElsewhere({TaskStage::Kind::kExtract}, [&](const TaskResult& result) {
    extraction.AddWork(result.extraction);
    if (whole) extraction.AddVerdicts(result.extraction);
    details_.reads += result.reads;
    kept_.items += result.items;
    progress.done += result.items;
    Measure(extraction, details_.reads);
    Tell(progress);
  }));
  if (!whole) {
    ARROW_RETURN_NOT_OK(RunElsewhere({TaskStage::Kind::kGather}, [&](const TaskResult& result) {
      extraction.AddWork(result.extraction);
      extraction.AddVerdicts(result.extraction);
      Measure(extraction, details_.reads);
    }));
  }
  details_.reads += in_.source.transfers();
  return extraction;
}

// What shards have made.
arrow::Result<Extraction> Job::CountExtracted() {
  Extraction extraction;
  const ExtractedRun run = extracted();
  size_t missing = 0, damaged = 0;
  for (const ListedFragment& fragment : run.fragments) {
    const std::string path = run.work.FragmentPath(fragment);
    ARROW_ASSIGN_OR_RAISE(const Found stored, FindStored(run.work, path, fragment.range));
    if (stored.fragment) {
      extraction.Count(fragment.range, stored.fragment->report());
      kept_.items += static_cast<int64_t>(fragment.range.size());
    } else {
      ++missing;
      if (stored.damage.ok()) continue;
      ++damaged;
      Log("a stored fragment cannot be used: " + stored.damage.message());
      (void)RemoveAll(path);
    }
    ARROW_RETURN_NOT_OK(in_.hooks.cancel.Check());
  }
  kept_.listed = plan_.items();
  if (missing == 0) return extraction;
  return arrow::Status::Invalid("of ", run.fragments.size(), " fragments of the run ", plan_.run_id,
                                ", ", missing, " are not made yet; run ",
                                damaged > 0 ? "all shards" : "the shards that failed",
                                " again, which keep what is made");
}

// Says so where an unfinished run stored fragments of other items or for other weights. They are
// kept until a run is published, as the user may have meant them.
// REQUIRES: everything is listed.
arrow::Status Job::TellOfOtherFragments() {
  const WorkFolder& work = in_.output.work();
  std::set<std::string> wanted;
  for (size_t f = 0;; ++f) {
    ARROW_ASSIGN_OR_RAISE(const ListedFragment* fragment, listing_->Fragment(f));
    if (!fragment) break;
    wanted.insert(work.FragmentPath(*fragment));
  }
  ARROW_ASSIGN_OR_RAISE(const int64_t others, work.CountOtherFragments(wanted));
  if (others > 0) {
    Log("an unfinished run left work that does not fit this one, as its images, weights or "
        "options were others (fragments: " +
        std::to_string(others) + "); it is not used, and removed when this run is published");
  }
  return arrow::Status::OK();
}

arrow::Status Job::CheckExtraction() {
  const Counts& counts = summary_.counts;
  if (listing_ && counts.listed == 0) {
    return NoFiles(in_.input, listing_->filter(), in_.options);
  }
  if (listing_) TellOfFilter(listing_->filter(), listing_->saw_everything(), in_.hooks);
  if (counts.listed != counts.rows + counts.rejects + counts.skips) {
    return arrow::Status::UnknownError("internal error: ", counts.listed, " files listed, but ",
                                       counts.rows, " rows + ", counts.rejects, " rejects + ",
                                       counts.skips, " skips; please report this");
  }
  ARROW_RETURN_NOT_OK(CheckRejects());
  return CheckEnough();
}

// Lists the rejects of a run that is refused, and says where.
arrow::Result<std::string> Job::ReportRejects() const {
  const std::string path = in_.output.work().RefusedErrorsPath();
  ARROW_ASSIGN_OR_RAISE(const auto file, OutputFile::Create(path));
  ARROW_RETURN_NOT_OK(WriteErrors(extracted(), summary_.counts.rejects, file.get(), nullptr));
  return "; see " + path;
}

arrow::Status Job::CheckRejects() const {
  const Counts& counts = summary_.counts;
  if (WithinBound(in_.options.max_rejects, counts.rows, counts.rejects)) return {};
  ARROW_ASSIGN_OR_RAISE(const std::string where, ReportRejects());
  return Refuse(RunRefusal::kTooManyRejects,
                std::to_string(counts.rejects) + " of " +
                    std::to_string(counts.rows + counts.rejects) +
                    " images were rejected, more than --max-rejects allows" + where);
}

// Where files that could not be read or are no image leave too few for a PCA, says so: what Pca
// itself would say does not help then.
arrow::Status Job::CheckEnough() const {
  const Counts& counts = summary_.counts;
  const int components = in_.options.pca_components;
  if (counts.rows >= (in_.pca ? 1 : std::max(2, components))) return arrow::Status::OK();
  if (counts.rejects > 0) {
    ARROW_ASSIGN_OR_RAISE(const std::string where, ReportRejects());
    return arrow::Status::Invalid(
        counts.rows, " of ", counts.rows + counts.rejects, " images could be read",
        CountsText(summary_.rejects_by_reason),
        counts.rows == 0 ? ""
                         : ", too few for a PCA of " + std::to_string(components) + " components",
        where,
        counts.rows > 0 && counts.rows + counts.rejects < components ? "; use --pca-components"
                                                                     : "");
  }
  if (counts.rows > 0) return arrow::Status::OK();
  return arrow::Status::Invalid("no images under ", in_.input, ": ", counts.skips, " other files",
                                CountsText(summary_.skips_by_reason));
}

// Does the tasks of a stage, by `here` where threads of this process do them; `poll` is called
// several times a second, or as results come in. `meanwhile` is this process' own work.
arrow::Status Job::RunStage(const TaskStage& stage, size_t tasks, const Work& here,
                            const std::function<void()>& poll,
                            const std::function<arrow::Status()>& meanwhile) {
  rows_done_ = 0;
  const size_t own = meanwhile ? 1 : 0;
  if (!in_.executor) {
    const auto work = [&](size_t task, int) { return task < own ? meanwhile() : here(task - own); };
    return ParallelFor(own + tasks, details_.threads, in_.hooks.cancel, work, poll);
  }
  const auto take = [&](const TaskResult& result) {
    rows_done_ += result.rows_written;
    in_.output.work().AddChecksums(result.checksums);
    poll();
  };
  arrow::Status own_status;
  std::jthread thread;
  if (meanwhile) thread = std::jthread([&] { own_status = Guarded(meanwhile); });
  const arrow::Status status = RunElsewhere(stage, take);
  if (thread.joinable()) thread.join();
  ARROW_RETURN_NOT_OK(status);
  return own_status;
}

// Has the executor do a stage; whatever its tasks tell is heard here, and then by `take`.
arrow::Status Job::RunElsewhere(const TaskStage& stage,
                                const std::function<void(const TaskResult&)>& take) {
  const JobText job{details_.output, plan_.run_id, plan_.digest, in_.options.s3};
  const auto deliver = [&](std::string_view text) -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(const TaskResult result, TaskResult::Parse(text));
    for (const std::string& note : result.notes) {
      if (told_.insert(note).second) Log(note);
    }
    take(result);
    return in_.hooks.cancel.Check();
  };
  const auto tasks = static_cast<int64_t>(TaskCount(plan_, stage));
  if (tasks == 0) return arrow::Status::OK();
  return in_.executor->run(job.ToText(), stage.Name(), tasks, deliver);
}

// The fragments' moments, whoever made them and whenever, in an order that does not depend on it.
arrow::Status Job::MergeAll() {
  if (in_.pca) return arrow::Status::OK();
  Stopwatch watch;
  const ExtractedRun run = extracted();
  for (int level = 1; level <= MergeLevels(run.fragments.size()); ++level) {
    const auto merge = [&](size_t node) { return MergeMoments(run, level, node); };
    const auto poll = [&] { Tell({"fit", 0, rows_to_write(), summary_.counts}); };
    ARROW_RETURN_NOT_OK(RunStage({TaskStage::Kind::kMerge, level},
                                 MergeNodes(run.fragments.size(), level), merge, poll));
  }
  watch.Lap(&details_.stages.fit);
  return arrow::Status::OK();
}

// The features do not wait for the PCA, nor it for them.
arrow::Result<Pca> Job::FitWhileWritingFeatures() {
  const ExtractedRun run = extracted();
  if (in_.executor) {
    ARROW_RETURN_NOT_OK(run.work.MakeStagedFolders(PublishedFolders(in_.options)));
    ARROW_RETURN_NOT_OK(ShareFirstRows(run.work, plan_, first_rows_));
  }
  FeatureWriter features(run, first_rows_, &rows_done_);
  std::optional<Pca> pca;
  // By the threads that find no file to write.
  const auto writing = static_cast<int64_t>(features.tasks());
  const int threads = in_.executor
                          ? ThreadCount(in_.options.threads)
                          : static_cast<int>(std::max<int64_t>(details_.threads - writing, 1));
  const auto fit = [&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(pca, Fit(threads));
    return arrow::Status::OK();
  };
  const auto poll = [&] { Tell({"fit", rows_done_, rows_to_write(), summary_.counts}); };
  ARROW_RETURN_NOT_OK(RunStage(
      {TaskStage::Kind::kFeatures}, features.tasks(),
      [&](size_t task) { return features.Write(task); }, poll, fit));
  ARROW_RETURN_NOT_OK(CheckWritten("features"));
  if (!in_.pca && pca->determined() < pca->components()) {
    Log(pca->determined() == 0
            ? "the images are all the same to the network: the components are arbitrary"
            : "the images determine " + std::to_string(pca->determined()) + " of the " +
                  std::to_string(pca->components()) +
                  " components; the further columns are arbitrary: use --pca-components " +
                  std::to_string(pca->determined()));
  }
  return *std::move(pca);
}

arrow::Result<Pca> Job::Fit(int threads) {
  if (in_.pca) return *in_.pca;
  Stopwatch watch;
  ARROW_ASSIGN_OR_RAISE(const Moments moments, ReadMerged(extracted()));
  const RunOptions& options = in_.options;
  auto pca = Pca::Fit(moments, {options.pca_components, options.center, options.standardize},
                      OriginOf(in_.model, plan_.options.decode), threads);
  watch.Lap(&details_.stages.fit);
  return pca;
}

arrow::Status Job::WriteAllProjections(const Pca& pca) {
  const ExtractedRun run = extracted();
  if (in_.executor) {
    const std::string path = PcaPath(run.work, plan_);
    ARROW_RETURN_NOT_OK(pca.Save(path));
    ARROW_RETURN_NOT_OK(run.work.Share(path));
  }
  const auto write = [&](size_t part) { return WriteProjections(run, pca, part, &rows_done_); };
  const auto poll = [&] { Tell({"write", rows_done_, rows_to_write(), summary_.counts}); };
  ARROW_RETURN_NOT_OK(RunStage({TaskStage::Kind::kProjections}, run.parts(), write, poll));
  return CheckWritten("PCA");
}

arrow::Status Job::WriteReports(const Pca& pca) {
  WorkFolder& work = in_.output.work();
  summary_.components = pca.components();
  if (in_.pca) summary_.given_pca = pca.Digest();
  for (const double ratio : pca.ExplainedVarianceRatio()) summary_.variance_explained += ratio;
  ARROW_RETURN_NOT_OK(
      work.WritePart(kModelInfo, 0, "json",
                     ModelInfoJson(summary_.run_id, {pca, summary_.counts.rows, in_.pca != nullptr},
                                   in_.model, details_.engine, plan_.options.decode)));
  ARROW_RETURN_NOT_OK(work.WritePart(kVariance, 0, "csv", VarianceCsv(pca)));
  ARROW_ASSIGN_OR_RAISE(const std::string model, work.PartPath(kPcaModel, 0, "safetensors"));
  ARROW_RETURN_NOT_OK(pca.Save(model));
  ARROW_RETURN_NOT_OK(work.RecordChecksum(model));
  ARROW_RETURN_NOT_OK(work.WritePart(kPcaOnnx, 0, "onnx", PcaToOnnx(pca)));
  if (FitsSpark(pca.options())) {
    ARROW_ASSIGN_OR_RAISE(const SparkPca spark, PcaToSpark(pca, "pca_" + summary_.run_id));
    ARROW_RETURN_NOT_OK(work.WritePart(kSparkPcaMetadata, 0, "txt", spark.metadata));
    ARROW_RETURN_NOT_OK(work.WritePart(kSparkPcaData, 0, "parquet", spark.data));
  }
  ARROW_ASSIGN_OR_RAISE(const auto errors, work.CreatePart(kErrors, 0, "csv"));
  std::shared_ptr<arrow::io::OutputStream> errors_parquet;
  if (in_.options.formats.parquet) {
    ARROW_ASSIGN_OR_RAISE(errors_parquet, work.CreatePart(kErrorsParquet, 0, "parquet"));
  }
  ARROW_RETURN_NOT_OK(
      WriteErrors(extracted(), summary_.counts.rejects, errors.get(), std::move(errors_parquet)));
  ARROW_ASSIGN_OR_RAISE(std::vector<Section> report, Report());
  ARROW_RETURN_NOT_OK(in_.output.Upload(in_.hooks.cancel, TellUploaded()));
  details_.writes = in_.output.transfers();
  stage_.Lap(&details_.stages.write);

  const Counts& counts = summary_.counts;
  summary_.seconds = std::chrono::duration<double>(Clock::now() - started_).count();
  // Of what shards have made, nothing is known here.
  const int64_t made = in_.planned ? 0 : counts.listed - counts.resumed - counts.reused;
  summary_.images_per_second = static_cast<double>(made) / details_.stages.extract;
  summary_.peak_memory_bytes = PeakMemoryBytes();
  const std::string run_info = RunInfoJson(summary_, details_, plan_.options);
  ARROW_RETURN_NOT_OK(work.WritePart(kRunInfo, 0, "json", run_info));
  if (in_.options.report == ReportKind::kNone) return arrow::Status::OK();
  // Last, as it says what run_info says.
  report.push_back(MakingSection(ParseJson(run_info)));
  ARROW_ASSIGN_OR_RAISE(const auto page, work.CreateReport());
  ARROW_RETURN_NOT_OK(pomona::WriteReport(summary_.run_id, report, page.get()));
  return page->Close();
}

// What the report shows, but for what run_info says; empty where none is asked for.
arrow::Result<std::vector<Section>> Job::Report() {
  if (in_.options.report == ReportKind::kNone) return std::vector<Section>();
  Stopwatch watch;
  const auto read = [&](const std::string& path, FileBytes* bytes) {
    // What is paid for and takes its way is read once; `pomona report` does it where asked.
    if (IsS3Uri(path) || !IsWorthReading(path)) return false;
    Item item;
    item.path = path;
    const auto reject = in_.source.Read(item, bytes);
    return reject.ok() && !*reject;
  };
  std::vector<PublishedFiles> places = {PublishedFiles(in_.output.work().StagedRoot())};
  // What others made may have been brought to where it will be published.
  if (in_.executor) places.push_back(in_.output.published());
  const RunTables tables(std::move(places), summary_.run_id);
  auto sections = GatherReport({tables,
                                in_.options.report,
                                in_.options.report_images,
                                read,
                                ThreadCount(in_.options.threads),
                                in_.hooks.cancel,
                                {}});
  watch.Lap(&details_.stages.report);
  return sections;
}

arrow::Status Job::Publish() {
  ARROW_RETURN_NOT_OK(in_.hooks.cancel.Check());
  const std::vector<OutputFolder> folders = PublishedFolders(in_.options);
  for (const OutputFolder& folder : folders) {
    if (folder.inner.empty()) summary_.folders.push_back(folder.Path(summary_.run_id));
  }
  return in_.output.Publish(folders, in_.hooks.cancel, TellUploaded(), [this] { UpdateCard(); });
}

// The run is published, and stays so.
void Job::UpdateCard() const {
  const auto ours = Guarded([&] { return pomona::UpdateCard(in_.output, summary_.run_id); });
  if (!ours.ok()) {
    Log("the dataset card was not written: " + ours.status().message());
  } else if (!*ours) {
    Log("no dataset card is written: the README.md in " + details_.output + " is none of Pomona's");
  }
}

arrow::Status Job::CheckWritten(const char* what) const {
  if (rows_done_ == rows_to_write()) return arrow::Status::OK();
  return arrow::Status::UnknownError("internal error: of ", rows_to_write(), " rows, ",
                                     rows_done_.load(), " of the ", what,
                                     " were written; please report this");
}

ExtractedRun Job::extracted() const { return ExtractedRunOf(plan_, *items_, in_.output.work()); }

int64_t Job::rows_to_write() const {
  return summary_.counts.rows * std::ssize(SelectedFormats(in_.options.formats));
}

// What this run writes in all, about; 0: not known yet.
int64_t Job::SpaceNeeded() const {
  if (listing_ && !listing_->complete()) return 0;
  const int64_t items = listing_ ? listing_->count() : plan_.items();
  const int64_t features = plan_.dimensions;
  int64_t number = sizeof(float);  // a number in its fragment and in the files
  for (const VectorFormat* format : SelectedFormats(in_.options.formats)) {
    number += format->bytes_per_number;
  }
  const int64_t fragments = items / in_.options.fragment_items + 1;
  const int64_t moments = features * features / 2 * int64_t{sizeof(double)};
  constexpr int64_t kModelsAndReport = 6 << 20;
  // One more: the sum of all.
  return items * features * number + (fragments + 1) * moments + kModelsAndReport;
}

// What others have extracted is told by them.
void Job::Measure(const Extraction& extraction, const TransferCounts& reads) const {
  const bool others = in_.planned && in_.options.shard.index > 0;
  if (in_.metrics && !others) in_.metrics->HearExtraction(extraction, reads);
}

void Job::Tell(const Progress& progress) const {
  if (in_.metrics) in_.metrics->HearWrites(in_.output.transfers());
  if (in_.hooks.progress) in_.hooks.progress(progress);
}

void Job::EndOutput() const {
  if (in_.metrics) in_.metrics->EndOutput(in_.output.transfers());
}

Output::Poll Job::TellUploaded() const {
  return [this](int64_t bytes) { Tell({"upload", bytes, 0, {}}); };
}

void Job::Log(const std::string& text) const {
  if (in_.hooks.log) in_.hooks.log(text);
}

}  // namespace pomona
