#include "extract_fragments.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <semaphore>
#include <utility>

#include "disk.h"
#include "guarded.h"
#include "image_worker.h"
#include "page_buffer.h"
#include "stopwatch.h"
#include "tasks.h"

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;

// One fills while the other is added up and stored, which takes a fraction of the time.
constexpr int kOpenFragments = 2;

// A fragment being made. Each item's slot is written by the one worker that claimed the item, its
// verdict last.
struct OpenFragment {
  std::string path;
  FragmentRange range;
  std::vector<Item> items;
  bool is_open = false;               // neither free nor being stored
  std::atomic<size_t> remaining = 0;  // items that are open
  PageBuffer buffer;                  // for features
  std::span<float> features;          // a row for each item, in its place
  std::vector<Verdict> verdicts;
  std::vector<std::optional<Reject>> rejects;

  // Held while the fragment is opened, saved or stored; for what is below and for is_open.
  std::mutex mutex;
  Clock::time_point saved_at;  // or opened
  int64_t saved = 0;           // items in the partial file; 0: there is none

  // REQUIRES: mutex is held.
  void Reset(std::string fragment_path, FragmentRange of, std::vector<Item> its_items,
             size_t dimensions) {
    path = std::move(fragment_path);
    range = std::move(of);
    items = std::move(its_items);
    remaining = items.size();
    const size_t values = items.size() * dimensions;
    if (buffer.values().size() < values) buffer = PageBuffer(values);
    features = buffer.values().first(values);
    verdicts.assign(items.size(), Verdict::kOpen);
    rejects.assign(items.size(), std::nullopt);
    saved_at = Clock::now();
    saved = 0;
    is_open = true;  // last: memory may end above
  }

  Verdict verdict(size_t position) {
    return std::atomic_ref(verdicts[position]).load(std::memory_order_acquire);
  }
  void Set(size_t position, Verdict verdict) {
    std::atomic_ref(verdicts[position]).store(verdict, std::memory_order_release);
  }
};

void Count(const FragmentReport& report, Extraction* result) {
  result->counts.rows += static_cast<int64_t>(report.rows.size());
  result->counts.rejects += static_cast<int64_t>(report.rejects.size());
  result->counts.skips += report.skip_count();
  for (const FragmentReject& r : report.rejects) {
    ++result->rejects_by_reason[std::string(ReasonName(r.reject.reason))];
  }
  for (const auto& [reason, count] : report.skips) result->skips_by_reason[reason] += count;
}

// Opens (by StoredFragment's function) a fragment that an earlier run may have stored and verifies
// it; nothing where it did not.
arrow::Result<std::optional<StoredFragment>> OpenEarlier(const std::string& path,
                                                         const FragmentRange& range,
                                                         decltype(&StoredFragment::Open) open) {
  ARROW_ASSIGN_OR_RAISE(const bool stored, Exists(path));
  if (!stored) return std::nullopt;
  ARROW_ASSIGN_OR_RAISE(StoredFragment fragment, open(path, range));
  ARROW_RETURN_NOT_OK(fragment.Verify());
  return fragment;
}

// What the workers share.
class FragmentWorkers {
 public:
  FragmentWorkers(const ExtractionInput& input, Extraction* result)
      : input_(input), result_(result) {
    for (OpenFragment& fragment : open_) free_.push_back(&fragment);
  }

  // What one thread does. Errors: those of ExtractFragments(); the other threads stop.
  arrow::Status RunWorker();

  void Stop() {
    stop_ = true;
    input_.listing.Stop();
  }
  // What the user should know, heard once.
  std::vector<std::string> TakeNotes();

  // Stores what is done of the fragments that were opened or saved this long ago.
  void Save(std::chrono::duration<double> age);

  // Items whose results are stored, in fragments or partial ones.
  int64_t kept();

  // REQUIRES: no worker runs any more.
  const arrow::Status& reuse_status() const { return reuse_status_; }

  std::atomic<int64_t> rows = 0, rejects = 0, skips = 0, resumed = 0, reused = 0;

 private:
  struct Claim {
    OpenFragment* fragment = nullptr;  // null: nothing is left to do
    size_t position = 0;  // the number of items: nothing is to be done but to finish the fragment
  };

  // The next item, in order.
  arrow::Result<Claim> Next();
  arrow::Result<const ListedFragment*> NextToMake();
  void Advance();
  arrow::Status Open(OpenFragment* fragment, const ListedFragment& listed);
  void Resume(OpenFragment* fragment);
  void Reuse(OpenFragment* fragment);
  arrow::Status SavePartial(OpenFragment* fragment);
  arrow::Status Work();
  arrow::Status Finish(OpenFragment* fragment, WorkerSeconds* seconds);

  const ExtractionInput& input_;
  Extraction* const result_;
  OpenFragment open_[kOpenFragments];

  std::mutex claim_mutex_;      // for the next four, and for input_.earlier
  arrow::Status reuse_status_;  // the first failure to read the earlier run
  size_t next_fragment_ = 0;
  OpenFragment* current_ = nullptr;  // null: the next fragment is to be opened
  size_t next_position_ = 0;         // an item of current_ to work on

  std::mutex free_mutex_;  // for free_
  std::vector<OpenFragment*> free_;
  std::counting_semaphore<kOpenFragments> free_count_{kOpenFragments};

  std::mutex result_mutex_;  // for *result_ and notes_
  std::vector<std::string> notes_;
  bool save_failed_ = false;
  std::atomic<int64_t> stored_ = 0;  // items in whole fragments
  std::atomic<bool> has_first_row_ = false;
  std::atomic<bool> stop_ = false;
};

std::vector<std::string> FragmentWorkers::TakeNotes() {
  const std::lock_guard lock(result_mutex_);
  return std::exchange(notes_, {});
}

// The next fragment that is not stored; null: there is none.
arrow::Result<const ListedFragment*> FragmentWorkers::NextToMake() {
  while (!stop_) {
    ARROW_ASSIGN_OR_RAISE(const ListedFragment* listed, input_.listing.Fragment(next_fragment_));
    if (!listed) break;
    const size_t index = next_fragment_++;
    const auto stored = OpenEarlier(input_.work.FragmentPath(index, listed->range.key),
                                    listed->range, &StoredFragment::Open);
    if (!stored.ok() || !*stored) {
      if (!stored.ok()) {
        const std::lock_guard lock(result_mutex_);
        notes_.push_back("a stored fragment cannot be kept and is made again: " +
                         stored.status().message());
      }
      return listed;
    }
    const FragmentReport& report = (*stored)->report();
    rows += static_cast<int64_t>(report.rows.size());
    rejects += static_cast<int64_t>(report.rejects.size());
    skips += report.skip_count();
    resumed += static_cast<int64_t>(listed->range.size());
    stored_ += static_cast<int64_t>(listed->range.size());
    const std::lock_guard lock(result_mutex_);
    Count(report, result_);
  }
  return nullptr;
}

arrow::Result<FragmentWorkers::Claim> FragmentWorkers::Next() {
  const std::lock_guard lock(claim_mutex_);
  if (!current_) {
    ARROW_ASSIGN_OR_RAISE(const ListedFragment* listed, NextToMake());
    if (!listed) return Claim{};
    // Whoever waits here keeps the others waiting too, and rightly so: there is nowhere to put a
    // row until a fragment is stored.
    while (!free_count_.try_acquire_for(std::chrono::milliseconds(50))) {
      if (stop_) return Claim{};
    }
    OpenFragment* opened;
    {
      const std::lock_guard free_lock(free_mutex_);
      opened = free_.back();
      free_.pop_back();
    }
    ARROW_RETURN_NOT_OK(Open(opened, *listed));
    std::vector<Item> to_read;
    for (size_t i = 0; i < opened->items.size(); ++i) {
      if (opened->verdict(i) == Verdict::kOpen) to_read.push_back(opened->items[i]);
    }
    input_.source.Prefetch(to_read);
    current_ = opened;
    next_position_ = 0;
    Advance();
    if (!current_) return Claim{opened, opened->verdicts.size()};
  }
  const Claim claim{current_, next_position_++};
  Advance();
  return claim;
}

// Goes on to the next item to work on, if current_ has another.
void FragmentWorkers::Advance() {
  const size_t size = current_->verdicts.size();
  while (next_position_ < size && current_->verdict(next_position_) != Verdict::kOpen) {
    ++next_position_;
  }
  if (next_position_ == size) current_ = nullptr;
}

// Takes what earlier runs have of the fragment, of which the rest is to be made.
arrow::Status FragmentWorkers::Open(OpenFragment* fragment, const ListedFragment& listed) {
  ARROW_ASSIGN_OR_RAISE(std::vector<Item> items, input_.listing.Items(listed));
  const std::lock_guard lock(fragment->mutex);
  fragment->Reset(input_.work.FragmentPath(next_fragment_ - 1, listed.range.key), listed.range,
                  std::move(items), input_.engine.features());
  Resume(fragment);
  if (input_.earlier) Reuse(fragment);
  return arrow::Status::OK();
}

// What a run that was interrupted had finished.
void FragmentWorkers::Resume(OpenFragment* fragment) {
  const auto partial =
      OpenEarlier(PartialPath(fragment->path), fragment->range, &StoredFragment::OpenPartial);
  if (!partial.ok()) {
    const std::lock_guard lock(result_mutex_);
    notes_.push_back("unfinished work cannot be kept and is done again: " +
                     partial.status().message());
  }
  if (!partial.ok() || !*partial) return;
  const size_t dimensions = input_.engine.features();
  const FragmentReport& report = (*partial)->report();
  const std::span<const float> features = (*partial)->features();
  if (features.size() != report.rows.size() * dimensions) return;
  for (size_t row = 0; row < report.rows.size(); ++row) {
    const auto position = static_cast<size_t>(report.rows[row]);
    std::ranges::copy(features.subspan(row * dimensions, dimensions),
                      fragment->features.begin() + position * dimensions);
    fragment->Set(position, Verdict::kRow);
  }
  for (const FragmentReject& rejected : report.rejects) {
    fragment->rejects[rejected.item] = rejected.reject;
    fragment->Set(rejected.item, Verdict::kReject);
  }
  const auto count = static_cast<int64_t>(report.rows.size() + report.rejects.size());
  fragment->saved = count;
  fragment->remaining -= static_cast<size_t>(count);
  rows += static_cast<int64_t>(report.rows.size());
  rejects += static_cast<int64_t>(report.rejects.size());
  resumed += count;
}

// Takes over the rows that the earlier run has.
void FragmentWorkers::Reuse(OpenFragment* fragment) {
  std::vector<uint8_t> found(fragment->verdicts.size(), 0);
  const arrow::Status status = input_.earlier->Fill(fragment->items, fragment->features, found);
  if (reuse_status_.ok()) reuse_status_ = status;
  for (size_t i = 0; i < found.size(); ++i) {
    if (!found[i] || fragment->verdict(i) != Verdict::kOpen) continue;
    fragment->Set(i, Verdict::kRow);
    --fragment->remaining;
    ++reused;
    ++rows;
  }
}

void FragmentWorkers::Save(std::chrono::duration<double> age) {
  for (OpenFragment& fragment : open_) {
    // What is held is being stored, or it was opened just now.
    const std::unique_lock lock(fragment.mutex, std::try_to_lock);
    if (!lock || !fragment.is_open || Clock::now() - fragment.saved_at < age) continue;
    const arrow::Status status = Guarded([&] { return SavePartial(&fragment); });
    fragment.saved_at = Clock::now();
    if (status.ok() || std::exchange(save_failed_, true)) continue;
    const std::lock_guard result_lock(result_mutex_);
    notes_.push_back("unfinished work cannot be stored: " + status.message());
  }
}

// REQUIRES: fragment->mutex is held.
arrow::Status FragmentWorkers::SavePartial(OpenFragment* fragment) {
  const size_t dimensions = input_.engine.features();
  FragmentReport report;
  for (size_t i = 0; i < fragment->verdicts.size(); ++i) {
    switch (fragment->verdict(i)) {
      case Verdict::kRow: report.rows.push_back(static_cast<int32_t>(i)); break;
      case Verdict::kReject:
        report.rejects.push_back({static_cast<int32_t>(i), *fragment->rejects[i]});
        break;
      case Verdict::kOpen:
      case Verdict::kSkip: break;  // skips are soon found again
    }
  }
  const auto count = static_cast<int64_t>(report.rows.size() + report.rejects.size());
  if (count == fragment->saved) return arrow::Status::OK();
  PageBuffer buffer(report.rows.size() * dimensions);
  const std::span<float> features = buffer.values();
  for (size_t row = 0; row < report.rows.size(); ++row) {
    std::copy_n(fragment->features.begin() + report.rows[row] * dimensions, dimensions,
                features.begin() + row * dimensions);
  }
  ARROW_RETURN_NOT_OK(WritePartialFragment(PartialPath(fragment->path), fragment->range, report,
                                           features, static_cast<int>(dimensions)));
  fragment->saved = count;
  return arrow::Status::OK();
}

int64_t FragmentWorkers::kept() {
  int64_t items = stored_;
  for (OpenFragment& fragment : open_) {
    const std::lock_guard lock(fragment.mutex);
    items += fragment.saved;
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
                        ImageWorker::Make(input_.engine, input_.cpu));
  const size_t dimensions = input_.engine.features();
  WorkerSeconds seconds;

  while (!stop_) {
    ARROW_ASSIGN_OR_RAISE(const Claim claim, Next());
    OpenFragment* const fragment = claim.fragment;
    const size_t position = claim.position;
    if (!fragment) break;
    if (position == fragment->verdicts.size()) {
      ARROW_RETURN_NOT_OK(Finish(fragment, &seconds));
      continue;
    }
    const Item& item = fragment->items[position];

    ARROW_ASSIGN_OR_RAISE(
        Outcome outcome,
        worker->Extract(
            item.path, [&](FileBytes* bytes) { return input_.source.Read(item, bytes); },
            fragment->features.subspan(position * dimensions, dimensions)));
    if (outcome.verdict == Verdict::kRow && !has_first_row_.exchange(true)) {
      const std::lock_guard lock(result_mutex_);
      result_->first_row = Clock::now();
    }

    const Verdict verdict = outcome.verdict;
    ++(verdict == Verdict::kRow ? rows : verdict == Verdict::kReject ? rejects : skips);
    fragment->rejects[position] = std::move(outcome.reject);
    fragment->Set(position, verdict);
    if (--fragment->remaining == 0) ARROW_RETURN_NOT_OK(Finish(fragment, &seconds));
  }

  const std::lock_guard lock(result_mutex_);
  const ImageWorker::Seconds spent = worker->seconds();
  result_->seconds.read += spent.read;
  result_->seconds.decode += spent.decode;
  result_->seconds.resize += spent.resize;
  result_->seconds.infer += spent.infer;
  result_->seconds.reduce += seconds.reduce;
  result_->seconds.store += seconds.store;
  return arrow::Status::OK();
}

arrow::Status FragmentWorkers::Finish(OpenFragment* fragment, WorkerSeconds* seconds) {
  Stopwatch watch;
  const std::lock_guard fragment_lock(fragment->mutex);
  // From here on its rows are not in their places, and nothing may be saved of it.
  fragment->is_open = false;
  const size_t dimensions = input_.engine.features();
  FragmentReport report;
  for (size_t i = 0; i < fragment->verdicts.size(); ++i) {
    switch (fragment->verdict(i)) {
      case Verdict::kOpen: return Forgotten(fragment->items[i].path);
      case Verdict::kRow: {
        // Rows close up over the rejects and skips between them.
        const auto from = fragment->features.begin() + i * dimensions;
        const auto to = fragment->features.begin() + report.rows.size() * dimensions;
        if (from != to) std::copy(from, from + dimensions, to);
        report.rows.push_back(static_cast<int32_t>(i));
        break;
      }
      case Verdict::kReject:
        report.rejects.push_back({static_cast<int32_t>(i), *std::move(fragment->rejects[i])});
        break;
      case Verdict::kSkip: ++report.skips[kNotAnImage]; break;
    }
  }
  const std::span<const float> features = fragment->features.first(report.rows.size() * dimensions);
  Moments moments(static_cast<int>(dimensions));
  moments.Add(features, input_.cpu);
  watch.Lap(&seconds->reduce);

  ARROW_RETURN_NOT_OK(WriteFragment(fragment->path, fragment->range, report, features, moments));
  if (fragment->saved > 0) (void)RemoveAll(PartialPath(fragment->path));
  fragment->saved = 0;
  stored_ += std::ssize(fragment->items);
  watch.Lap(&seconds->store);
  {
    const std::lock_guard lock(result_mutex_);
    Count(report, result_);
  }
  {
    const std::lock_guard lock(free_mutex_);
    free_.push_back(fragment);
  }
  free_count_.release();
  return arrow::Status::OK();
}

}  // namespace

arrow::Result<Extraction> ExtractFragments(const ExtractionInput& input, Kept* kept) {
  const auto log = [&](const std::string& text) {
    if (input.hooks.log) input.hooks.log(text);
  };
  Extraction result;
  FragmentWorkers workers(input, &result);
  bool listed = false, started = false;
  const auto tell = [&](const Progress& progress) {
    if (input.hooks.progress) input.hooks.progress(progress);
  };
  const auto report = [&]() -> arrow::Status {
    for (const std::string& note : workers.TakeNotes()) log(note);
    if (!listed && input.listing.complete()) {
      listed = true;
      ARROW_RETURN_NOT_OK(input.on_listed());
    }
    const int64_t count = input.listing.count();
    Progress progress{"extract", 0, listed ? count : 0, {}};
    progress.counts.rows = workers.rows;
    progress.counts.rejects = workers.rejects;
    progress.counts.skips = workers.skips;
    progress.counts.resumed = workers.resumed;
    progress.counts.reused = workers.reused;
    progress.done = progress.counts.rows + progress.counts.rejects + progress.counts.skips;
    if (!started) {
      // The stage before this one ends, whatever is listed later.
      started = listed || progress.done > 0;
      tell({"list", count, started ? count : 0, {}});
    }
    if (started) tell(progress);
    return input.hooks.cancel.Check();
  };

  arrow::Status stopped;
  const auto poll = [&] {
    if (!stopped.ok()) return;
    stopped = Guarded(report);
    if (!stopped.ok()) return workers.Stop();
    workers.Save(input.save_interval);
  };
  arrow::Status worked = ParallelFor(
      input.threads, input.threads, {}, [&](size_t, int) { return workers.RunWorker(); }, poll);
  if (worked.ok()) worked = stopped;  // otherwise that was a consequence
  if (!worked.ok()) workers.Save(std::chrono::seconds(0));
  for (const std::string& note : workers.TakeNotes()) log(note);
  *kept = {workers.kept(), input.listing.complete() ? input.listing.count() : 0};
  ARROW_RETURN_NOT_OK(worked);
  result.counts.listed = input.listing.count();
  result.counts.resumed = workers.resumed;
  result.counts.reused = workers.reused;
  if (!workers.reuse_status().ok()) {
    log("features of the run " + input.earlier->run_id() +
        " cannot be reused and are recomputed: " + workers.reuse_status().message());
  }
  return result;
}

}  // namespace pomona
