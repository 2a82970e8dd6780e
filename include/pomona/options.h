// What a user may choose about a run. The command line, Python and Spark take the defaults from
// here and from nowhere else.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "pomona/cpu.h"
#include "pomona/sink.h"

namespace pomona {

// Which items of the tree a run takes; the names are those of the original pipeline.
enum class Mode {
  kMini,    // the first 300 items of the labels that match Apple*, or of all where none does
  kApples,  // labels that match Apple*
  kFull,    // all labels
};

// What of a report is made: a page about the run for any browser.
enum class ReportKind {
  kFull,   // with paths, and pictures unless they are left out
  kPlots,  // counts and plots, and the names of rejects
  kNone,
};

// How much of a large JPEG is decoded.
enum class DecodeMode {
  kExact,   // all of it: pixels and features as Pillow and Keras have them
  kScaled,  // a half, quarter or eighth of its sides, where enough is left; faster, other features
};

// What is gathered of each picture's pixels while it is decoded: each kind has all of the one before.
enum class StatsKind {
  kNone,
  kBasic,  // how bright it is, and its entropy
  kFull,   // blurriness, and the SHA-256 of its pixels
};

// How many rejects a run may have and still be published.
struct RejectBound {
  double value = 100;
  bool percent = true;  // of rows + rejects; otherwise a count
};

// Which part of a run this process does, of those that machines share without an executor.
struct Shard {
  int index = 0;  // from 1 to count; 0: the whole run
  int count = 0;
  bool merge = false;  // none of it: publish what the shards have made

  bool whole() const { return index == 0 && !merge; }
  bool operator==(const Shard&) const = default;
};

// What computes the features.
enum class EngineKind {
  kNative,    // our own: the same bits on every CPU
  kGpu,       // the same bits on a GPU
  kOpenVino,  // where the build found it
};

struct Formats {
  bool parquet = true;
  bool csv = true;
};

// How to reach s3:// paths. What is not said here comes from where AWS' own tools take it: the
// environment, the profile, a web identity, the instance's role.
struct S3Options {
  // URL of another server than AWS' own, then with the bucket in the path; empty:
  // $AWS_ENDPOINT_URL_S3, then $AWS_ENDPOINT_URL, then AWS.
  std::string endpoint;

  // Send no credentials: for public buckets.
  bool anonymous = false;

  // Folder in which objects of INPUT are kept, for runs that read them again; any number of
  // processes may share it. Empty: none are kept.
  std::string cache;

  // About so many bytes are kept there; what was not used for the longest time goes first.
  int64_t cache_bytes = int64_t{20} << 30;
};

struct RunOptions {
  Mode mode = Mode::kFull;

  // Columns of the PCA, 1 to 1280. Fewer images than components is an error.
  int pca_components = 50;

  // Whether the user said so, and it is not the default: then it has to be that of `pca`.
  bool components_given = false;

  // A PCA to project by, in place of one that is fitted: the file that an earlier run published as
  // its pca_model, by its path or s3:// URI; empty: one is fitted. The three below and above are
  // its own then.
  std::string pca;

  // Worker threads; 0: see ThreadCount().
  int threads = 0;

  // Bytes that files and pictures may take at once, beyond the few MiB that each thread needs for
  // one of a common size: more of them wait, and one that needs more alone is a reject. 0: half of
  // what this process may use.
  int64_t memory = 0;

  DecodeMode decode = DecodeMode::kExact;

  // Not with DecodeMode::kScaled, which does not see all pixels.
  StatsKind stats = StatsKind::kNone;

  EngineKind engine = EngineKind::kNative;

  // Where EngineKind::kGpu runs: a DeviceInfo's id; "any", the first GPU; "auto", the same, or the CPU
  // where there is none or it fails.
  std::string device = "any";

  // Vector instructions to hold the kernels to; results do not depend on them.
  Cpu cpu = Cpu::kBest;

  // Safetensors file made by `pomona weights`; empty: see FindDefaultWeights().
  std::string weights;

  // Name of the run in the outputs' folder names; empty: the time of the start, YYYYmmdd_HHMMSS,
  // with _2, _3, ... behind it where the output has that run already.
  std::string run_id;

  // Formats of the features and of the PCA; at least one. Metadata and errors are always written as
  // CSV, and as Parquet, too, where that is among them. Reports are always written.
  Formats formats;

  // Layout of the vectors in Parquet; spark for consumers that expect the PCA as MLlib's vectors. The
  // features are lists of floats then, too: as float64 they would be twice as large.
  VectorLayout vectors = VectorLayout::kFixed;

  // Subtract the mean before projecting, as scikit-learn does; MLlib does not.
  bool center = false;

  // Scale each feature to unit variance before the PCA.
  bool standardize = false;

  // Globs (see Glob) over the path below the root. An item is taken if it matches one of `include`
  // (or there is none) and none of `exclude`.
  std::vector<std::string> include;
  std::vector<std::string> exclude;

  // Take hidden files, too (see IsHidden).
  bool hidden = false;

  // Take only the first so many items, in path order; 0: all.
  int64_t limit = 0;

  RejectBound max_rejects;

  ReportKind report = ReportKind::kFull;

  // Whether the report may hold small pictures of the images.
  bool report_images = true;

  // File of this machine that Prometheus' metrics of the run are written to, every few seconds and at
  // its end; empty: none.
  std::string metrics;

  S3Options s3;

  // Needs a run_id, the same for all shards.
  Shard shard;

  // Start over: neither resume an unfinished run in this output nor reuse the features of
  // unchanged images from a published one.
  bool fresh = false;

  // Items in a fragment: the unit of work that survives an interruption.
  int fragment_items = 4096;

  // Seconds of work on the images of an unfinished fragment that may be lost when the process is
  // killed: so often what is done of it is stored.
  double save_seconds = 8;

  // Rows in a part file (and so in its Parquet row group) are at most this, in whole fragments.
  int part_rows = 20480;
};

// How a front end offers one of the options above and hands on what the user gave.
struct RunOptionSpec {
  enum class Kind { kValue, kFlag, kList };

  const char* name;   // "pca-components"; Python writes '_' for '-'
  const char* value;  // what help calls its value; "" for a flag
  const char* help;
  Kind kind = Kind::kValue;

  // Takes the value as text ("true" or "false" for a flag); a list grows by it.
  // Errors: Invalid, which names the option and what it takes.
  arrow::Status (*set)(RunOptions* options, std::string_view text);

  // The value: of a flag whether it is set, of a count the number, of a list its elements, else the
  // text that set() takes.
  using Value = std::variant<bool, int64_t, std::string, std::vector<std::string>>;
  Value (*get)(const RunOptions& options);

  // The same as the texts that set() takes, one after another.
  std::vector<std::string> Texts(const RunOptions& options) const;
};

// The help of an option, with its default where there is one to show.
std::string HelpText(const RunOptionSpec& spec);

// In the order of help.
std::span<const RunOptionSpec> RunOptionSpecs();

// Whether a run with so many rows and rejects may be published.
bool WithinBound(const RejectBound& bound, int64_t rows, int64_t rejects);

// "mini", "apples", "full". Errors: Invalid lists what is allowed.
arrow::Result<Mode> ParseMode(std::string_view text);
std::string_view ModeName(Mode mode);

// "native", "gpu", "openvino". Errors: Invalid lists what is allowed.
arrow::Result<EngineKind> ParseEngine(std::string_view text);
std::string_view EngineName(EngineKind engine);

// "exact", "scaled". Errors: Invalid lists what is allowed.
arrow::Result<DecodeMode> ParseDecode(std::string_view text);
std::string_view DecodeName(DecodeMode decode);

// "none", "basic", "full". Errors: Invalid lists what is allowed.
arrow::Result<StatsKind> ParseStats(std::string_view text);
std::string_view StatsName(StatsKind stats);

// "full", "plots", "none". Errors: Invalid lists what is allowed.
arrow::Result<ReportKind> ParseReport(std::string_view text);
std::string_view ReportName(ReportKind report);

// "all", "none". Errors: Invalid lists what is allowed.
arrow::Result<bool> ParseReportImages(std::string_view text);
std::string_view ReportImagesName(bool images);

// "parquet", "csv" or both, joined by a comma.
arrow::Result<Formats> ParseFormats(std::string_view text);

// "fixed", "list", "spark".
arrow::Result<VectorLayout> ParseVectorLayout(std::string_view text);
std::string_view VectorLayoutName(VectorLayout layout);

// "", "2/5" or "merge".
arrow::Result<Shard> ParseShard(std::string_view text);

// "20G": a number of bytes, of KiB (K), MiB (M), GiB (G) or TiB (T).
arrow::Result<int64_t> ParseBytes(std::string_view text);

// "12" or "0.5%".
arrow::Result<RejectBound> ParseRejectBound(std::string_view text);

// More threads are a slip of the pen.
inline constexpr int kMaxThreads = 1024;

// `requested`, or where it is 0 as many threads as this process may use cores: by affinity and by
// its container's quota. Fewer where its memory is limited to less than they need.
int ThreadCount(int requested);

// The first thing wrong with the options, in the user's words, or OK.
arrow::Status Validate(const RunOptions& options);

// Whether this may be a run's id. Whatever reads one from an output asks here before it makes a
// path of it: outputs may be anybody's. Errors: Invalid says what is allowed.
arrow::Status CheckRunId(std::string_view id);

// With what stands before it in the names of folders it stays below the 255 of file systems.
inline constexpr size_t kMaxRunIdBytes = 200;

}  // namespace pomona
