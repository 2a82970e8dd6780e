#include "tables.h"

#include <map>
#include <memory>

namespace pomona {

arrow::Result<const PublishedFiles*> RunTables::PlaceOf(const std::string& below) const {
  for (const PublishedFiles& place : places_) {
    ARROW_ASSIGN_OR_RAISE(const bool here, place.Exists(below));
    if (here) return &place;
  }
  return nullptr;
}

arrow::Result<const PublishedFiles*> RunTables::Existing(const std::string& below) const {
  ARROW_ASSIGN_OR_RAISE(const PublishedFiles* place, PlaceOf(below));
  // The last one says in its own words that it is not there.
  return place ? place : &places_.back();
}

arrow::Result<nlohmann::json> RunTables::ReadJson(const OutputFolder& folder) const {
  const std::string path = folder.Path(run_id_) + "/" + PartName(0, "json");
  ARROW_ASSIGN_OR_RAISE(const PublishedFiles* place, Existing(path));
  return ReadObject(*place, path);
}

arrow::Result<nlohmann::json> RunTables::ReadModelInfo() const {
  ARROW_ASSIGN_OR_RAISE(auto info, ReadJson(kModelInfo));
  const auto is_list = [&](const char* name) {
    return info.contains(name) && info[name].is_array() && !info[name].empty() &&
           info[name].size() == info["variance_by_component"].size();
  };
  if (is_list("variance_by_component") && is_list("cumulative_variance") &&
      info.value("num_images_processed", nlohmann::json()).is_number_integer()) {
    return info;
  }
  return arrow::Status::Invalid(kModelInfo.Path(run_id_), ": not a model_info of Pomona's");
}

arrow::Result<nlohmann::json> RunTables::ReadRunInfo() const { return ReadJson(kRunInfo); }

arrow::Result<std::vector<RunTables::Part>> RunTables::PartsOf(const OutputFolder& folder,
                                                               const char* extension) const {
  std::map<std::string, const PublishedFiles*> parts;
  for (const PublishedFiles& place : places_) {
    ARROW_ASSIGN_OR_RAISE(const auto here, place.Parts(folder.Path(run_id_)));
    for (const std::string& part : here) parts.emplace(part, &place);
  }
  // The last place says in its own words that nothing is there.
  if (parts.empty()) {
    parts.emplace(folder.Path(run_id_) + "/" + PartName(0, extension), &places_.back());
  }
  return std::vector<Part>(parts.begin(), parts.end());
}

arrow::Status RunTables::ForEachRow(int components, const UseRows& use) const {
  auto open = OpenParquetPart;
  ARROW_ASSIGN_OR_RAISE(auto parts, PartsOf(kPcaParquet, "parquet"));
  ARROW_ASSIGN_OR_RAISE(const bool as_parquet, parts[0].second->Exists(parts[0].first));
  if (!as_parquet) {
    open = OpenCsvPart;
    ARROW_ASSIGN_OR_RAISE(parts, PartsOf(kPcaCsv, "csv"));
  }
  for (const auto& [path, place] : parts) {
    ARROW_ASSIGN_OR_RAISE(const auto reader, open(*place, path, components));
    for (RowBlock block;;) {
      ARROW_RETURN_NOT_OK(reader->Read(&block));
      if (block.rows() == 0) break;
      ARROW_RETURN_NOT_OK(use(block));
    }
  }
  return arrow::Status::OK();
}

arrow::Status RunTables::ForEachReject(const UseCsvRow& use) const {
  ARROW_ASSIGN_OR_RAISE(const auto parts, PartsOf(kErrors, "csv"));
  for (const auto& [path, place] : parts) {
    ARROW_RETURN_NOT_OK(ForEachCsvRow(*place, path, 5, use));
  }
  return arrow::Status::OK();
}

}  // namespace pomona
