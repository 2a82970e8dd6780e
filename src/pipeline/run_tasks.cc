#include "run_tasks.h"

#include <atomic>
#include <charconv>
#include <utility>

#include "guarded.h"
#include "merge_moments.h"
#include "model.h"
#include "pomona/safetensors.h"
#include "tasks.h"

namespace pomona {
namespace {

constexpr std::string_view kNames[] = {"extract", "gather", "merge", "features", "projections"};

std::string FirstRowsPath(const WorkFolder& work, const Plan& plan) {
  return work.MomentsPath("first_rows", plan.digest);
}

arrow::Result<std::vector<int64_t>> FetchFirstRows(const WorkFolder& work, const Plan& plan) {
  const std::string path = FirstRowsPath(work, plan);
  ARROW_RETURN_NOT_OK(work.Fetch(path).status());
  ARROW_ASSIGN_OR_RAISE(const auto file, SafetensorsFile::Open(path));
  ARROW_ASSIGN_OR_RAISE(const TensorView tensor, file->Get("first_rows"));
  const std::span<const int64_t> rows = tensor.values<int64_t>();
  if (tensor.dtype != DType::kI64 ||
      rows.size() != PartCount(plan.options, plan.fragments.size())) {
    return arrow::Status::Invalid(path, ": not the first rows of the parts");
  }
  return std::vector<int64_t>(rows.begin(), rows.end());
}

}  // namespace

std::string TaskStage::Name() const {
  std::string name(kNames[static_cast<size_t>(kind)]);
  return kind == Kind::kMerge ? name + std::to_string(level) : name;
}

arrow::Result<TaskStage> TaskStage::Parse(std::string_view name) {
  for (size_t kind = 0; kind < std::size(kNames); ++kind) {
    TaskStage stage{static_cast<Kind>(kind)};
    if (stage.kind != Kind::kMerge) {
      if (name == kNames[kind]) return stage;
      continue;
    }
    if (!name.starts_with(kNames[kind])) continue;
    const char* const end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + kNames[kind].size(), end, stage.level);
    if (error == std::errc() && stop == end && stage.level > 0) return stage;
  }
  return arrow::Status::Invalid("there is no stage '", name, "'");
}

size_t TaskCount(const Plan& plan, const TaskStage& stage) {
  const size_t fragments = plan.fragments.size();
  switch (stage.kind) {
    case TaskStage::Kind::kExtract: return fragments * static_cast<size_t>(plan.slices);
    case TaskStage::Kind::kGather: return plan.slices > 1 ? fragments : 0;
    case TaskStage::Kind::kMerge: return MergeNodes(fragments, stage.level);
    case TaskStage::Kind::kFeatures:
    case TaskStage::Kind::kProjections: return PartCount(plan.options, fragments);
  }
  return 0;
}

std::string PcaPath(const WorkFolder& work, const Plan& plan) {
  return work.MomentsPath("pca", plan.digest);
}

arrow::Status ShareFirstRows(const WorkFolder& work, const Plan& plan,
                             std::span<const int64_t> first_rows) {
  const std::string path = FirstRowsPath(work, plan);
  const TensorView rows{
      DType::kI64, {static_cast<int64_t>(first_rows.size())}, std::as_bytes(first_rows)};
  ARROW_RETURN_NOT_OK(WriteSafetensors(path, {{"first_rows", rows}}, {}));
  return work.Share(path);
}

RunTasks::RunTasks(const Plan& plan, Output& output, OpenSource open_source,
                   EngineFactory make_engine, CancelToken cancel)
    : plan_(plan),
      output_(output),
      open_source_(std::move(open_source)),
      make_engine_(std::move(make_engine)),
      cancel_(cancel),
      memory_(plan.options.memory) {}

arrow::Result<TaskResult> RunTasks::Run(const TaskStage& stage, size_t task) {
  if (task >= TaskCount(plan_, stage)) {
    return arrow::Status::Invalid("there is no task ", task, " of ", stage.Name());
  }
  // What a task that failed left is not to be taken for this one's.
  ARROW_RETURN_NOT_OK(output_.work().ClearStaged());
  if (!items_) {
    ARROW_ASSIGN_OR_RAISE(items_, output_.work().OpenItems());
  }
  TaskResult result;
  const auto run = [&]() -> arrow::Status {
    switch (stage.kind) {
      case TaskStage::Kind::kExtract: return Extract(task, &result);
      case TaskStage::Kind::kGather: return Gather(task, &result);
      case TaskStage::Kind::kMerge: return MergeMoments(extracted(), stage.level, task);
      case TaskStage::Kind::kFeatures: return WriteFeatures(task, &result);
      case TaskStage::Kind::kProjections: return Project(task, &result);
    }
    return arrow::Status::OK();
  };
  const arrow::Status status = Guarded(run);
  output_.work().DropCopies();
  ARROW_RETURN_NOT_OK(status);
  result.checksums = output_.work().TakeChecksums();
  return result;
}

ExtractedRun RunTasks::extracted() const { return ExtractedRunOf(plan_, *items_, output_.work()); }

// Whether the fragment is stored; then it is counted.
arrow::Result<bool> RunTasks::FindWhole(size_t f, TaskResult* result) {
  const ListedFragment& listed = plan_.fragments[f];
  const WorkFolder& work = output_.work();
  ARROW_ASSIGN_OR_RAISE(const Found stored,
                        FindStored(work, work.FragmentPath(listed), listed.range));
  if (!stored.damage.ok()) {
    result->notes.push_back("a stored fragment cannot be kept and is made again: " +
                            stored.damage.message());
  }
  if (stored.fragment) result->extraction.Count(listed.range, stored.fragment->report());
  return stored.fragment.has_value();
}

arrow::Status RunTasks::Extract(size_t task, TaskResult* result) {
  const auto slices = static_cast<size_t>(plan_.slices);
  const size_t f = task / slices;
  const int slice = static_cast<int>(task % slices);
  const ListedFragment& listed = plan_.fragments[f];
  const size_t size = listed.range.size();
  const size_t begin = slices == 1 ? 0 : SliceBegin(size, slice);
  const size_t end = slices == 1 ? size : SliceBegin(size, slice + 1);
  const auto items = static_cast<int64_t>(end - begin);
  Extraction& extraction = result->extraction;
  result->items = items;

  TaskResult whole;
  ARROW_ASSIGN_OR_RAISE(const bool is_whole, FindWhole(f, &whole));
  if (is_whole) {
    if (slices == 1) extraction = std::move(whole.extraction);
    extraction.counts.resumed = items;
    return arrow::Status::OK();
  }
  result->notes = std::move(whole.notes);
  const std::string path = output_.work().FragmentPath(listed);
  if (slices > 1) {
    ARROW_ASSIGN_OR_RAISE(const Found stored,
                          FindStored(output_.work(), SlicePath(path, slice), listed.range,
                                     &StoredFragment::OpenPartial));
    if (stored.fragment) {
      extraction.counts.resumed = items;
      return arrow::Status::OK();
    }
  }

  ARROW_ASSIGN_OR_RAISE(std::vector<Item> all, plan_.ItemsOf(listed, *items_));
  fragment_.Reset(path, listed.range, std::move(all), plan_.dimensions);
  // Where another executor was interrupted.
  for (const std::string& partial : UnfinishedPaths(path)) {
    ARROW_ASSIGN_OR_RAISE(const Found stored, FindStored(output_.work(), partial, listed.range,
                                                         &StoredFragment::OpenPartial));
    if (!stored.fragment) continue;
    const OpenFragment::Taken taken = fragment_.TakeOver(*stored.fragment, /*only_lasting=*/false);
    if (slices == 1) extraction.counts.resumed += taken.items();
  }
  if (!plan_.earlier_run.empty()) Reuse(&fragment_, begin, end, f, result);
  ARROW_RETURN_NOT_OK(MakeItems(&fragment_, begin, end, result));
  ARROW_RETURN_NOT_OK(fragment_.CheckReached(begin, end));
  if (slices == 1) {
    ARROW_ASSIGN_OR_RAISE(const FragmentReport report,
                          fragment_.Store(plan_.options.cpu, &extraction.seconds));
    extraction.Count(listed.range, report);
    RemoveUnfinished(path);
    return output_.work().Share(path);
  }
  const std::string stored = SlicePath(path, slice);
  ARROW_RETURN_NOT_OK(fragment_.StorePartial(stored, begin, end, /*but=*/-1).status());
  return output_.work().Share(stored);
}

// Features that cannot be reused are computed.
void RunTasks::Reuse(OpenFragment* fragment, size_t begin, size_t end, size_t f,
                     TaskResult* result) {
  // It goes forwards only.
  if (!earlier_ || !reused_for_ || f <= *reused_for_) {
    earlier_ = EarlierRun::Open(output_.published(), plan_.earlier_run, plan_.recipe,
                                plan_.dimensions, plan_.options.stats);
  }
  reused_for_ = f;
  const arrow::Status status =
      fragment->Reuse(earlier_.get(), begin, end, &result->extraction.counts.reused);
  if (!status.ok()) {
    result->notes.push_back("features of the run " + plan_.earlier_run +
                            " cannot be reused and are recomputed: " + status.message());
  }
}

arrow::Status RunTasks::OpenEngine() {
  if (!workers_.empty()) return arrow::Status::OK();
  ARROW_ASSIGN_OR_RAISE(source_, open_source_());
  ARROW_ASSIGN_OR_RAISE(engine_, make_engine_());
  if (engine_->features() != plan_.dimensions) {
    return arrow::Status::Invalid("the engine gives ", engine_->features(),
                                  " features, but the run was planned for ", plan_.dimensions);
  }
  for (int i = WorkerCount(1, engine_->workers_per_thread()); i > 0; --i) {
    ARROW_ASSIGN_OR_RAISE(auto worker, ImageWorker::Make(*engine_, plan_.options, &memory_));
    workers_.push_back(std::move(worker));
  }
  return arrow::Status::OK();
}

// Spent by all workers so far.
WorkerSeconds RunTasks::Seconds() const {
  WorkerSeconds seconds;
  for (const auto& worker : workers_) seconds += worker->seconds();
  return seconds;
}

arrow::Status RunTasks::MakeItems(OpenFragment* fragment, size_t begin, size_t end,
                                  TaskResult* result) {
  const std::vector<size_t> open = fragment->OpenPositions(begin, end);
  if (open.empty()) return arrow::Status::OK();
  ARROW_RETURN_NOT_OK(OpenEngine());
  const WorkerSeconds before = Seconds();
  const TransferCounts read_before = source_->transfers();
  source_->Prefetch(fragment->ItemsAt(open));
  const auto make = [&](size_t index, int worker) -> arrow::Status {
    const size_t i = open[index];
    ARROW_RETURN_NOT_OK(cancel_.Check());
    const Item& item = fragment->item(i);
    ARROW_ASSIGN_OR_RAISE(
        Outcome outcome,
        workers_[worker]->Extract(
            item.path, item.size, [&](FileBytes* bytes) { return source_->Read(item, bytes); },
            fragment->row(i), fragment->image(i)));
    fragment->Set(i, std::move(outcome));
    return arrow::Status::OK();
  };
  ARROW_RETURN_NOT_OK(ParallelFor(open.size(), static_cast<int>(workers_.size()), cancel_, make));
  result->extraction.seconds += Seconds();
  result->extraction.seconds -= before;
  const std::string trouble = NewTrouble(*engine_, &told_of_device_);
  if (!trouble.empty()) result->notes.push_back(trouble);
  result->reads += source_->transfers();
  result->reads -= read_before;
  return arrow::Status::OK();
}

arrow::Status RunTasks::Gather(size_t f, TaskResult* result) {
  ARROW_ASSIGN_OR_RAISE(const bool is_whole, FindWhole(f, result));
  if (is_whole) return arrow::Status::OK();
  const ListedFragment& listed = plan_.fragments[f];
  const std::string path = output_.work().FragmentPath(listed);
  ARROW_ASSIGN_OR_RAISE(std::vector<Item> all, plan_.ItemsOf(listed, *items_));
  fragment_.Reset(path, listed.range, std::move(all), plan_.dimensions);
  for (int s = 0; s < kSlices; ++s) {
    const std::string slice = SlicePath(path, s);
    ARROW_RETURN_NOT_OK(output_.work().Fetch(slice).status());
    ARROW_ASSIGN_OR_RAISE(const auto stored, StoredFragment::OpenPartial(slice, listed.range));
    ARROW_RETURN_NOT_OK(stored.Verify());
    const size_t size = listed.range.size();
    fragment_.TakeSlice(stored, SliceBegin(size, s), SliceBegin(size, s + 1));
  }
  ARROW_ASSIGN_OR_RAISE(const FragmentReport report,
                        fragment_.Store(plan_.options.cpu, &result->extraction.seconds));
  result->extraction.Count(listed.range, report);
  ARROW_RETURN_NOT_OK(output_.work().Share(path));
  RemoveUnfinished(path);
  return arrow::Status::OK();
}

// All files of the part, so that its fragments are brought here once.
arrow::Status RunTasks::WriteFeatures(size_t part, TaskResult* result) {
  if (first_rows_.empty()) {
    ARROW_ASSIGN_OR_RAISE(first_rows_, FetchFirstRows(output_.work(), plan_));
  }
  std::atomic<int64_t> rows = 0;
  const ExtractedRun run = extracted();
  FeatureWriter features(run, first_rows_, &rows);
  for (size_t file = 0; file < features.files(); ++file) {
    ARROW_RETURN_NOT_OK(features.Write(part * features.files() + file));
  }
  result->rows_written = rows;
  return output_.Deliver(cancel_);
}

arrow::Status RunTasks::Project(size_t part, TaskResult* result) {
  if (!pca_) {
    const std::string path = PcaPath(output_.work(), plan_);
    ARROW_RETURN_NOT_OK(output_.work().Fetch(path).status());
    ARROW_ASSIGN_OR_RAISE(pca_, Pca::Load(path));
  }
  std::atomic<int64_t> rows = 0;
  ARROW_RETURN_NOT_OK(WriteProjections(extracted(), *pca_, part, &rows));
  result->rows_written = rows;
  return output_.Deliver(cancel_);
}

}  // namespace pomona
