#include "metrics.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "disk.h"
#include "guarded.h"
#include "pomona/item.h"
#include "pomona/location.h"
#include "pomona/version.h"

namespace pomona {
namespace {

constexpr std::chrono::seconds kWriteEvery{5};
constexpr std::chrono::milliseconds kLookEvery{100};  // whether the run is to end

// Bounds of a histogram's buckets, in doublings of a microsecond: 128 us to 17 s.
constexpr int kFirstBound = 7, kLastBound = 24;

// Those of Progress, and two that only shards are in: one lists for all of them, and each may wait for
// another. Neither finishes files of its own then.
constexpr std::string_view kPlan = "plan", kWait = "wait";
constexpr std::string_view kStages[] = {kPlan, "list", "extract", kWait, "fit", "write", "upload"};

double Now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

std::string Text(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}
std::string Text(int64_t value) { return std::to_string(value); }

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '\\' || c == '"') quoted += '\\';
    quoted += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return quoted + '"';
}

using Labels = std::vector<std::pair<std::string_view, std::string_view>>;

// One metric after another.
class Page {
 public:
  explicit Page(std::string_view file) : file_(Quoted(file)) {}

  // Begins a metric, of which samples follow.
  Page& Begin(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    Add({"# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n"});
    return *this;
  }

  template <typename Value>
  Page& Sample(Value value, const Labels& labels = {}, std::string_view suffix = {}) {
    Add({name_, suffix, "{file=", file_});
    for (const auto& [label, meaning] : labels) Add({",", label, "=", Quoted(meaning)});
    if constexpr (std::is_floating_point_v<Value>) {
      Add({"} ", Text(value), "\n"});
    } else {
      Add({"} ", Text(static_cast<int64_t>(value)), "\n"});
    }
    return *this;
  }

  Page& Histogram(const Durations& durations, std::string_view direction = {}) {
    Labels labels;
    if (!direction.empty()) labels.emplace_back("direction", direction);
    const auto bucket = [&](int64_t count, std::string_view bound) {
      Labels with_bound = labels;
      with_bound.emplace_back("le", bound);
      Sample(count, with_bound, "_bucket");
    };
    for (int bound = kFirstBound; bound <= kLastBound; ++bound) {
      bucket(durations.CountBelow(bound), Text(static_cast<double>(1 << bound) / 1e6));
    }
    bucket(durations.count(), "+Inf");
    Sample(durations.seconds(), labels, "_sum");
    return Sample(durations.count(), labels, "_count");
  }

  std::string text;

 private:
  void Add(std::initializer_list<std::string_view> parts) {
    for (const std::string_view part : parts) text += part;
  }

  const std::string file_;
  std::string_view name_;
};

int64_t CountOf(const std::map<std::string, int64_t>& counts, std::string_view name) {
  const auto found = counts.find(std::string(name));
  return found == counts.end() ? 0 : found->second;
}

void AddRun(const Metrics& metrics, Page* page) {
  page->Begin("pomona_run_info", "gauge", "What is run; always 1.")
      .Sample(1, {{"version", kVersion},
                  {"input", EscapeName(metrics.input)},
                  {"output", EscapeName(metrics.output)}});
  page->Begin("pomona_run_success", "gauge",
              "Whether the run has ended and done what it was asked for.")
      .Sample(metrics.success);
  page->Begin("pomona_run_start_timestamp_seconds", "gauge", "When the run started.")
      .Sample(metrics.started);
  page->Begin("pomona_run_update_timestamp_seconds", "gauge", "When this was written.")
      .Sample(metrics.updated);
  page->Begin("pomona_run_end_timestamp_seconds", "gauge", "When the run ended; 0 until then.")
      .Sample(metrics.ended.value_or(0));
  page->Begin("pomona_run_stage", "gauge", "1 for the stage that the run is in.");
  for (const std::string_view stage : kStages) {
    page->Sample(stage == metrics.stage, {{"stage", stage}});
  }
}

void AddItems(const Metrics& metrics, Page* page) {
  const Counts& counts = metrics.counts;
  page->Begin("pomona_items_listed_total", "counter", "Files that were listed so far.")
      .Sample(counts.listed);
  page->Begin("pomona_items_done_total", "counter",
              "Files of which it is known what became of them.")
      .Sample(std::max(metrics.done, counts.rows + counts.rejects + counts.skips));
  page->Begin("pomona_images_total", "counter", "Images with features: the rows of the outputs.")
      .Sample(counts.rows);
  page->Begin("pomona_rejects_total", "counter", "Images without features.");
  for (size_t reason = 0; reason < kReasons; ++reason) {
    const std::string_view name = ReasonName(static_cast<Reason>(reason));
    page->Sample(CountOf(metrics.rejects_by_reason, name), {{"reason", name}});
  }
  page->Begin("pomona_skips_total", "counter", "Files that are no images.")
      .Sample(CountOf(metrics.skips_by_reason, kNotAnImage), {{"reason", kNotAnImage}});
  page->Begin("pomona_items_resumed_total", "counter", "Files taken from an unfinished run.")
      .Sample(counts.resumed);
  page->Begin("pomona_images_reused_total", "counter",
              "Images whose features were taken from a published run.")
      .Sample(counts.reused);
}

void AddWork(const Metrics& metrics, Page* page) {
  const WorkerSeconds& work = metrics.work;
  page->Begin("pomona_read_bytes_total", "counter", "Bytes of files that were read.")
      .Sample(work.read_bytes);
  page->Begin("pomona_read_seconds", "histogram", "Time to read a file.").Histogram(work.read);
  page->Begin("pomona_decode_seconds", "histogram", "Time to decode a file.")
      .Histogram(work.decode);
  page->Begin("pomona_resize_seconds", "histogram", "Time to resize a picture.")
      .Histogram(work.resize);
  page->Begin("pomona_infer_seconds", "histogram", "Time of the network for a picture.")
      .Histogram(work.infer);
  page->Begin("pomona_image_seconds", "histogram",
              "Time of an image from its file to its features.")
      .Histogram(work.images);
  page->Begin("pomona_resident_memory_bytes", "gauge", "Memory that the process has now.")
      .Sample(metrics.resident_bytes);
  page->Begin("pomona_peak_memory_bytes", "gauge", "The most memory that the process had.")
      .Sample(metrics.peak_bytes);
}

void AddS3(const Metrics& metrics, Page* page) {
  const auto both = [&](const auto& sample) {
    sample(metrics.reads, "read");
    sample(metrics.writes, "write");
  };
  const auto count = [&](std::string_view name, std::string_view help, auto member) {
    page->Begin(name, "counter", help);
    both([&](const TransferCounts& transfers, std::string_view direction) {
      page->Sample(transfers.*member, {{"direction", direction}});
    });
  };
  const auto histogram = [&](std::string_view name, std::string_view help, auto member) {
    page->Begin(name, "histogram", help);
    both([&](const TransferCounts& transfers, std::string_view direction) {
      page->Histogram(transfers.*member, direction);
    });
  };
  count("pomona_s3_listings_total", "Requests to S3 that listed files.", &TransferCounts::listings);
  count("pomona_s3_requests_total", "Requests to S3 for the content of files.",
        &TransferCounts::requests);
  count("pomona_s3_retries_total", "Requests to S3 of any kind that were repeated.",
        &TransferCounts::retries);
  count("pomona_s3_bytes_total", "Bytes of files that came from or went to S3.",
        &TransferCounts::bytes);
  histogram("pomona_s3_first_byte_seconds", "Time to the first byte of an answer of S3.",
            &TransferCounts::first_byte);
  histogram("pomona_s3_request_seconds", "Time to the last byte of an answer of S3.",
            &TransferCounts::whole);
}

}  // namespace

std::string MetricsText(const Metrics& metrics) {
  Page page(EscapeName(metrics.file));
  AddRun(metrics, &page);
  AddItems(metrics, &page);
  AddWork(metrics, &page);
  AddS3(metrics, &page);
  return std::move(page.text);
}

arrow::Result<std::unique_ptr<MetricsFile>> MetricsFile::Start(const std::string& file,
                                                               const std::string& input,
                                                               const std::string& output,
                                                               CancelToken cancel) {
  if (IsS3Uri(file)) {
    return arrow::Status::Invalid("metrics '", file, "': expected a file of this machine");
  }
  ARROW_ASSIGN_OR_RAISE(std::string path, LocalPath(file));
  std::unique_ptr<MetricsFile> made(new MetricsFile(std::move(path), cancel));
  made->metrics_.file = std::filesystem::path(made->file_).stem().string();
  made->metrics_.input = input;
  made->metrics_.output = output;
  made->metrics_.started = Now();
  const arrow::Status written = made->Write();
  if (!written.ok()) return arrow::Status::Invalid("metrics: ", written.message());
  const arrow::Status started = Guarded([made = made.get()] {
    made->thread_ = std::thread([made] { made->WriteEverySoOften(); });
    return arrow::Status::OK();
  });
  if (started.ok()) return made;
  (void)made->Finish(/*success=*/false);
  return started;
}

MetricsFile::~MetricsFile() { StopWriting(); }

void MetricsFile::Hear(const Progress& progress) {
  const std::lock_guard lock(mutex_);
  if (planning_) return;
  metrics_.stage = progress.stage;
  if (progress.stage == "list") {
    metrics_.counts.listed = std::max(metrics_.counts.listed, progress.done);
  } else if (progress.stage == "extract") {
    metrics_.counts.listed = progress.counts.listed;
    metrics_.done = progress.done;
  }
}

void MetricsFile::HearExtraction(const Extraction& extraction, const TransferCounts& reads) {
  const std::lock_guard lock(mutex_);
  metrics_.counts = extraction.counts;
  metrics_.rejects_by_reason = extraction.rejects_by_reason;
  metrics_.skips_by_reason = extraction.skips_by_reason;
  metrics_.work = extraction.seconds;
  metrics_.reads = reads;
}

void MetricsFile::HearPlanning(bool planning) {
  const std::lock_guard lock(mutex_);
  planning_ = planning;
  if (planning) metrics_.stage = kPlan;
}

void MetricsFile::HearWaiting() {
  const std::lock_guard lock(mutex_);
  metrics_.stage = kWait;
}

void MetricsFile::HearWrites(const TransferCounts& writes) {
  const std::lock_guard lock(mutex_);
  metrics_.writes = ended_writes_;
  metrics_.writes += writes;
}

void MetricsFile::EndOutput(const TransferCounts& writes) {
  HearWrites(writes);
  const std::lock_guard lock(mutex_);
  ended_writes_ = metrics_.writes;
}

arrow::Status MetricsFile::Finish(bool success) {
  StopWriting();
  metrics_.success = success;
  metrics_.ended = Now();
  metrics_.stage.clear();
  const arrow::Status written = Write();
  return status_.ok() ? written : status_;
}

arrow::Status MetricsFile::Write() {
  std::string text;
  {
    const std::lock_guard lock(mutex_);
    metrics_.resident_bytes = ResidentBytes();
    metrics_.peak_bytes = PeakMemoryBytes();
    metrics_.updated = Now();
    text = MetricsText(metrics_);
  }
  return Guarded([&]() -> arrow::Status {
    const auto there = IdentityOf(file_);
    if (written_ && there && there != written_) {
      return arrow::Status::Invalid(file_, ": another run writes it now");
    }
    ARROW_RETURN_NOT_OK(ReplaceFile(file_, [&](OutputFile& file) {
      return file.Write(text.data(), static_cast<int64_t>(text.size()));
    }));
    written_ = IdentityOf(file_);
    return arrow::Status::OK();
  });
}

// The number of a file that is gone may be given to the next one, but not at the same time.
std::optional<MetricsFile::Identity> MetricsFile::IdentityOf(const std::string& file) {
  struct stat info;
  if (lstat(file.c_str(), &info) != 0) return std::nullopt;
  return Identity{static_cast<int64_t>(info.st_dev), static_cast<int64_t>(info.st_ino),
                  info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
}

void MetricsFile::WriteEverySoOften() {
  using Clock = std::chrono::steady_clock;
  Clock::time_point written_at = Clock::now();
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kLookEvery, [this] { return ended_; })) {
    const bool cancelled = cancel_.requested() && !metrics_.ended;
    if (!cancelled && Clock::now() - written_at < kWriteEvery) continue;
    if (cancelled) metrics_.ended = Now();
    written_at = Clock::now();
    lock.unlock();
    const arrow::Status written = Guarded([&] { return Write(); });
    lock.lock();
    if (status_.ok()) status_ = written;
  }
}

void MetricsFile::StopWriting() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace pomona
