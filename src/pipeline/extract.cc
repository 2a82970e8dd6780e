#include "extract.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <semaphore>
#include <thread>

#include "disk.h"
#include "image_worker.h"
#include "pomona/decode.h"
#include "stopwatch.h"
#include "tasks.h"

namespace pomona {
namespace {

using Clock = std::chrono::steady_clock;

// One fills while the other is added up and stored, which takes a fraction of the time.
constexpr int kOpenFragments = 2;

// A fragment being made. Each item's slot is written by the one worker that claimed the item.
struct OpenFragment {
  enum class Verdict : uint8_t { kRow, kReject, kSkip };

  size_t index = 0;
  const ListedFragment* listed = nullptr;
  std::atomic<size_t> remaining = 0;
  std::vector<float> features;  // a row for each item, in its place
  std::vector<uint8_t> reused;  // 1 for each item whose row an earlier run had
  std::vector<Verdict> verdicts;
  std::vector<std::optional<Reject>> rejects;

  void Reset(size_t fragment, const ListedFragment& of, size_t dimensions) {
    index = fragment;
    listed = &of;
    const size_t items = of.items.size();
    remaining = items;
    features.resize(items * dimensions);
    reused.assign(items, 0);
    verdicts.assign(items, Verdict::kSkip);
    rejects.assign(items, std::nullopt);
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

// Opens a fragment that an earlier run may have stored and verifies it; nothing where it did not.
arrow::Result<std::optional<StoredFragment>> OpenEarlier(const std::string& path,
                                                         const FragmentRange& range) {
  ARROW_ASSIGN_OR_RAISE(const bool stored, Exists(path));
  if (!stored) return std::nullopt;
  ARROW_ASSIGN_OR_RAISE(StoredFragment fragment, StoredFragment::Open(path, range));
  ARROW_RETURN_NOT_OK(fragment.Verify());
  return fragment;
}

// What the workers share.
class Extractor {
 public:
  Extractor(const ExtractJob& job, Extraction* result) : job_(job), result_(result) {
    for (OpenFragment& fragment : open_) free_.push_back(&fragment);
  }

  void RunWorker();

  void Stop() {
    stop_ = true;
    job_.listing.Stop();
  }
  // What the user should know, heard once.
  std::vector<std::string> TakeNotes();
  // REQUIRES: no worker runs any more.
  const arrow::Status& status() const { return status_; }
  const arrow::Status& reuse_status() const { return reuse_status_; }
  bool WaitForWorker(std::chrono::milliseconds patience) { return done_.try_acquire_for(patience); }

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
  void Reuse(OpenFragment* fragment);
  arrow::Status Work();
  arrow::Status Finish(OpenFragment* fragment, WorkerSeconds* seconds);

  const ExtractJob& job_;
  Extraction* const result_;
  OpenFragment open_[kOpenFragments];

  std::mutex claim_mutex_;      // for what is below, down to free_mutex_, and for job_.earlier
  arrow::Status reuse_status_;  // the first failure to read the earlier run
  size_t next_fragment_ = 0;
  OpenFragment* current_ = nullptr;  // null: the next fragment is to be opened
  size_t next_position_ = 0;         // an item of current_ to work on
  std::vector<OpenFragment*> free_;
  std::counting_semaphore<kOpenFragments> free_count_{kOpenFragments};
  std::mutex free_mutex_;  // for free_

  std::mutex result_mutex_;  // for *result_, status_ and notes_
  arrow::Status status_;
  std::vector<std::string> notes_;
  std::atomic<bool> has_first_row_ = false;
  std::atomic<bool> stop_ = false;
  std::counting_semaphore<> done_{0};
};

std::vector<std::string> Extractor::TakeNotes() {
  const std::lock_guard lock(result_mutex_);
  return std::exchange(notes_, {});
}

// The next fragment that is not stored; null: there is none.
arrow::Result<const ListedFragment*> Extractor::NextToMake() {
  while (!stop_) {
    ARROW_ASSIGN_OR_RAISE(const ListedFragment* listed, job_.listing.Fragment(next_fragment_));
    if (!listed) break;
    const size_t index = next_fragment_++;
    const auto stored = OpenEarlier(job_.fragment_path(index, listed->range), listed->range);
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
    resumed += static_cast<int64_t>(listed->items.size());
    const std::lock_guard lock(result_mutex_);
    Count(report, result_);
  }
  return nullptr;
}

arrow::Result<Extractor::Claim> Extractor::Next() {
  const std::lock_guard lock(claim_mutex_);
  if (!current_) {
    ARROW_ASSIGN_OR_RAISE(const ListedFragment* listed, NextToMake());
    if (!listed) return Claim{};
    // Whoever waits here keeps the others waiting too, and rightly so: there is nowhere to put a
    // row until a fragment is stored.
    while (!free_count_.try_acquire_for(std::chrono::milliseconds(50))) {
      if (stop_) return Claim{};
    }
    {
      const std::lock_guard free_lock(free_mutex_);
      current_ = free_.back();
      free_.pop_back();
    }
    OpenFragment* const opened = current_;
    opened->Reset(next_fragment_ - 1, *listed, job_.engine.features());
    if (job_.earlier) Reuse(opened);
    next_position_ = 0;
    std::vector<const Item*> items;
    for (size_t i = 0; i < listed->items.size(); ++i) {
      if (!opened->reused[i]) items.push_back(&listed->items[i]);
    }
    job_.source.Announce(items);
    Advance();
    if (!current_) return Claim{opened, opened->verdicts.size()};
  }
  const Claim claim{current_, next_position_++};
  Advance();
  return claim;
}

// Goes on to the next item to work on, if current_ has another.
void Extractor::Advance() {
  const std::vector<uint8_t>& reused = current_->reused;
  while (next_position_ < reused.size() && reused[next_position_]) ++next_position_;
  if (next_position_ == reused.size()) current_ = nullptr;
}

// Takes over the rows that the earlier run has.
void Extractor::Reuse(OpenFragment* fragment) {
  const arrow::Status status =
      job_.earlier->Fill(fragment->listed->items, fragment->features, fragment->reused);
  if (reuse_status_.ok()) reuse_status_ = status;
  const int64_t count = std::count(fragment->reused.begin(), fragment->reused.end(), 1);
  for (size_t i = 0; i < fragment->reused.size(); ++i) {
    if (fragment->reused[i]) fragment->verdicts[i] = OpenFragment::Verdict::kRow;
  }
  fragment->remaining -= static_cast<size_t>(count);
  reused += count;
  rows += count;
}

void Extractor::RunWorker() {
  const arrow::Status status = Work();
  if (!status.ok()) {
    const std::lock_guard lock(result_mutex_);
    if (status_.ok()) status_ = status;
    Stop();
  }
  done_.release();
}

arrow::Status Extractor::Work() {
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<ImageWorker> worker, ImageWorker::Make(job_.engine));
  const size_t dimensions = job_.engine.features();
  FileBytes bytes;
  WorkerSeconds seconds;

  while (!stop_) {
    ARROW_ASSIGN_OR_RAISE(const Claim claim, Next());
    const auto [fragment, position] = claim;
    if (!fragment) break;
    if (position == fragment->verdicts.size()) {
      ARROW_RETURN_NOT_OK(Finish(fragment, &seconds));
      continue;
    }
    const Item& item = fragment->listed->items[position];

    Stopwatch watch;
    ARROW_ASSIGN_OR_RAISE(std::optional<Reject> reject, job_.source.Read(item, &bytes));
    watch.Lap(&seconds.read);
    bool skip = false;
    if (!reject) {
      ARROW_ASSIGN_OR_RAISE(
          reject,
          worker->Extract(
              bytes, item.path,
              std::span(fragment->features).subspan(position * dimensions, dimensions)));
      skip = reject && IsSkip(item.path, bytes);
      if (!reject && !has_first_row_.exchange(true)) {
        const std::lock_guard lock(result_mutex_);
        result_->first_row = Clock::now();
      }
    }

    using Verdict = OpenFragment::Verdict;
    fragment->verdicts[position] = skip     ? Verdict::kSkip
                                   : reject ? Verdict::kReject
                                            : Verdict::kRow;
    ++(skip ? skips : reject ? rejects : rows);
    if (reject && !skip) fragment->rejects[position] = std::move(reject);
    if (--fragment->remaining == 0) ARROW_RETURN_NOT_OK(Finish(fragment, &seconds));
  }

  const std::lock_guard lock(result_mutex_);
  result_->seconds.read += seconds.read;
  result_->seconds.decode += worker->seconds().decode;
  result_->seconds.resize += worker->seconds().resize;
  result_->seconds.infer += worker->seconds().infer;
  result_->seconds.reduce += seconds.reduce;
  result_->seconds.store += seconds.store;
  return arrow::Status::OK();
}

arrow::Status Extractor::Finish(OpenFragment* fragment, WorkerSeconds* seconds) {
  Stopwatch watch;
  const size_t dimensions = job_.engine.features();
  FragmentReport report;
  for (size_t i = 0; i < fragment->verdicts.size(); ++i) {
    switch (fragment->verdicts[i]) {
      case OpenFragment::Verdict::kRow: {
        // Rows close up over the rejects and skips between them.
        const auto from = fragment->features.begin() + i * dimensions;
        const auto to = fragment->features.begin() + report.rows.size() * dimensions;
        if (from != to) std::copy(from, from + dimensions, to);
        report.rows.push_back(static_cast<int32_t>(i));
        break;
      }
      case OpenFragment::Verdict::kReject:
        report.rejects.push_back({static_cast<int32_t>(i), *std::move(fragment->rejects[i])});
        break;
      case OpenFragment::Verdict::kSkip: ++report.skips[kNotAnImage]; break;
    }
  }
  const std::span<const float> rows(fragment->features.data(), report.rows.size() * dimensions);
  Moments moments(static_cast<int>(dimensions));
  moments.Add(rows);
  watch.Lap(&seconds->reduce);

  const FragmentRange& range = fragment->listed->range;
  ARROW_RETURN_NOT_OK(
      WriteFragment(job_.fragment_path(fragment->index, range), range, report, rows, moments));
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

arrow::Status AtItem(const Item& item, const arrow::Status& status) {
  if (!status.IsOutOfMemory() || item.path.empty() ||
      status.message().find(item.path) != std::string::npos) {
    return status;
  }
  return status.WithMessage(item.path, ": ", status.message());
}

bool IsSkip(std::string_view path, std::span<const uint8_t> bytes) {
  return !IsImage(path, bytes);
}

arrow::Result<Extraction> Extract(const ExtractJob& job) {
  const auto cancelled = [&] { return job.hooks.cancel && *job.hooks.cancel; };
  const auto log = [&](const std::string& text) {
    if (job.hooks.log) job.hooks.log(text);
  };
  Extraction result;
  Extractor extractor(job, &result);
  bool listed = false;
  const auto report = [&]() -> arrow::Status {
    for (const std::string& note : extractor.TakeNotes()) log(note);
    if (!listed && job.listing.complete()) {
      listed = true;
      ARROW_RETURN_NOT_OK(job.on_listed());
    }
    Progress progress{"extract", 0, listed ? job.listing.count() : 0, {}};
    progress.counts.rows = extractor.rows;
    progress.counts.rejects = extractor.rejects;
    progress.counts.skips = extractor.skips;
    progress.counts.resumed = extractor.resumed;
    progress.counts.reused = extractor.reused;
    progress.done = progress.counts.rows + progress.counts.rejects + progress.counts.skips;
    if (job.hooks.progress) job.hooks.progress(progress);
    return cancelled() ? arrow::Status::Cancelled("interrupted") : arrow::Status::OK();
  };

  std::vector<std::jthread> workers;
  for (int i = 0; i < job.threads; ++i) workers.emplace_back([&] { extractor.RunWorker(); });
  arrow::Status stopped;
  for (int running = job.threads; running > 0;) {
    if (extractor.WaitForWorker(kPollInterval)) {
      --running;
    } else if (stopped.ok() && !(stopped = report()).ok()) {
      extractor.Stop();
    }
  }
  workers.clear();
  const arrow::Status last = report();
  for (const arrow::Status& status : {stopped, extractor.status(), last}) {
    ARROW_RETURN_NOT_OK(status);
  }
  result.counts.listed = job.listing.count();
  result.counts.resumed = extractor.resumed;
  result.counts.reused = extractor.reused;
  if (!extractor.reuse_status().ok()) {
    log("features of the run " + job.earlier->run_id() +
        " cannot be taken over and are made again: " + extractor.reuse_status().message());
  }
  return result;
}

}  // namespace pomona
