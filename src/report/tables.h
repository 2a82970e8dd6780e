// A run's tables, as a report reads them.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "store/layout.h"
#include "store/part_reader.h"
#include "store/published_files.h"

namespace pomona {

// The tables of one run, published or about to be: parts may lie in one of several places, of
// which the first that has them counts.
class RunTables {
 public:
  // `places`: none is empty.
  RunTables(std::vector<PublishedFiles> places, std::string run_id)
      : places_(std::move(places)), run_id_(std::move(run_id)) {}

  const std::string& run_id() const { return run_id_; }

  // model_info_{id}. Errors: Invalid where it lacks what every model_info has.
  arrow::Result<nlohmann::json> ReadModelInfo() const;

  // run_info_{id}. Errors: as above.
  arrow::Result<nlohmann::json> ReadRunInfo() const;

  // Hands over the rows of the PCA in their order, block by block.
  using UseRows = std::function<arrow::Status(const RowBlock&)>;
  arrow::Status ForEachRow(int components, const UseRows& use) const;

  // Hands over the rows of errors_{id}: path, label, stage, reason, message.
  arrow::Status ForEachReject(const UseCsvRow& use) const;

 private:
  // Null: nowhere.
  arrow::Result<const PublishedFiles*> PlaceOf(const std::string& below) const;
  arrow::Result<const PublishedFiles*> Existing(const std::string& below) const;
  arrow::Result<nlohmann::json> ReadJson(const OutputFolder& folder) const;
  // The parts of a table, in their order, and where they lie; one at least, which may not be there.
  using Part = std::pair<std::string, const PublishedFiles*>;
  arrow::Result<std::vector<Part>> PartsOf(const OutputFolder& folder, const char* extension) const;

  const std::vector<PublishedFiles> places_;
  const std::string run_id_;
};

}  // namespace pomona
