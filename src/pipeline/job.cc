#include "job.h"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <optional>
#include <set>
#include <utility>

#include "disk.h"
#include "guarded.h"
#include "messages.h"
#include "pomona/version.h"
#include "refusal.h"
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
  folders.insert(folders.end(), {kMetadata, kModelInfo, kVariance, kPcaModel, kErrors, kRunInfo});
  return folders;
}

}  // namespace

Job::Job(const JobInput& input)
    : in_(input), started_(input.hooks.started.value_or(Clock::now())) {}

arrow::Result<RunSummary> Job::Run() {
  const arrow::Status locked =
      Guarded([&] { return in_.output.Lock(in_.options.fresh, in_.hooks.cancel); });
  if (!locked.ok()) return WithCure(locked, kept_, in_.output.folder(), 0);
  auto summary = Guarded([&] { return RunSteps(); });
  if (summary.ok()) return summary;
  const int64_t space_needed = SpaceNeeded();
  in_.output.Abandon();
  return WithCure(summary.status(), kept_, in_.output.folder(), space_needed);
}

arrow::Result<RunSummary> Job::RunSteps() {
  ARROW_RETURN_NOT_OK(Begin());
  FindEarlierRun();
  ARROW_RETURN_NOT_OK(ExtractAll());
  ARROW_RETURN_NOT_OK(CheckExtraction());
  ARROW_ASSIGN_OR_RAISE(const Pca pca, FitWhileWritingFeatures());
  ARROW_RETURN_NOT_OK(WriteAllProjections(pca));
  ARROW_RETURN_NOT_OK(WriteReports(pca));
  ARROW_RETURN_NOT_OK(Publish());
  return std::move(summary_);
}

arrow::Status Job::Begin() {
  ARROW_ASSIGN_OR_RAISE(summary_.run_id, BeginRun(in_.options.run_id, in_.output));
  ARROW_ASSIGN_OR_RAISE(items_, ItemSpool::Create(in_.output.work().ItemsPath()));
  details_.input = in_.input;
  details_.output = in_.output.location();
  details_.threads = ThreadCount(in_.options.threads);
  if (details_.threads < in_.options.threads) {
    Log(std::to_string(details_.threads) + " threads instead of " +
        std::to_string(in_.options.threads) + ": the memory limit of this process allows no more");
  }
  stage_ = Stopwatch();
  Tell({"list", 0, 0, {}});
  ARROW_ASSIGN_OR_RAISE(engine_, in_.make_engine());
  details_.engine = engine_->name();
  recipe_ = in_.model.digest + '\n' + std::string(kPreprocessing) + '\n' + details_.engine + '\n' +
            kVersion;
  return arrow::Status::OK();
}

// One that cannot be found or read costs time and nothing else.
void Job::FindEarlierRun() {
  if (in_.options.fresh) return;
  auto found = EarlierRun::Find(in_.output.published(), recipe_, engine_->features());
  if (found.ok()) {
    earlier_ = *std::move(found);
  } else {
    Log("no features are reused from earlier runs: " + found.status().message());
  }
}

arrow::Status Job::ExtractAll() {
  listing_ = std::make_unique<Listing>(in_.source, details_.output, in_.options, recipe_, *items_);
  const ExtractionInput input{in_.source,
                              *engine_,
                              earlier_.get(),
                              *listing_,
                              in_.output.work(),
                              details_.threads,
                              in_.options.cpu,
                              in_.hooks,
                              [&] { return TellOfOtherFragments(); },
                              std::chrono::duration<double>(in_.options.save_seconds)};
  ARROW_ASSIGN_OR_RAISE(Extraction extraction, ExtractFragments(input, &kept_));
  details_.stages.list = listing_->seconds();
  stage_.Lap(&details_.stages.extract);
  details_.workers = extraction.seconds;
  details_.reads = in_.source.transfers();
  if (extraction.first_row) {
    details_.first_row_seconds =
        std::chrono::duration<double>(*extraction.first_row - started_).count();
  }
  fragments_ = listing_->TakeFragments();
  summary_.unlabelled = listing_->unlabelled();
  summary_.counts = extraction.counts;
  if (summary_.counts.reused > 0) summary_.reused_run_id = earlier_->run_id();
  summary_.rejects_by_reason = std::move(extraction.rejects_by_reason);
  summary_.skips_by_reason = std::move(extraction.skips_by_reason);
  return arrow::Status::OK();
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
    const std::string path = work.FragmentPath(f, fragment->range.key);
    wanted.insert(path);
    wanted.insert(PartialPath(path));
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
  if (counts.listed == 0) return NoFiles(in_.input, listing_->filter(), in_.options);
  TellOfFilter(*listing_, in_.hooks);
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
  ARROW_RETURN_NOT_OK(WriteErrors(extracted(), file.get()));
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
  if (counts.rows >= std::max(2, components)) return arrow::Status::OK();
  if (counts.rejects > 0) {
    ARROW_ASSIGN_OR_RAISE(const std::string where, ReportRejects());
    return arrow::Status::Invalid(
        counts.rows, " of ", counts.rows + counts.rejects, " images could be read",
        CountsText(summary_.rejects_by_reason),
        counts.rows == 0 ? ""
                         : ", too few for a PCA of " + std::to_string(components) + " components",
        where);
  }
  if (counts.rows > 0) return arrow::Status::OK();
  return arrow::Status::Invalid("no images under ", in_.input, ": ", counts.skips, " other files",
                                CountsText(summary_.skips_by_reason));
}

// The features do not wait for the PCA, nor it for them.
arrow::Result<Pca> Job::FitWhileWritingFeatures() {
  const ExtractedRun run = extracted();
  std::atomic<int64_t> rows_done = 0;
  FeatureWriter features(run, &rows_done);
  std::optional<Pca> pca;
  const auto work = [&](size_t task, int) -> arrow::Status {
    if (task > 0) return features.Write(task - 1);
    ARROW_ASSIGN_OR_RAISE(pca, Fit());
    return arrow::Status::OK();
  };
  const auto poll = [&] { Tell({"fit", rows_done, rows_to_write(), summary_.counts}); };
  ARROW_RETURN_NOT_OK(
      ParallelFor(1 + features.tasks(), details_.threads, in_.hooks.cancel, work, poll));
  if (rows_done != rows_to_write()) {
    return arrow::Status::UnknownError("internal error: of ", rows_to_write(), " rows, ",
                                       rows_done.load(),
                                       " of the features were written; please report this");
  }
  if (pca->determined() < pca->components()) {
    Log("the images determine " + std::to_string(pca->determined()) + " of the " +
        std::to_string(pca->components()) +
        " components; the further columns are arbitrary: use --pca-components " +
        std::to_string(std::max(1, pca->determined())));
  }
  return *std::move(pca);
}

// Merges the fragments' moments in their order, whoever made them and whenever.
arrow::Result<Pca> Job::Fit() {
  Stopwatch watch;
  const ExtractedRun run = extracted();
  Moments moments(run.dimensions);
  for (size_t f = 0; f < run.fragments.size(); ++f) {
    ARROW_ASSIGN_OR_RAISE(const StoredFragment stored, run.OpenFragment(f));
    ARROW_ASSIGN_OR_RAISE(const Moments part, stored.ReadMoments());
    moments.Merge(part);
  }
  const RunOptions& options = in_.options;
  auto pca = Pca::Fit(moments, {options.pca_components, options.center, options.standardize});
  watch.Lap(&details_.stages.fit);
  return pca;
}

arrow::Status Job::WriteAllProjections(const Pca& pca) {
  const ExtractedRun run = extracted();
  std::atomic<int64_t> rows_done = 0;
  const auto work = [&](size_t part, int) { return WriteProjections(run, pca, part, &rows_done); };
  const auto poll = [&] { Tell({"write", rows_done, rows_to_write(), summary_.counts}); };
  ARROW_RETURN_NOT_OK(ParallelFor(run.parts(), details_.threads, in_.hooks.cancel, work, poll));
  if (rows_done == rows_to_write()) return arrow::Status::OK();
  return arrow::Status::UnknownError("internal error: of ", rows_to_write(), " rows, ",
                                     rows_done.load(),
                                     " of the PCA were written; please report this");
}

arrow::Status Job::WriteReports(const Pca& pca) {
  WorkFolder& work = in_.output.work();
  summary_.components = pca.components();
  for (const double ratio : pca.ExplainedVarianceRatio()) summary_.variance_explained += ratio;
  ARROW_RETURN_NOT_OK(work.WritePart(
      kModelInfo, 0, "json", ModelInfoJson(summary_.run_id, pca, in_.model, details_.engine)));
  ARROW_RETURN_NOT_OK(work.WritePart(kVariance, 0, "csv", VarianceCsv(pca)));
  ARROW_ASSIGN_OR_RAISE(const std::string model, work.PartPath(kPcaModel, 0, "safetensors"));
  ARROW_RETURN_NOT_OK(pca.Save(model));
  ARROW_RETURN_NOT_OK(work.RecordChecksum(model));
  ARROW_ASSIGN_OR_RAISE(const auto errors, work.CreatePart(kErrors, 0, "csv"));
  ARROW_RETURN_NOT_OK(WriteErrors(extracted(), errors.get()));
  ARROW_RETURN_NOT_OK(in_.output.Upload(in_.hooks.cancel, TellUploaded()));
  details_.writes = in_.output.transfers();
  stage_.Lap(&details_.stages.write);

  const Counts& counts = summary_.counts;
  summary_.seconds = std::chrono::duration<double>(Clock::now() - started_).count();
  summary_.images_per_second =
      static_cast<double>(counts.listed - counts.resumed - counts.reused) / details_.stages.extract;
  summary_.peak_memory_bytes = PeakMemoryBytes();
  return work.WritePart(kRunInfo, 0, "json", RunInfoJson(summary_, details_, in_.options));
}

arrow::Status Job::Publish() {
  ARROW_RETURN_NOT_OK(in_.hooks.cancel.Check());
  const std::vector<OutputFolder> folders = PublishedFolders(in_.options);
  for (const OutputFolder& folder : folders) {
    summary_.folders.push_back(folder.Path(summary_.run_id));
  }
  return in_.output.Publish(folders, in_.hooks.cancel, TellUploaded());
}

ExtractedRun Job::extracted() const {
  return {fragments_,
          *items_,
          in_.output.work(),
          in_.options,
          engine_->features(),
          {{"pomona.weights_digest", in_.model.digest},
           {"pomona.preprocessing", std::string(kPreprocessing)},
           {"pomona.engine", details_.engine}},
          recipe_};
}

int64_t Job::rows_to_write() const {
  return summary_.counts.rows * std::ssize(SelectedFormats(in_.options.formats));
}

// What this run writes in all, about; 0: not known yet.
int64_t Job::SpaceNeeded() const {
  if (!listing_ || !listing_->complete()) return 0;
  const int64_t items = listing_->count(), features = engine_->features();
  int64_t number = sizeof(float);  // a number in its fragment and in the files
  for (const VectorFormat* format : SelectedFormats(in_.options.formats)) {
    number += format->bytes_per_number;
  }
  const int64_t fragments = items / in_.options.fragment_items + 1;
  const int64_t moments = features * features / 2 * int64_t{sizeof(double)};
  return items * features * number + fragments * moments;
}

void Job::Tell(const Progress& progress) const {
  if (in_.hooks.progress) in_.hooks.progress(progress);
}

Output::Poll Job::TellUploaded() const {
  return [this](int64_t bytes) { Tell({"upload", bytes, 0, {}}); };
}

void Job::Log(const std::string& text) const {
  if (in_.hooks.log) in_.hooks.log(text);
}

}  // namespace pomona
