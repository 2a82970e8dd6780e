#include "pomona/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "allowance.h"
#include "check_threads.h"
#include "pomona/glob.h"

namespace pomona {
namespace {

// More machines are a slip of the pen.
constexpr int kMaxShards = 100'000;

}  // namespace

std::string_view ModeName(Mode mode) {
  switch (mode) {
    case Mode::kMini: return "mini";
    case Mode::kApples: return "apples";
    case Mode::kFull: return "full";
  }
  return "";
}

arrow::Result<Mode> ParseMode(std::string_view text) {
  for (Mode mode : {Mode::kMini, Mode::kApples, Mode::kFull}) {
    if (text == ModeName(mode)) return mode;
  }
  return arrow::Status::Invalid("mode '", text, "': expected mini, apples or full");
}

std::string_view EngineName(EngineKind engine) {
  switch (engine) {
    case EngineKind::kNative: return "native";
    case EngineKind::kGpu: return "gpu";
    case EngineKind::kOpenVino: return "openvino";
  }
  return "";
}

arrow::Result<EngineKind> ParseEngine(std::string_view text) {
  for (EngineKind engine : {EngineKind::kNative, EngineKind::kGpu, EngineKind::kOpenVino}) {
    if (text == EngineName(engine)) return engine;
  }
  return arrow::Status::Invalid("engine '", text, "': expected native, gpu or openvino");
}

std::string_view ReportName(ReportKind report) {
  switch (report) {
    case ReportKind::kFull: return "full";
    case ReportKind::kPlots: return "plots";
    case ReportKind::kNone: return "none";
  }
  return "";
}

std::string_view DecodeName(DecodeMode decode) {
  return decode == DecodeMode::kScaled ? "scaled" : "exact";
}

arrow::Result<DecodeMode> ParseDecode(std::string_view text) {
  for (const DecodeMode decode : {DecodeMode::kExact, DecodeMode::kScaled}) {
    if (text == DecodeName(decode)) return decode;
  }
  return arrow::Status::Invalid("decode '", text, "': expected exact or scaled");
}

std::string_view StatsName(StatsKind stats) {
  switch (stats) {
    case StatsKind::kNone: return "none";
    case StatsKind::kBasic: return "basic";
    case StatsKind::kFull: return "full";
  }
  return "";
}

arrow::Result<StatsKind> ParseStats(std::string_view text) {
  for (const StatsKind stats : {StatsKind::kNone, StatsKind::kBasic, StatsKind::kFull}) {
    if (text == StatsName(stats)) return stats;
  }
  return arrow::Status::Invalid("stats '", text, "': expected none, basic or full");
}

arrow::Result<ReportKind> ParseReport(std::string_view text) {
  for (ReportKind report : {ReportKind::kFull, ReportKind::kPlots, ReportKind::kNone}) {
    if (text == ReportName(report)) return report;
  }
  return arrow::Status::Invalid("report '", text, "': expected full, plots or none");
}

std::string_view ReportImagesName(bool images) { return images ? "all" : "none"; }

arrow::Result<bool> ParseReportImages(std::string_view text) {
  for (const bool images : {true, false}) {
    if (text == ReportImagesName(images)) return images;
  }
  return arrow::Status::Invalid("report-images '", text, "': expected all or none");
}

arrow::Result<Formats> ParseFormats(std::string_view text) {
  Formats formats{.parquet = false, .csv = false};
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view name = text.substr(begin, end - begin);
    if (name == "parquet") {
      formats.parquet = true;
    } else if (name == "csv") {
      formats.csv = true;
    } else {
      return arrow::Status::Invalid("formats '", text, "': expected parquet, csv or parquet,csv");
    }
    begin = end + 1;
  }
  return formats;
}

std::string_view VectorLayoutName(VectorLayout layout) {
  switch (layout) {
    case VectorLayout::kFixed: return "fixed";
    case VectorLayout::kList: return "list";
    case VectorLayout::kSpark: return "spark";
  }
  return "";
}

arrow::Result<VectorLayout> ParseVectorLayout(std::string_view text) {
  for (const auto layout : {VectorLayout::kFixed, VectorLayout::kList, VectorLayout::kSpark}) {
    if (text == VectorLayoutName(layout)) return layout;
  }
  return arrow::Status::Invalid("vectors '", text, "': expected fixed, list or spark");
}

arrow::Result<RejectBound> ParseRejectBound(std::string_view text) {
  RejectBound bound;
  std::string_view number = text;
  bound.percent = number.ends_with('%');
  if (bound.percent) number.remove_suffix(1);
  const char* end = number.data() + number.size();
  const auto [stop, error] = std::from_chars(number.data(), end, bound.value);
  const double most = bound.percent ? 100 : 1e15;
  const bool in_range = bound.value >= 0 && bound.value <= most;  // which NaN is not
  if (error != std::errc() || stop != end || !in_range ||
      (!bound.percent && bound.value != std::floor(bound.value))) {
    return arrow::Status::Invalid("max-rejects '", text,
                                  "': expected a number of images (20) or a percentage (0.5%)");
  }
  return bound;
}

arrow::Result<Shard> ParseShard(std::string_view text) {
  Shard shard;
  if (text.empty()) return shard;
  shard.merge = text == "merge";
  if (shard.merge) return shard;
  const char* const end = text.data() + text.size();
  const auto index = std::from_chars(text.data(), end, shard.index);
  const bool slash = index.ec == std::errc() && index.ptr != end && *index.ptr == '/';
  const auto count = std::from_chars(slash ? index.ptr + 1 : end, end, shard.count);
  if (!slash || count.ec != std::errc() || count.ptr != end || shard.index < 1 ||
      shard.index > shard.count || shard.count > kMaxShards) {
    return arrow::Status::Invalid("shard '", text,
                                  "': expected I/N, with I from 1 to N and N up to ", kMaxShards,
                                  ", or merge");
  }
  return shard;
}

arrow::Result<int64_t> ParseBytes(std::string_view text) {
  static constexpr std::string_view kUnits = "KMGT";
  int64_t bytes = 0;
  const char* const end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, bytes);
  const size_t unit = stop == end ? kUnits.npos : kUnits.find(*stop);
  const int shift = unit == kUnits.npos ? 0 : 10 * (static_cast<int>(unit) + 1);
  if (unit != kUnits.npos) ++stop;
  if (error != std::errc() || stop != end || bytes < 1 ||
      bytes > std::numeric_limits<int64_t>::max() >> shift) {
    return arrow::Status::Invalid("'", text, "': expected a number of bytes, such as 500M or 20G");
  }
  return bytes << shift;
}

bool WithinBound(const RejectBound& bound, int64_t rows, int64_t rejects) {
  const double images = static_cast<double>(rows + rejects);
  return static_cast<double>(rejects) <= (bound.percent ? images * bound.value / 100 : bound.value);
}

arrow::Status CheckThreads(int threads) {
  if (threads < 0) {
    return arrow::Status::Invalid("threads ", threads, ": at least 1, or 0 for all cores");
  }
  if (threads > kMaxThreads) {
    return arrow::Status::Invalid("threads ", threads, ": at most ", kMaxThreads);
  }
  return arrow::Status::OK();
}

int ThreadCount(int requested) {
  const int wanted = requested > 0 ? std::min(requested, kMaxThreads) : AllowedCpus();
  return std::min(wanted, AllowedThreads());
}

namespace {

using Kind = RunOptionSpec::Kind;

arrow::Status CheckGlob(const char* name, std::string_view text) {
  const auto glob = Glob::Parse(text);
  if (glob.ok()) return arrow::Status::OK();
  return arrow::Status::Invalid(name, " '", text, "': ", glob.status().message());
}

template <auto member, auto parse>
arrow::Status SetParsed(RunOptions* options, std::string_view text) {
  ARROW_ASSIGN_OR_RAISE(options->*member, parse(text));
  return arrow::Status::OK();
}

// `least`: what a user may say, where the default may be less.
template <auto member>
arrow::Status SetCount(const char* name, RunOptions* options, std::string_view text, int least) {
  auto& target = options->*member;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, target);
  if (error != std::errc() || stop != end || target < least) {
    return arrow::Status::Invalid(name, " '", text, "': expected an integer >= ", least);
  }
  return arrow::Status::OK();
}

template <auto member>
arrow::Status SetText(RunOptions* options, std::string_view text) {
  options->*member = text;
  return arrow::Status::OK();
}

template <auto member>
arrow::Status AddGlob(const char* name, RunOptions* options, std::string_view text) {
  (options->*member).emplace_back(text);
  return CheckGlob(name, text);
}

arrow::Status ParseFlag(std::string_view text, bool* flag) {
  if (text != "true" && text != "false") {
    return arrow::Status::Invalid("'", text, "': expected true or false");
  }
  *flag = text == "true";
  return arrow::Status::OK();
}

template <auto member>
arrow::Status SetFlag(RunOptions* options, std::string_view text) {
  return ParseFlag(text, &(options->*member));
}

using Value = RunOptionSpec::Value;

// Of a member that is a flag, a count, a text or a list already.
template <auto member>
Value Get(const RunOptions& options) {
  return options.*member;
}

// Of one that has names.
template <auto member, auto name>
Value GetName(const RunOptions& options) {
  return std::string(name(options.*member));
}

template <auto member>
Value GetCount(const RunOptions& options) {
  return static_cast<int64_t>(options.*member);
}

arrow::Status SetBytes(const char* name, std::string_view text, int64_t* bytes) {
  const auto parsed = ParseBytes(text);
  if (!parsed.ok()) return parsed.status().WithMessage(name, ' ', parsed.status().message());
  *bytes = *parsed;
  return arrow::Status::OK();
}

std::string FormatsText(const Formats& formats) {
  std::string text = formats.parquet ? "parquet" : "";
  if (formats.csv) text += text.empty() ? "csv" : ",csv";
  return text;
}

std::string ShardText(const Shard& shard) {
  if (shard.whole()) return "";
  if (shard.merge) return "merge";
  return std::to_string(shard.index) + '/' + std::to_string(shard.count);
}

// The shortest text that ParseBytes() takes.
std::string BytesText(int64_t bytes) {
  std::string_view units = "KMGT";
  std::string unit;
  for (; bytes % 1024 == 0 && !units.empty(); units.remove_prefix(1)) {
    unit = units.front();
    bytes /= 1024;
  }
  return std::to_string(bytes) + unit;
}

// "12" or "0.5%", the shortest text that reads back as the same number.
std::string RejectBoundText(const RejectBound& bound) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, bound.value).ptr;
  return std::string(text, end) + (bound.percent ? "%" : "");
}

constexpr RunOptionSpec kSpecs[] = {
    {"mode", "MODE",
     "mini (first 300 of labels Apple*, else of all), apples (labels Apple*) or full", Kind::kValue,
     SetParsed<&RunOptions::mode, ParseMode>, GetName<&RunOptions::mode, ModeName>},
    {"pca-components", "K", "Columns of the PCA", Kind::kValue,
     [](RunOptions* options, std::string_view text) {
       options->components_given = true;
       return SetCount<&RunOptions::pca_components>("pca-components", options, text, 1);
     },
     GetCount<&RunOptions::pca_components>},
    {"threads", "N", "Worker threads; 0: one for each core", Kind::kValue,
     [](RunOptions* options, std::string_view text) {
       ARROW_RETURN_NOT_OK(SetCount<&RunOptions::threads>("threads", options, text, 0));
       return CheckThreads(options->threads);
     },
     GetCount<&RunOptions::threads>},
    {"memory", "BYTES",
     "Memory for large pictures and files, all threads together, such as 2G; others wait, and a "
     "picture that alone needs more is a reject (default: half of what the process may use)",
     Kind::kValue,
     [](RunOptions* options, std::string_view text) {
       return SetBytes("memory", text, &options->memory);
     },
     [](const RunOptions& options) -> Value {
       return options.memory == 0 ? std::string() : BytesText(options.memory);
     }},
    {"decode", "MODE",
     "exact, or scaled: large JPEGs at a fraction of their size, faster, with features of their "
     "own",
     Kind::kValue, SetParsed<&RunOptions::decode, ParseDecode>,
     GetName<&RunOptions::decode, DecodeName>},
    {"stats", "KIND",
     "Statistics of each picture, in a run's metadata and in what `check --json` prints: none, "
     "basic "
     "(brightness, entropy) or full (blurriness and a hash of the pixels, too)",
     Kind::kValue, SetParsed<&RunOptions::stats, ParseStats>,
     GetName<&RunOptions::stats, StatsName>},
    {"engine", "ENGINE", "native, gpu (the same results) or openvino", Kind::kValue,
     SetParsed<&RunOptions::engine, ParseEngine>, GetName<&RunOptions::engine, EngineName>},
    {"device", "DEVICE",
     "Where --engine gpu runs: a device that `pomona version` lists (opencl:0), any (the first "
     "GPU) "
     "or auto (the same, and the CPU where there is none or it fails)",
     Kind::kValue, SetText<&RunOptions::device>, Get<&RunOptions::device>},
    {"cpu", "CPU",
     "Restrict the kernels to avx512, avx2, neon or scalar; the results do not change",
     Kind::kValue, SetParsed<&RunOptions::cpu, ParseCpu>, GetName<&RunOptions::cpu, CpuName>},
    {"weights", "FILE", "Weights made by `pomona weights`", Kind::kValue,
     SetText<&RunOptions::weights>, Get<&RunOptions::weights>},
    {"run-id", "ID", "Name of the run (default: YYYYmmdd_HHMMSS)", Kind::kValue,
     SetText<&RunOptions::run_id>, Get<&RunOptions::run_id>},
    {"formats", "LIST", "Formats of features and PCA; without parquet there is no table of images",
     Kind::kValue, SetParsed<&RunOptions::formats, ParseFormats>,
     GetName<&RunOptions::formats, FormatsText>},
    {"vectors", "LAYOUT",
     "Vectors in Parquet: fixed (lists of a size that Arrow knows), list, or spark (the PCA as "
     "MLlib's vectors)",
     Kind::kValue, SetParsed<&RunOptions::vectors, ParseVectorLayout>,
     GetName<&RunOptions::vectors, VectorLayoutName>},
    {"center", "", "Subtract the mean, as scikit-learn does", Kind::kFlag,
     SetFlag<&RunOptions::center>, Get<&RunOptions::center>},
    {"standardize", "", "Scale features to unit variance first", Kind::kFlag,
     SetFlag<&RunOptions::standardize>, Get<&RunOptions::standardize>},
    {"pca", "FILE",
     "Project by the PCA of an earlier run (its model_info/pca_model_ID/part-00000.safetensors) "
     "instead of fitting one",
     Kind::kValue, SetText<&RunOptions::pca>, Get<&RunOptions::pca>},
    {"include", "GLOB",
     "Take only files whose whole path below INPUT (or INPUT/Training) matches: * is any "
     "text, slashes too; ? one character; [a-z] one of these; case counts (repeatable)",
     Kind::kList,
     [](RunOptions* options, std::string_view text) {
       return AddGlob<&RunOptions::include>("include", options, text);
     },
     Get<&RunOptions::include>},
    {"exclude", "GLOB", "Leave out files whose path matches, such as 'Kiwi/*' (repeatable)",
     Kind::kList,
     [](RunOptions* options, std::string_view text) {
       return AddGlob<&RunOptions::exclude>("exclude", options, text);
     },
     Get<&RunOptions::exclude>},
    {"hidden", "", "Include hidden files: .names and what operating systems leave behind",
     Kind::kFlag, SetFlag<&RunOptions::hidden>, Get<&RunOptions::hidden>},
    {"limit", "N", "Take only the first N items (default: all)", Kind::kValue,
     [](RunOptions* options, std::string_view text) {
       return SetCount<&RunOptions::limit>("limit", options, text, 1);
     },
     GetCount<&RunOptions::limit>},
    {"max-rejects", "N|P%", "Rejects allowed, N or P% of the images; with more, exit 3",
     Kind::kValue, SetParsed<&RunOptions::max_rejects, ParseRejectBound>,
     GetName<&RunOptions::max_rejects, RejectBoundText>},
    {"report", "KIND",
     "Page about the run, for any browser: full, plots (no pictures, no paths of images but "
     "rejects) or none",
     Kind::kValue, SetParsed<&RunOptions::report, ParseReport>,
     GetName<&RunOptions::report, ReportName>},
    {"report-images", "WHICH", "Small pictures of the images in the report: all or none",
     Kind::kValue, SetParsed<&RunOptions::report_images, ParseReportImages>,
     GetName<&RunOptions::report_images, ReportImagesName>},
    {"metrics", "FILE",
     "Write Prometheus metrics there, every few seconds and at the end; for node_exporter, a .prom "
     "file in its textfile folder",
     Kind::kValue, SetText<&RunOptions::metrics>, Get<&RunOptions::metrics>},
    {"s3-endpoint", "URL", "S3 server (default: $AWS_ENDPOINT_URL_S3, $AWS_ENDPOINT_URL, AWS)",
     Kind::kValue,
     [](RunOptions* options, std::string_view text) {
       options->s3.endpoint = text;
       return arrow::Status::OK();
     },
     [](const RunOptions& options) -> Value { return options.s3.endpoint; }},
    {"s3-anonymous", "", "Read public buckets without credentials", Kind::kFlag,
     [](RunOptions* options, std::string_view text) {
       return ParseFlag(text, &options->s3.anonymous);
     },
     [](const RunOptions& options) -> Value { return options.s3.anonymous; }},
    {"cache", "DIR", "Keep what is read from S3 there, for runs that read it again", Kind::kValue,
     [](RunOptions* options, std::string_view text) {
       options->s3.cache = text;
       return arrow::Status::OK();
     },
     [](const RunOptions& options) -> Value { return options.s3.cache; }},
    {"cache-size", "BYTES", "About how much is kept there: 500M, 20G", Kind::kValue,
     [](RunOptions* options, std::string_view text) {
       return SetBytes("cache-size", text, &options->s3.cache_bytes);
     },
     [](const RunOptions& options) -> Value { return BytesText(options.s3.cache_bytes); }},
    {"shard", "I/N",
     "Do part I of N of a run that N machines share, all with the same --run-id; the last one "
     "publishes it. merge: publish what they made",
     Kind::kValue, SetParsed<&RunOptions::shard, ParseShard>,
     GetName<&RunOptions::shard, ShardText>},
    {"fresh", "", "Recompute everything: neither resume nor reuse earlier results", Kind::kFlag,
     SetFlag<&RunOptions::fresh>, Get<&RunOptions::fresh>},
};

}  // namespace

std::vector<std::string> RunOptionSpec::Texts(const RunOptions& options) const {
  const Value chosen = get(options);
  if (const auto* list = std::get_if<std::vector<std::string>>(&chosen)) return *list;
  if (const auto* flag = std::get_if<bool>(&chosen)) return {*flag ? "true" : "false"};
  if (const auto* count = std::get_if<int64_t>(&chosen)) return {std::to_string(*count)};
  return {std::get<std::string>(chosen)};
}

std::span<const RunOptionSpec> RunOptionSpecs() { return kSpecs; }

std::string HelpText(const RunOptionSpec& spec) {
  const std::string help = spec.help;
  if (spec.kind != Kind::kValue || help.find("(default: ") != help.npos) return help;
  const std::string shown = spec.Texts({}).front();
  return shown.empty() ? help : help + " (default: " + shown + ")";
}

arrow::Status Validate(const RunOptions& options) {
  if (options.pca_components < 1) {
    return arrow::Status::Invalid("pca-components ", options.pca_components, ": at least 1");
  }
  ARROW_RETURN_NOT_OK(CheckThreads(options.threads));
  if (options.limit < 0) return arrow::Status::Invalid("limit ", options.limit, ": at least 1");
  if (!options.formats.parquet && !options.formats.csv) {
    return arrow::Status::Invalid("formats: name parquet, csv or both");
  }
  if (options.fragment_items < 1 || options.part_rows < options.fragment_items) {
    return arrow::Status::Invalid("a part needs room for a fragment, and a fragment for an item");
  }
  for (const std::string& glob : options.include) {
    ARROW_RETURN_NOT_OK(CheckGlob("include", glob));
  }
  for (const std::string& glob : options.exclude) {
    ARROW_RETURN_NOT_OK(CheckGlob("exclude", glob));
  }
  if (options.device.empty()) {
    return arrow::Status::Invalid(
        "device: expected any, auto or a device that `pomona version` lists");
  }
  if (options.engine != EngineKind::kGpu && options.device != RunOptions().device) {
    return arrow::Status::Invalid("device ", options.device, ": goes with --engine gpu");
  }
  if (options.stats != StatsKind::kNone && options.decode == DecodeMode::kScaled) {
    return arrow::Status::Invalid(
        "stats: needs all pixels of a picture, which --decode scaled does not decode; leave out "
        "one "
        "of the two");
  }
  if (!options.shard.whole() && options.run_id.empty()) {
    return arrow::Status::Invalid("shard: needs --run-id, the same for all shards of a run");
  }
  return options.run_id.empty() ? arrow::Status::OK() : CheckRunId(options.run_id);
}

arrow::Status CheckRunId(std::string_view id) {
  if (id.empty() || id.size() > kMaxRunIdBytes) {
    return arrow::Status::Invalid("run-id of ", id.size(), " characters: 1 to ", kMaxRunIdBytes);
  }
  const bool allowed = std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           c == '-' || c == '.';
  });
  if (allowed) return arrow::Status::OK();
  return arrow::Status::Invalid("run-id '", id, "': letters, digits, '_', '-' and '.' only");
}

}  // namespace pomona
