#include "pomona/reports.h"

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>

#include "json.h"
#include "pomona/cpu.h"
#include "pomona/sink.h"
#include "pomona/version.h"
#include "vector_formats.h"

namespace pomona {
namespace {

using nlohmann::ordered_json;

std::string Text(const ordered_json& json) { return JsonText(json, 2) + "\n"; }

ordered_json Versions() {
  ordered_json versions = {{"pomona", kVersion}};
  for (const auto& [library, version] : LibraryVersions()) versions[library] = version;
  return versions;
}

ordered_json Transfers(const TransferCounts& counts) {
  return {{"listings", counts.listings},
          {"requests", counts.requests},
          {"retries", counts.retries},
          {"bytes", counts.bytes},
          {"request_seconds", counts.seconds}};
}

// What a device did; null where none was asked for.
ordered_json DeviceJson(const std::optional<DeviceUse>& use) {
  if (!use) return nullptr;
  return {{"name", use->device},
          {"pictures", use->pictures},
          {"batches", use->batches},
          {"busy_seconds", use->busy_seconds},
          {"waiting_seconds", use->waiting_seconds},
          {"cpu_pictures", use->cpu_pictures},
          {"trouble", use->trouble}};
}

// By the names that Python has for them. Two are told in more detail than by their text.
ordered_json OptionsJson(const RunOptions& options) {
  ordered_json json;
  for (const RunOptionSpec& spec : RunOptionSpecs()) {
    std::string name = spec.name;
    std::ranges::replace(name, '-', '_');
    std::visit([&](const auto& value) { json[name] = value; }, spec.get(options));
  }
  json["formats"] = ordered_json::array();
  for (const VectorFormat* format : SelectedFormats(options.formats)) {
    json["formats"].push_back(format->name);
  }
  json["max_rejects"] = options.max_rejects.value;
  json["max_rejects_unit"] = options.max_rejects.percent ? "percent" : "images";
  return json;
}

// Null where none was worked on.
ordered_json ImageSeconds(const Durations& times) {
  if (times.count() == 0) return nullptr;
  return {{"images", times.count()},
          {"p50", times.Percentile(0.50)},
          {"p95", times.Percentile(0.95)},
          {"p99", times.Percentile(0.99)}};
}

std::vector<double> CumulativeSum(const std::vector<double>& values) {
  std::vector<double> sums;
  double sum = 0;
  for (const double value : values) sums.push_back(sum += value);
  return sums;
}

}  // namespace

std::string CountsText(const std::map<std::string, int64_t>& counts) {
  std::string text;
  for (const auto& [name, count] : counts) {
    text += (text.empty() ? " (" : ", ") + name + ' ' + std::to_string(count);
  }
  return text.empty() ? text : text + ')';
}

std::string Describe(const RunSummary& summary) {
  const Counts& counts = summary.counts;
  if (summary.published_elsewhere) {
    return "run " + summary.run_id +
           ": another shard has published it, now or earlier (a new run takes a new id)";
  }
  if (summary.fragments_missing > 0) {
    return "run " + summary.run_id + ": this shard is done (" + std::to_string(counts.listed) +
           " files, " + std::to_string(counts.rows) + " images, " + std::to_string(counts.rejects) +
           " rejects); fragments that other shards have to make: " +
           std::to_string(summary.fragments_missing);
  }
  const auto text = [](const char* format, double value) {
    char buffer[64];
    std::snprintf(buffer, sizeof buffer, format, value);
    return std::string(buffer);
  };
  const std::string components = std::to_string(summary.components) + " components ";
  std::string how;
  if (counts.reused == counts.rows) {
    how = " (all features reused from run " + summary.reused_run_id + ")";
  } else if (summary.images_per_second > 0) {
    how = text(" (%.0f images/s)", summary.images_per_second);
  }
  return "run " + summary.run_id + ": " + std::to_string(counts.rows) + " images in " +
         text("%.1f", summary.seconds) + " s" + how + ", " + components +
         (summary.given_pca.empty()
              ? "explain " + text("%.1f", 100 * summary.variance_explained) + " % of the variance"
              : "of the PCA " + summary.given_pca.substr(0, 12)) +
         "\nlisted " + std::to_string(counts.listed) + " = " + std::to_string(counts.rows) +
         " rows + " + std::to_string(counts.rejects) + " rejects" +
         CountsText(summary.rejects_by_reason) + " + " + std::to_string(counts.skips) + " skips" +
         CountsText(summary.skips_by_reason);
}

std::string ModelInfoJson(const std::string& run_id, const RunPca& run, const ModelIdentity& model,
                          std::string_view engine, DecodeMode decode) {
  const Pca& pca = run.pca;
  const std::vector<double> ratios = pca.ExplainedVarianceRatio();
  const std::vector<double> cumulative = CumulativeSum(ratios);
  const PcaOptions& options = pca.options();
  std::string projection = options.center ? "(X - mean)" : "X";
  if (options.standardize) projection += " / scale";
  return Text({
      {"timestamp", run_id},
      {"pca_components", pca.components()},
      {"original_dimensions", pca.dimensions()},
      {"reduced_dimensions", pca.components()},
      {"total_variance_explained", cumulative.back()},
      {"variance_by_component", ratios},
      {"cumulative_variance", cumulative},
      {"num_images_processed", run.images},
      {"projection", projection + " . V"},
      {"centered", options.center},
      {"standardized", options.standardize},
      {"pca", {{"digest", pca.Digest()}, {"images", pca.rows()}, {"given", run.given}}},
      {"model", "MobileNetV2"},
      {"weights", {{"digest", model.digest}, {"imagenet", model.imagenet}, {"alpha", model.alpha}}},
      {"preprocessing", model.preprocessing->RecordedName(decode)},
      {"engine", engine},
      {"versions", Versions()},
      {"mean", pca.mean()},
  });
}

std::string VarianceCsv(const Pca& pca) {
  const std::vector<double> ratios = pca.ExplainedVarianceRatio();
  const std::vector<double> cumulative = CumulativeSum(ratios);
  CsvBuilder csv;
  csv.Field("component").Field("variance_explained").Field("cumulative_variance").EndRow();
  for (size_t i = 0; i < ratios.size(); ++i) {
    csv.Field(static_cast<int64_t>(i + 1))
        .Field(static_cast<float>(ratios[i]))
        .Field(static_cast<float>(cumulative[i]))
        .EndRow();
  }
  return csv.text();
}

std::string RunInfoJson(const RunSummary& summary, const RunDetails& details,
                        const RunOptions& options) {
  ordered_json first_row = nullptr;
  if (details.first_row_seconds) first_row = *details.first_row_seconds;
  const StageSeconds& stages = details.stages;
  const WorkerSeconds& workers = details.workers;
  return Text({
      {"run_id", summary.run_id},
      {"input", details.input},
      {"output", details.output},
      {"counts",
       {{"listed", summary.counts.listed},
        {"rows", summary.counts.rows},
        {"rejects", summary.counts.rejects},
        {"skips", summary.counts.skips},
        {"resumed", summary.counts.resumed}}},
      {"reused", {{"rows", summary.counts.reused}, {"run_id", summary.reused_run_id}}},
      {"rejects_by_reason", summary.rejects_by_reason},
      {"skips_by_reason", summary.skips_by_reason},
      {"seconds",
       {{"total", summary.seconds},
        {"first_row", first_row},
        {"list", stages.list},
        {"extract", stages.extract},
        {"fit", stages.fit},
        {"write", stages.write},
        {"report", stages.report}}},
      {"worker_seconds",
       {{"read", workers.read.seconds()},
        {"decode", workers.decode.seconds()},
        {"resize", workers.resize.seconds()},
        {"infer", workers.infer.seconds()},
        {"reduce", workers.reduce.seconds()},
        {"store", workers.store.seconds()}}},
      {"image_seconds", ImageSeconds(workers.images)},
      {"read_bytes", workers.read_bytes},
      {"s3", {{"reads", Transfers(details.reads)}, {"writes", Transfers(details.writes)}}},
      {"images_per_second", summary.images_per_second},
      {"peak_memory_bytes", summary.peak_memory_bytes},
      {"threads", details.threads},
      {"engine", details.engine},
      {"device", DeviceJson(details.device)},
      {"cpu", CpuName(ResolveCpu(options.cpu).ValueOr(Cpu::kScalar))},
      {"options", OptionsJson(options)},
      {"versions", Versions()},
  });
}

int64_t PeakMemoryBytes() {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} * 1024;
}

}  // namespace pomona
