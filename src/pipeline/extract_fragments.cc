#include "extract_fragments.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <mutex>
#include <semaphore>
#include <utility>

#include "disk.h"
#include "guarded.h"
#include "image_worker.h"
#include "model.h"
#include "open_fragment.h"
#include "stopwatch.h"
#include "tasks.h"

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;

// One fills while the other is added up and stored, which takes a fraction of the time.
constexpr int kOpenFragments = 2;

// How often a worker says what it spent so far.
constexpr std::chrono::seconds kTellEvery{1};

// One of those being made.
struct Slot {
  OpenFragment fragment;

  // Held while the fragment is opened, saved or stored; for what is below.
  std::mutex mutex;
  bool is_open = false;        // neither free nor being stored
  Clock::time_point saved_at;  // or opened
  int64_t saved = 0;           // items in the partial file; 0: there is none
};

// What the workers share.
class FragmentWorkers {
 public:
  FragmentWorkers(const ExtractionInput& input, Extraction* result)
      : input_(input), result_(result), memory_(input.options.memory) {
    for (Slot& slot : slots_) free_.push_back(&slot);
  }

  // What one thread does. Errors: those of ExtractFragments(); the other threads stop.
  arrow::Status RunWorker();

  void Stop() {
    stop_ = true;
    input_.fragments.Stop();
  }
  // What the user should know, heard once.
  std::vector<std::string> TakeNotes();

  // Stores what is done of the fragments that were opened or saved this long ago.
  void Save(std::chrono::duration<double> age);

  // Items whose results are stored, in fragments or partial ones.
  int64_t kept();

  // REQUIRES: no worker runs any more.
  const arrow::Status& reuse_status() const { return reuse_status_; }

  Counts counts() const;
  // What became of items so far, also of fragments that are not whole yet, and what that took.
  Extraction so_far();

 private:
  struct Claim {
    Slot* slot = nullptr;  // null: nothing is left to do
    size_t position = 0;   // the number of items: nothing is to be done but to finish the fragment
  };

  std::atomic<int64_t>& rejects(Reason reason) { return rejects_[static_cast<size_t>(reason)]; }

  // The next item.
  arrow::Result<Claim> Next();
  arrow::Result<const ListedFragment*> NextToMake(std::optional<StoredFragment>* before);
  arrow::Status Open(Slot* slot, const ListedFragment& listed,
                     const std::optional<StoredFragment>& before);
  arrow::Status Resume(Slot* slot, const std::optional<StoredFragment>& before);
  void Reuse(OpenFragment* fragment);
  arrow::Status SavePartial(Slot* slot);
  arrow::Status Work();
  arrow::Status Finish(Slot* slot, WorkerSeconds* seconds);

  const ExtractionInput& input_;
  std::atomic<int64_t> rows_ = 0, skips_ = 0, resumed_ = 0, reused_ = 0;
  std::array<std::atomic<int64_t>, kReasons> rejects_ = {};  // by their reason
  Extraction* const result_;
  ImageMemory memory_;
  Slot slots_[kOpenFragments];

  std::mutex claim_mutex_;      // for the next five, and for input_.earlier
  arrow::Status reuse_status_;  // the first failure to read the earlier run
  size_t next_fragment_ = 0;
  Slot* current_ = nullptr;    // null: the next fragment is to be opened
  std::vector<size_t> to_do_;  // the items of current_ to work on
  size_t next_to_do_ = 0;

  std::mutex free_mutex_;  // for free_
  std::vector<Slot*> free_;
  std::counting_semaphore<kOpenFragments> free_count_{kOpenFragments};

  std::mutex result_mutex_;  // for *result_ and notes_
  std::vector<std::string> notes_;
  bool save_failed_ = false;
  std::atomic<int64_t> stored_ = 0;  // items in whole fragments
  std::atomic<bool> has_first_row_ = false;
  std::atomic<bool> stop_ = false;
};

Counts FragmentWorkers::counts() const {
  Counts counts;
  counts.listed = input_.fragments.count();
  counts.rows = rows_;
  for (const auto& rejects : rejects_) counts.rejects += rejects;
  counts.skips = skips_;
  counts.resumed = resumed_;
  counts.reused = reused_;
  return counts;
}

Extraction FragmentWorkers::so_far() {
  Extraction extraction;
  extraction.counts = counts();
  for (size_t reason = 0; reason < kReasons; ++reason) {
    extraction.rejects_by_reason.emplace(ReasonName(static_cast<Reason>(reason)), rejects_[reason]);
  }
  extraction.skips_by_reason.emplace(kNotAnImage, skips_);
  const std::lock_guard lock(result_mutex_);
  extraction.seconds = result_->seconds;
  return extraction;
}

std::vector<std::string> FragmentWorkers::TakeNotes() {
  const std::lock_guard lock(result_mutex_);
  return std::exchange(notes_, {});
}

// The next fragment that is not stored, or that is to be made again of what is stored, which then
// becomes `before`; null: there is none.
arrow::Result<const ListedFragment*> FragmentWorkers::NextToMake(
    std::optional<StoredFragment>* before) {
  while (!stop_) {
    ARROW_ASSIGN_OR_RAISE(const ListedFragment* listed, input_.fragments.Fragment(next_fragment_));
    if (!listed) break;
    ++next_fragment_;
    const std::string path = input_.work.FragmentPath(*listed);
    ARROW_ASSIGN_OR_RAISE(Found stored, FindStored(input_.work, path, listed->range));
    if (!stored.fragment) {
      if (!stored.damage.ok()) {
        const std::lock_guard lock(result_mutex_);
        notes_.push_back("a stored fragment cannot be kept and is made again: " +
                         stored.damage.message());
      }
      return listed;
    }
    const FragmentReport& report = stored.fragment->report();
    // What has failed may be mended by now: only this is made again. Shards' fragments stay as they
    // are, since others may have copies.
    const auto may_pass = [](const FragmentReject& each) { return MayPass(each.reject); };
    if (input_.listed_here && std::ranges::any_of(report.rejects, may_pass)) {
      *before = std::move(stored.fragment);
      return listed;
    }
    rows_ += static_cast<int64_t>(report.rows.size());
    for (const FragmentReject& each : report.rejects) ++rejects(each.reject.reason);
    skips_ += report.skip_count();
    resumed_ += static_cast<int64_t>(listed->range.size());
    stored_ += static_cast<int64_t>(listed->range.size());
    input_.work.DropCopy(path);
    const std::lock_guard lock(result_mutex_);
    result_->Count(listed->range, report);
  }
  return nullptr;
}

arrow::Result<FragmentWorkers::Claim> FragmentWorkers::Next() {
  const std::lock_guard lock(claim_mutex_);
  if (!current_) {
    std::optional<StoredFragment> before;
    ARROW_ASSIGN_OR_RAISE(const ListedFragment* listed, NextToMake(&before));
    if (!listed) return Claim{};
    // Whoever waits here keeps the others waiting too, and rightly so: there is nowhere to put a
    // row until a fragment is stored.
    while (!free_count_.try_acquire_for(std::chrono::milliseconds(50))) {
      if (stop_) return Claim{};
    }
    Slot* opened;
    {
      const std::lock_guard free_lock(free_mutex_);
      opened = free_.back();
      free_.pop_back();
    }
    ARROW_RETURN_NOT_OK(Open(opened, *listed, before));
    const OpenFragment& fragment = opened->fragment;
    to_do_ = fragment.OpenPositions(0, fragment.size());
    next_to_do_ = 0;
    if (to_do_.empty()) return Claim{opened, fragment.size()};
    input_.source.Prefetch(fragment.ItemsAt(to_do_));
    current_ = opened;
  }
  const Claim claim{current_, to_do_[next_to_do_++]};
  if (next_to_do_ == to_do_.size()) current_ = nullptr;
  return claim;
}

// Takes what earlier runs have of the fragment, of which the rest is to be made.
arrow::Status FragmentWorkers::Open(Slot* slot, const ListedFragment& listed,
                                    const std::optional<StoredFragment>& before) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Item> items, input_.fragments.Items(listed));
  const std::lock_guard lock(slot->mutex);
  slot->fragment.Reset(input_.work.FragmentPath(listed), listed.range, std::move(items),
                       input_.engine.features());
  slot->saved_at = Clock::now();
  slot->saved = 0;
  slot->is_open = true;  // last: memory may end above
  ARROW_RETURN_NOT_OK(Resume(slot, before));
  if (input_.earlier) Reuse(&slot->fragment);
  return arrow::Status::OK();
}

// What a run that was interrupted had finished, by whatever executor.
arrow::Status FragmentWorkers::Resume(Slot* slot, const std::optional<StoredFragment>& before) {
  OpenFragment& fragment = slot->fragment;
  const auto take = [&](const StoredFragment& stored) {
    const OpenFragment::Taken taken = fragment.TakeOver(stored, input_.listed_here);
    slot->saved += taken.items();
    rows_ += taken.rows;
    for (const Reason reason : taken.rejects) ++rejects(reason);
    resumed_ += taken.items();
  };
  if (before) take(*before);
  for (const std::string& path : UnfinishedPaths(fragment.path())) {
    ARROW_ASSIGN_OR_RAISE(const Found partial, FindStored(input_.work, path, fragment.range(),
                                                          &StoredFragment::OpenPartial));
    if (partial.fragment) take(*partial.fragment);
    if (partial.damage.ok()) continue;
    const std::lock_guard lock(result_mutex_);
    notes_.push_back("unfinished work cannot be kept and is done again: " +
                     partial.damage.message());
  }
  return arrow::Status::OK();
}

// Takes over the rows that the earlier run has.
void FragmentWorkers::Reuse(OpenFragment* fragment) {
  int64_t taken = 0;
  const arrow::Status status = fragment->Reuse(input_.earlier, 0, fragment->size(), &taken);
  if (reuse_status_.ok()) reuse_status_ = status;
  reused_ += taken;
  rows_ += taken;
}

void FragmentWorkers::Save(std::chrono::duration<double> age) {
  if (!input_.work.outlasts()) return;  // nobody would find it
  for (Slot& slot : slots_) {
    // What is held is being stored, or it was opened just now.
    const std::unique_lock lock(slot.mutex, std::try_to_lock);
    if (!lock || !slot.is_open || Clock::now() - slot.saved_at < age) continue;
    const arrow::Status status = Guarded([&] { return SavePartial(&slot); });
    slot.saved_at = Clock::now();
    if (status.ok() || std::exchange(save_failed_, true)) continue;
    const std::lock_guard result_lock(result_mutex_);
    notes_.push_back("unfinished work cannot be stored: " + status.message());
  }
}

// REQUIRES: slot->mutex is held.
arrow::Status FragmentWorkers::SavePartial(Slot* slot) {
  const OpenFragment& fragment = slot->fragment;
  ARROW_ASSIGN_OR_RAISE(slot->saved, fragment.StorePartial(PartialPath(fragment.path()), 0,
                                                           fragment.size(), slot->saved));
  return arrow::Status::OK();
}

int64_t FragmentWorkers::kept() {
  int64_t items = stored_;
  for (Slot& slot : slots_) {
    const std::lock_guard lock(slot.mutex);
    items += slot.saved;
  }
  return items;
}

arrow::Status FragmentWorkers::RunWorker() {
  const arrow::Status status = Guarded([&] { return Work(); });
  if (status.ok()) return status;
  // Whoever was stopped because another one failed has nothing to tell.
  if (status.IsCancelled() && stop_) return arrow::Status::OK();
  Stop();
  return status;
}

arrow::Status FragmentWorkers::Work() {
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<ImageWorker> worker,
                        ImageWorker::Make(input_.engine, input_.options, &memory_));
  WorkerSeconds seconds;  // of what is not made of single images
  WorkerSeconds told;     // of all
  Clock::time_point told_at = Clock::now();
  const auto tell = [&] {
    WorkerSeconds all = seconds;
    all += worker->seconds();
    const std::lock_guard lock(result_mutex_);
    result_->seconds += all;
    result_->seconds -= told;
    told = all;
    told_at = Clock::now();
  };

  while (!stop_) {
    ARROW_ASSIGN_OR_RAISE(const Claim claim, Next());
    if (!claim.slot) break;
    OpenFragment& fragment = claim.slot->fragment;
    const size_t position = claim.position;
    if (position == fragment.size()) {
      ARROW_RETURN_NOT_OK(Finish(claim.slot, &seconds));
      continue;
    }
    const Item& item = fragment.item(position);

    ARROW_ASSIGN_OR_RAISE(
        Outcome outcome,
        worker->Extract(
            item.path, item.size, [&](FileBytes* bytes) { return input_.source.Read(item, bytes); },
            fragment.row(position), fragment.image(position)));
    if (outcome.verdict == Verdict::kRow && !has_first_row_.exchange(true)) {
      const std::lock_guard lock(result_mutex_);
      result_->first_row = Clock::now();
    }

    ++(outcome.verdict == Verdict::kRow      ? rows_
       : outcome.verdict == Verdict::kReject ? rejects(outcome.reject->reason)
                                             : skips_);
    if (fragment.Set(position, std::move(outcome)) == 0) {
      ARROW_RETURN_NOT_OK(Finish(claim.slot, &seconds));
    }
    if (Clock::now() - told_at > kTellEvery) tell();
  }
  tell();
  return arrow::Status::OK();
}

arrow::Status FragmentWorkers::Finish(Slot* slot, WorkerSeconds* seconds) {
  const std::lock_guard slot_lock(slot->mutex);
  // From here on its rows are not in their places, and nothing may be saved of it.
  slot->is_open = false;
  OpenFragment& fragment = slot->fragment;
  if (!input_.listed_here) ARROW_RETURN_NOT_OK(fragment.CheckReached(0, fragment.size()));
  ARROW_ASSIGN_OR_RAISE(const FragmentReport report, fragment.Store(input_.options.cpu, seconds));
  ARROW_RETURN_NOT_OK(input_.work.Share(fragment.path()));
  input_.work.DropCopy(fragment.path());
  if (slot->saved > 0) RemoveUnfinished(fragment.path());
  slot->saved = 0;
  stored_ += std::ssize(report.rows) + std::ssize(report.rejects) + report.skip_count();
  {
    const std::lock_guard lock(result_mutex_);
    result_->Count(fragment.range(), report);
  }
  {
    const std::lock_guard lock(free_mutex_);
    free_.push_back(slot);
  }
  free_count_.release();
  return arrow::Status::OK();
}

}  // namespace

void Extraction::Count(const FragmentRange& range, const FragmentReport& report) {
  rows_by_fragment[range.begin] = std::ssize(report.rows);
  counts.rows += std::ssize(report.rows);
  counts.rejects += std::ssize(report.rejects);
  counts.skips += report.skip_count();
  for (const FragmentReject& r : report.rejects) {
    ++rejects_by_reason[std::string(ReasonName(r.reject.reason))];
  }
  for (const auto& [reason, count] : report.skips) skips_by_reason[reason] += count;
}

void Extraction::AddWork(const Extraction& other) {
  seconds += other.seconds;
  counts.resumed += other.counts.resumed;
  counts.reused += other.counts.reused;
}

void Extraction::AddVerdicts(const Extraction& other) {
  counts.rows += other.counts.rows;
  counts.rejects += other.counts.rejects;
  counts.skips += other.counts.skips;
  for (const auto& [reason, count] : other.rejects_by_reason) rejects_by_reason[reason] += count;
  for (const auto& [reason, count] : other.skips_by_reason) skips_by_reason[reason] += count;
  rows_by_fragment.insert(other.rows_by_fragment.begin(), other.rows_by_fragment.end());
}

arrow::Result<Extraction> ExtractFragments(const ExtractionInput& input, Kept* kept) {
  const auto log = [&](const std::string& text) {
    if (input.hooks.log) input.hooks.log(text);
  };
  Extraction result;
  FragmentWorkers workers(input, &result);
  bool listed = false, started = false, told_of_device = false;
  const auto tell = [&](const Progress& progress) {
    if (input.hooks.progress) input.hooks.progress(progress);
  };
  const auto report = [&]() -> arrow::Status {
    const std::string trouble = NewTrouble(input.engine, &told_of_device);
    if (!trouble.empty()) log(trouble);
    for (const std::string& note : workers.TakeNotes()) log(note);
    if (!listed && input.fragments.complete()) {
      listed = true;
      ARROW_RETURN_NOT_OK(input.on_listed());
    }
    if (input.measure) input.measure(workers.so_far());
    const Counts counts = workers.counts();
    const int64_t done = counts.rows + counts.rejects + counts.skips;
    const Progress progress{"extract", done, listed ? counts.listed : 0, counts};
    if (!started) {
      // The stage before this one ends, whatever is listed later.
      started = listed || done > 0;
      tell({"list", counts.listed, started ? counts.listed : 0, {}});
    }
    if (started) tell(progress);
    if (input.check) ARROW_RETURN_NOT_OK(input.check());
    return input.hooks.cancel.Check();
  };

  arrow::Status stopped;
  const auto poll = [&] {
    if (!stopped.ok()) return;
    stopped = Guarded(report);
    if (!stopped.ok()) return workers.Stop();
    workers.Save(std::chrono::duration<double>(input.options.save_seconds));
  };
  const int count = WorkerCount(input.threads, input.engine.workers_per_thread());
  arrow::Status worked =
      ParallelFor(count, count, {}, [&](size_t, int) { return workers.RunWorker(); }, poll);
  if (worked.ok()) worked = stopped;  // otherwise that was a consequence
  if (!worked.ok()) workers.Save(std::chrono::seconds(0));
  for (const std::string& note : workers.TakeNotes()) log(note);
  *kept = {workers.kept(), input.fragments.complete() ? input.fragments.count() : 0};
  ARROW_RETURN_NOT_OK(worked);
  const Counts counts = workers.counts();
  result.counts.listed = counts.listed;
  result.counts.resumed = counts.resumed;
  result.counts.reused = counts.reused;
  if (!workers.reuse_status().ok()) {
    log("features of the run " + input.earlier->run_id() +
        " cannot be reused and are recomputed: " + workers.reuse_status().message());
  }
  return result;
}

}  // namespace pomona
