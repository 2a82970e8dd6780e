#include "tables.h"

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

arrow::Status RunTables::ForEachRow(int components, const UseRows& use) const {
  for (size_t part = 0;; ++part) {
    std::string path = kPcaParquet.Path(run_id_) + "/" + PartName(part, "parquet");
    auto open = OpenParquetPart;
    ARROW_ASSIGN_OR_RAISE(const PublishedFiles* place, PlaceOf(path));
    if (!place) {
      path = kPcaCsv.Path(run_id_) + "/" + PartName(part, "csv");
      open = OpenCsvPart;
      ARROW_ASSIGN_OR_RAISE(place, part == 0 ? Existing(path) : PlaceOf(path));
      if (!place) return arrow::Status::OK();
    }
    ARROW_ASSIGN_OR_RAISE(const auto reader, open(*place, path, components));
    for (RowBlock block;;) {
      ARROW_RETURN_NOT_OK(reader->Read(&block));
      if (block.rows() == 0) break;
      ARROW_RETURN_NOT_OK(use(block));
    }
  }
}

arrow::Status RunTables::ForEachReject(const UseCsvRow& use) const {
  const std::string path = kErrors.Path(run_id_) + "/" + PartName(0, "csv");
  ARROW_ASSIGN_OR_RAISE(const PublishedFiles* place, Existing(path));
  return ForEachCsvRow(*place, path, 5, use);
}

}  // namespace pomona
