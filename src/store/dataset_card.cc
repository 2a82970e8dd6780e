#include "dataset_card.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "layout.h"
#include "pomona/version.h"
#include "published_files.h"

namespace pomona {
namespace {

using nlohmann::json;

// Whoever takes it out has the file to themselves. A comment of YAML, as the card has to begin with
// "---".
constexpr std::string_view kMarker =
    "# Written by pomona, anew after each run; without this line, the file is yours.";

// What is told of a run.
struct CardFacts {
  int64_t listed = 0;
  int64_t rows = 0;
  int64_t rejects = 0;
  int64_t skips = 0;
  int64_t dimensions = 0;
  int64_t components = 0;
  double variance = 0;  // the components' share
  std::string weights;  // digest
  bool imagenet = false;
  std::string preprocessing;
  std::string projection;
};

// One table as `datasets` knows it.
struct CardTable {
  std::string name;
  std::string folder;
  int64_t rows = 0;
  std::string columns;  // what it holds, in Markdown
};

// In backticks, without what would end them or the line: a run_info may be anybody's.
std::string Code(std::string text) {
  std::ranges::replace_if(text, [](char c) { return c < ' ' || c > '~' || c == '`'; }, '?');
  return '`' + text + '`';
}

std::string Percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

// Errors: Invalid where one of the files is not what a run leaves.
arrow::Result<CardFacts> ReadFacts(const PublishedFiles& files, const std::string& run_id) {
  const auto path = [&](const OutputFolder& folder) {
    return folder.Path(run_id) + '/' + PartName(0, "json");
  };
  ARROW_ASSIGN_OR_RAISE(const json run, ReadObject(files, path(kRunInfo)));
  ARROW_ASSIGN_OR_RAISE(const json model, ReadObject(files, path(kModelInfo)));
  CardFacts facts;
  try {
    const json& counts = run.at("counts");
    counts.at("listed").get_to(facts.listed);
    counts.at("rows").get_to(facts.rows);
    counts.at("rejects").get_to(facts.rejects);
    counts.at("skips").get_to(facts.skips);
    model.at("original_dimensions").get_to(facts.dimensions);
    model.at("pca_components").get_to(facts.components);
    model.at("total_variance_explained").get_to(facts.variance);
    model.at("weights").at("digest").get_to(facts.weights);
    model.at("weights").at("imagenet").get_to(facts.imagenet);
    model.at("preprocessing").get_to(facts.preprocessing);
    model.at("projection").get_to(facts.projection);
  } catch (const json::exception&) {
    return arrow::Status::Invalid(files.output(), ": what the run ", run_id,
                                  " says of itself is not what runs say");
  }
  return facts;
}

// The tables of Parquet that have rows: one without makes `datasets` fail, and all have to be of one
// format.
arrow::Result<std::vector<CardTable>> FindTables(const PublishedFiles& files,
                                                 const std::string& run_id,
                                                 const CardFacts& facts) {
  struct Candidate {
    const char* name;
    const OutputFolder& folder;
    int64_t rows;
    std::string columns;
  };
  const Candidate candidates[] = {
      {"features", kFeaturesParquet, facts.rows,
       "`path`, `label`, `features`: " + std::to_string(facts.dimensions) + " numbers"},
      {"pca", kPcaParquet, facts.rows,
       "`path`, `label`, `pca_features`: " + std::to_string(facts.components) + " numbers"},
      {"images", kMetadataParquet, facts.rows, "what each image is: size, format, checksum, ..."},
      {"errors", kErrorsParquet, facts.rejects, "what was rejected, where and why"},
  };
  std::vector<CardTable> tables;
  for (const Candidate& candidate : candidates) {
    if (candidate.rows == 0) continue;
    ARROW_ASSIGN_OR_RAISE(const bool there, files.Exists(SuccessOf(candidate.folder, run_id)));
    if (!there) continue;
    tables.push_back(
        {candidate.name, candidate.folder.Path(run_id), candidate.rows, candidate.columns});
  }
  return tables;
}

std::string FrontMatter(const std::vector<CardTable>& tables) {
  std::string text = "---\n" + std::string(kMarker) + '\n';
  if (!tables.empty()) text += "configs:\n";
  for (const CardTable& table : tables) {
    text += "- config_name: " + table.name + "\n  data_files: " + table.folder + "/*.parquet\n";
    // What the hub shows first, and load_dataset() takes where nothing is named.
    if (&table == &tables.front()) text += "  default: true\n";
  }
  return text + "task_categories:\n- image-feature-extraction\ntags:\n- pomona\n---\n";
}

std::string Tables(const std::vector<CardTable>& tables) {
  if (tables.empty())
    return "The tables are CSV files; `docs/formats.md` of Pomona describes them.\n";
  std::string text = "| table | rows | columns | folder |\n| --- | --- | --- | --- |\n";
  for (const CardTable& table : tables) {
    text += "| " + table.name + " | " + std::to_string(table.rows) + " | " + table.columns +
            " | `" + table.folder + "` |\n";
  }
  return text;
}

// How to read one of them, with paths below the output.
std::string Loading(const CardTable& table) {
  return "## Reading them\n"
         "\n"
         "In this folder, with pandas:\n"
         "\n"
         "```python\n"
         "import pandas as pd\n"
         "\n" +
         table.name + " = pd.read_parquet(\"" + table.folder +
         "\")\n"
         "```\n"
         "\n"
         "with `datasets`, which takes the name of a copy on the hub as well, but no \".\":\n"
         "\n"
         "```python\n"
         "import os\n"
         "\n"
         "from datasets import load_dataset\n"
         "\n" +
         table.name + " = load_dataset(os.getcwd(), \"" + table.name +
         "\", split=\"train\")\n"
         "```\n"
         "\n"
         "with DuckDB:\n"
         "\n"
         "```sql\n"
         "SELECT count(*) FROM '" +
         table.folder +
         "/*.parquet';\n"
         "```\n";
}

std::string CardText(const std::string& run_id, const CardFacts& facts,
                     const std::vector<CardTable>& tables) {
  const std::string dimensions = std::to_string(facts.dimensions);
  const std::string rows = std::to_string(facts.rows);
  std::string text =
      FrontMatter(tables) +
      "\n"
      "# Features of " +
      rows +
      " images\n"
      "\n"
      "Of each image the " +
      dimensions + " features that the network MobileNetV2 gives it, and their projections onto " +
      std::to_string(facts.components) + " principal components. Of " +
      std::to_string(facts.listed) + " files, " + rows + " were read as images, " +
      std::to_string(facts.rejects) + " were rejected and " + std::to_string(facts.skips) +
      " are no images.\n"
      "\n" +
      Tables(tables) +
      "\n"
      "Rows are in the order of `path`, in all tables alike. `label` is the name of the "
      "folder that an image lay in.\n"
      "\n";
  if (!tables.empty()) text += Loading(tables.front()) + '\n';
  return text +
         "## How they were made\n"
         "\n"
         "- by Pomona " +
         kVersion + ", as the run " + Code(run_id) +
         "; others may lie beside it, in folders that end in their names\n"
         "- weights: " +
         (facts.imagenet ? "Keras' ImageNet weights" : "others than Keras' ImageNet weights") +
         ", digest " + Code(facts.weights) +
         "\n"
         "- preprocessing: " +
         Code(facts.preprocessing) +
         "\n"
         "- projection: " +
         Code(facts.projection) + "; " + std::to_string(facts.components) + " components explain " +
         Percent(facts.variance) + " of the variance\n";
}

// Whether README.md may be replaced.
arrow::Result<bool> IsOurs(const PublishedFiles& files) {
  ARROW_ASSIGN_OR_RAISE(const bool there, files.Exists(kCardName));
  if (!there) return true;
  ARROW_ASSIGN_OR_RAISE(const std::string text, files.Read(kCardName));
  // At its very beginning: further down it may be quoted. Git may have changed the line ends.
  const std::string marker(kMarker);
  return text.starts_with("---\n" + marker + '\n') || text.starts_with("---\r\n" + marker + "\r\n");
}

}  // namespace

arrow::Result<bool> UpdateCard(Output& output, const std::string& run_id) {
  const PublishedFiles files = output.published();
  ARROW_ASSIGN_OR_RAISE(const bool ours, IsOurs(files));
  if (!ours) return false;
  std::string text;
  if (!run_id.empty()) {
    ARROW_ASSIGN_OR_RAISE(const CardFacts facts, ReadFacts(files, run_id));
    ARROW_ASSIGN_OR_RAISE(const std::vector<CardTable> tables, FindTables(files, run_id, facts));
    text = CardText(run_id, facts, tables);
  }
  ARROW_RETURN_NOT_OK(output.WriteCard(text));
  return true;
}

arrow::Status RefreshCard(Output& output, const std::string& without) {
  ARROW_ASSIGN_OR_RAISE(std::vector<std::string> runs, PublishedRuns(output.published()));
  std::erase(runs, without);
  return UpdateCard(output, runs.empty() ? "" : runs.front()).status();
}

}  // namespace pomona
