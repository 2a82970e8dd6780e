#include "fragment.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <utility>

#include "disk.h"
#include "json.h"
#include "sha256.h"

namespace pomona {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "pomona-fragment-5";

TensorView View(DType dtype, std::vector<int64_t> shape, std::span<const std::byte> bytes) {
  return {dtype, std::move(shape), bytes};
}

std::string ReportToJson(const FragmentReport& report) {
  json rejects = json::array();
  for (const FragmentReject& r : report.rejects) {
    rejects.push_back(
        {r.item, StageName(r.reject.stage), ReasonName(r.reject.reason), r.reject.message});
  }
  return JsonText(json{{"rejects", rejects}, {"skips", report.skips}});
}

bool ReportFromJson(const std::string& text, FragmentReport* report) {
  const json parsed = ParseJson(text);
  if (!parsed.is_object() || !parsed.contains("rejects") || !parsed.contains("skips")) return false;
  for (const json& r : parsed["rejects"]) {
    if (!r.is_array() || r.size() != 4 || !r[0].is_number_integer() || !r[1].is_string() ||
        !r[2].is_string() || !r[3].is_string()) {
      return false;
    }
    const auto stage = StageNamed(r[1].get<std::string>());
    const auto reason = ReasonNamed(r[2].get<std::string>());
    if (!stage || !reason) return false;
    report->rejects.push_back({r[0].get<int32_t>(), {*stage, *reason, r[3].get<std::string>()}});
  }
  if (!parsed["skips"].is_object()) return false;
  for (const auto& [reason, count] : parsed["skips"].items()) {
    if (!count.is_number_integer()) return false;
    report->skips[reason] = count.get<int32_t>();
  }
  return true;
}

std::string Checksum(const std::string& key, const std::string& report,
                     std::initializer_list<std::span<const std::byte>> tensors) {
  Sha256 sha256;
  sha256.Add(key).Add(report);
  for (const auto bytes : tensors) {
    sha256.Add(std::span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()));
  }
  return sha256.Hex();
}

// The path of something of the fragment that is not all of it.
std::string Marked(const std::string& fragment_path, const std::string& mark) {
  constexpr std::string_view kExtension = ".safetensors";
  return fragment_path.substr(0, fragment_path.size() - kExtension.size()) + mark +
         std::string(kExtension);
}

// Whether the report accounts for so many items (for a part of them, where it is partial), none of
// them unknown.
bool Accounts(const FragmentReport& report, size_t items, bool partial) {
  const auto ascends = [items](const auto& entries, auto position) {
    int64_t last = -1;
    return std::ranges::all_of(entries, [&](const auto& entry) {
      const int64_t before = std::exchange(last, std::invoke(position, entry));
      return before < last && last < static_cast<int64_t>(items);
    });
  };
  return ascends(report.rows, std::identity()) && ascends(report.rejects, &FragmentReject::item) &&
         std::ranges::none_of(report.rejects,
                              [&](const FragmentReject& reject) {
                                return std::ranges::binary_search(report.rows, reject.item);
                              }) &&
         std::ranges::all_of(report.skips, [](const auto& skip) { return skip.second >= 0; }) &&
         (partial || report.rows.size() + report.rejects.size() + report.skip_count() == items);
}

// What a fragment holds of its rows' moments; nothing where it is partial.
struct StoredMoments {
  int64_t count = 0;
  std::span<const double> mean;
  std::span<const double> comoment;
};

arrow::Status Write(const std::string& path, const FragmentRange& range,
                    const FragmentReport& report, std::span<const float> features,
                    int64_t dimensions, const StoredMoments& moments) {
  const int64_t rows = static_cast<int64_t>(report.rows.size());
  const auto length = [](const auto& values) { return static_cast<int64_t>(values.size()); };
  const auto counts = std::as_bytes(std::span(&moments.count, 1));
  const auto means = std::as_bytes(moments.mean);
  const auto comoments = std::as_bytes(moments.comoment);
  const auto values = std::as_bytes(features);
  const auto positions = std::as_bytes(std::span(report.rows));
  const std::vector<std::byte> properties = BytesOf(report.images);
  const TensorView images = TensorOf(report.images.size(), properties);
  const std::string text = ReportToJson(report);
  // Without flock(), another process may have withdrawn from the work folder while it was empty.
  ARROW_RETURN_NOT_OK(MakeFolders(std::filesystem::path(path).parent_path()));
  return WriteSafetensors(
      path,
      // Wider types first: the format leaves no gaps to align them.
      {{"moments.count", View(DType::kI64, {1}, counts)},
       {"moments.mean", View(DType::kF64, {length(moments.mean)}, means)},
       {"moments.comoment", View(DType::kF64, {length(moments.comoment)}, comoments)},
       {"features", View(DType::kF32, {rows, dimensions}, values)},
       {"rows", View(DType::kI32, {rows}, positions)},
       {"images", images}},
      {{"format", kFormat},
       {"key", range.key},
       {"report", text},
       {"sha256",
        Checksum(range.key, text, {counts, means, comoments, values, positions, images.bytes})}});
}

}  // namespace

FragmentRange RangeOf(std::span<const Item> items, size_t begin, const std::string& recipe) {
  Sha256 digest;
  digest.Add(kFormat).Add(recipe);
  for (const Item& item : items) {
    digest.Add(item.relative_path()).Add(item.size).Add(item.modified_ns).Add(item.state);
  }
  return {begin, begin + items.size(), digest.Hex()};
}

int64_t FragmentReport::skip_count() const {
  int64_t count = 0;
  for (const auto& [reason, number] : skips) count += number;
  return count;
}

arrow::Status WriteFragment(const std::string& path, const FragmentRange& range,
                            const FragmentReport& report, std::span<const float> features,
                            const Moments& moments) {
  return Write(path, range, report, features, moments.dimensions(),
               {moments.count(), moments.mean(), moments.comoment()});
}

arrow::Status WritePartialFragment(const std::string& path, const FragmentRange& range,
                                   const FragmentReport& report, std::span<const float> features,
                                   int dimensions) {
  return Write(path, range, report, features, dimensions, {});
}

std::string PartialPath(const std::string& fragment_path) {
  return Marked(fragment_path, ".partial");
}

std::string SlicePath(const std::string& fragment_path, int slice) {
  return Marked(fragment_path, ".slice" + std::to_string(slice));
}

arrow::Result<StoredFragment> StoredFragment::Open(const std::string& path,
                                                   const FragmentRange& range) {
  return OpenAny(path, range, /*partial=*/false);
}

arrow::Result<StoredFragment> StoredFragment::OpenPartial(const std::string& path,
                                                          const FragmentRange& range) {
  return OpenAny(path, range, /*partial=*/true);
}

arrow::Result<StoredFragment> StoredFragment::OpenAny(const std::string& path,
                                                      const FragmentRange& range, bool partial) {
  StoredFragment fragment;
  ARROW_ASSIGN_OR_RAISE(fragment.file_, SafetensorsFile::Open(path));
  const auto& metadata = fragment.file_->metadata();
  const auto key = metadata.find("key");
  const auto report = metadata.find("report");
  if (key == metadata.end() || key->second != range.key || report == metadata.end() ||
      !ReportFromJson(report->second, &fragment.report_)) {
    return arrow::Status::Invalid(path, ": not the fragment that is wanted");
  }
  ARROW_ASSIGN_OR_RAISE(const TensorView rows, fragment.file_->Get("rows"));
  ARROW_ASSIGN_OR_RAISE(const TensorView features, fragment.file_->Get("features"));
  ARROW_ASSIGN_OR_RAISE(const TensorView images, fragment.file_->Get("images"));
  const std::span<const int32_t> positions = rows.values<int32_t>();
  fragment.report_.rows.assign(positions.begin(), positions.end());
  fragment.features_ = features.values<float>();
  auto properties = ImagesIn(images);
  if (properties.ok()) fragment.report_.images = *std::move(properties);
  if (rows.dtype != DType::kI32 || features.dtype != DType::kF32 || features.shape.size() != 2 ||
      features.shape[0] != static_cast<int64_t>(positions.size()) ||
      fragment.report_.images.size() != positions.size() ||
      !Accounts(fragment.report_, range.size(), partial)) {
    return arrow::Status::Invalid(path, ": a damaged fragment");
  }
  return fragment;
}

void StoredFragment::Forget(size_t count) const {
  file_->Forget(std::as_bytes(features_.first(count)));
}

arrow::Status StoredFragment::Verify() const {
  ARROW_ASSIGN_OR_RAISE(const TensorView count, file_->Get("moments.count"));
  ARROW_ASSIGN_OR_RAISE(const TensorView mean, file_->Get("moments.mean"));
  ARROW_ASSIGN_OR_RAISE(const TensorView comoment, file_->Get("moments.comoment"));
  ARROW_ASSIGN_OR_RAISE(const TensorView features, file_->Get("features"));
  ARROW_ASSIGN_OR_RAISE(const TensorView rows, file_->Get("rows"));
  ARROW_ASSIGN_OR_RAISE(const TensorView images, file_->Get("images"));
  const auto& metadata = file_->metadata();  // has a key and a report, or Open() would have failed
  const auto sha256 = metadata.find("sha256");
  if (sha256 == metadata.end() ||
      sha256->second != Checksum(metadata.at("key"), metadata.at("report"),
                                 {count.bytes, mean.bytes, comoment.bytes, features.bytes,
                                  rows.bytes, images.bytes})) {
    return arrow::Status::Invalid(file_->path(), ": its checksum is wrong");
  }
  return arrow::Status::OK();
}

arrow::Result<Moments> StoredFragment::ReadMoments() const {
  return Moments::Read(*file_, "moments.");
}

}  // namespace pomona
