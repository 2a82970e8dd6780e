#include "store/dataset_card.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "store/layout.h"
#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

constexpr const char* kModel = R"({
  "original_dimensions": 1280, "pca_components": 50, "total_variance_explained": 0.8339,
  "weights": {"digest": "c009b1", "imagenet": true}, "preprocessing": "rgb-bicubic",
  "projection": "X . V"})";

// What of a run the card is made of.
class DatasetCard : public testing::Test {
 protected:
  void Publish(const std::string& id, int rejects = 0, const std::string& model = kModel) const {
    output_.Write("run_info/run_info_" + id + "/part-00000.json",
                  R"({"counts": {"listed": )" + std::to_string(6 + rejects) +
                      R"(, "rows": 4, "rejects": )" + std::to_string(rejects) +
                      R"(, "skips": 2}})");
    output_.Write("model_info/model_info_" + id + "/part-00000.json", model);
    for (const OutputFolder& folder : {kFeaturesParquet, kPcaParquet, kRunInfo}) {
      output_.Write(SuccessOf(folder, id), "");
    }
  }

  // Of a process that holds the output.
  arrow::Result<bool> Update(const std::string& run_id) const {
    ARROW_ASSIGN_OR_RAISE(const auto output, OpenOutput(output_.path(), {}, {}));
    ARROW_RETURN_NOT_OK(output->Lock({}));
    auto updated = UpdateCard(*output, run_id);
    output->Abandon();
    EXPECT_FALSE(fs::exists(output_ / "_pomona"));
    return updated;
  }

  bool Writes(const std::string& run_id) const {
    const auto updated = Update(run_id);
    EXPECT_TRUE(updated.ok()) << updated.status();
    return updated.ok() && *updated;
  }

  std::string Card() const { return ReadFile(output_ / "README.md"); }

  bool Says(const std::string& text) const { return Card().find(text) != std::string::npos; }

  const TempFolder output_;
};

TEST_F(DatasetCard, NamesTheTablesOfTheRun) {
  Publish("a");
  ASSERT_TRUE(Writes("a"));
  EXPECT_TRUE(Card().starts_with("---\n# Written by pomona")) << Card();
  EXPECT_TRUE(
      Says("\nconfigs:\n"
           "- config_name: features\n"
           "  data_files: features/parquet/features_a/*.parquet\n"
           "  default: true\n"
           "- config_name: pca\n"
           "  data_files: pca/parquet/pca_a/*.parquet\n"))
      << Card();
  EXPECT_TRUE(Says("Of 6 files, 4 were read as images, 0 were rejected and 2 are no images."));
  EXPECT_TRUE(Says("50 components explain 83.4 % of the variance"));
  EXPECT_TRUE(Says("digest `c009b1`"));
  EXPECT_TRUE(Says("pd.read_parquet(\"features/parquet/features_a\")"));
  EXPECT_FALSE(Says(output_.path()));
}

// A table without rows is one that `datasets` cannot read.
TEST_F(DatasetCard, NamesErrorsOnlyWhereThereAreAny) {
  for (const int rejects : {0, 3}) {
    Publish("a", rejects);
    output_.Write("metadata/parquet/metadata_a/_SUCCESS", "");
    output_.Write("errors/parquet/errors_a/_SUCCESS", "");
    ASSERT_TRUE(Writes("a"));
    EXPECT_TRUE(
        Says("- config_name: images\n"
             "  data_files: metadata/parquet/metadata_a/*.parquet\n"))
        << Card();
    EXPECT_EQ(Says("- config_name: errors\n"
                   "  data_files: errors/parquet/errors_a/*.parquet\n"),
              rejects > 0)
        << Card();
  }
}

TEST_F(DatasetCard, OfARunWithoutParquetNamesNone) {
  Publish("a");
  fs::remove_all(output_ / "features");
  fs::remove_all(output_ / "pca");
  ASSERT_TRUE(Writes("a"));
  EXPECT_FALSE(Says("configs:")) << Card();
  EXPECT_FALSE(Says("```"));
}

TEST_F(DatasetCard, FollowsTheNewestRunAndGoesWithTheLast) {
  Publish("a");
  Publish("b");
  ASSERT_TRUE(Writes("a"));
  const std::string first = Card();
  ASSERT_TRUE(Writes("b"));
  EXPECT_TRUE(Says("features_b/*.parquet"));
  EXPECT_FALSE(Says("_a"));
  ASSERT_TRUE(Writes("a"));
  EXPECT_EQ(Card(), first);
  ASSERT_TRUE(Writes(""));
  EXPECT_FALSE(fs::exists(output_ / "README.md"));
  EXPECT_TRUE(Writes(""));
}

TEST_F(DatasetCard, LeavesAReadmeOfSomebodyElseAlone) {
  Publish("a");
  ASSERT_TRUE(Writes("a"));
  std::string theirs = Card();
  theirs.erase(4, theirs.find('\n', 4) - 3);  // the line that says whose it is
  const std::string quoting = "# My fruits\n\n```\n" + Card() + "```\n";
  for (const std::string& readme : {std::string("# My fruits\n"), std::string(), theirs, quoting}) {
    output_.Write("README.md", readme);
    for (const char* run_id : {"a", ""}) {
      EXPECT_FALSE(Writes(run_id)) << readme;
      EXPECT_EQ(Card(), readme);
    }
  }
}

TEST_F(DatasetCard, StopsAtWhatIsNoFile) {
  Publish("a");
  ASSERT_EQ(mkfifo((output_ / "README.md").c_str(), 0600), 0);
  EXPECT_FALSE(Update("a").ok());
  EXPECT_TRUE(fs::is_fifo(output_ / "README.md"));
  fs::remove(output_ / "README.md");
  output_.Write("README.md/mine", "1");
  EXPECT_FALSE(Update("a").ok());
  EXPECT_EQ(ReadFile(output_ / "README.md/mine"), "1");
}

// A link may lead to the card of another output.
TEST_F(DatasetCard, ReplacesALinkAndNotWhereItLeads) {
  Publish("a");
  ASSERT_TRUE(Writes("a"));
  const std::string card = Card();
  fs::rename(output_ / "README.md", output_ / "other");
  fs::create_symlink("other", output_ / "README.md");
  Publish("b");
  ASSERT_TRUE(Writes("b"));
  EXPECT_EQ(ReadFile(output_ / "other"), card);
  EXPECT_TRUE(Says("features_b"));
  EXPECT_FALSE(fs::is_symlink(output_ / "README.md"));
}

TEST_F(DatasetCard, ARunThatCannotBeReadLeavesTheCardAsItWas) {
  Publish("a");
  ASSERT_TRUE(Writes("a"));
  const std::string card = Card();
  for (const char* model : {"", "[]", "{}", R"({"original_dimensions": "1280"})"}) {
    Publish("b", 0, model);
    EXPECT_TRUE(Update("b").status().IsInvalid()) << model;
    EXPECT_EQ(Card(), card);
  }
}

// A run_info and a model_info may be anybody's.
TEST_F(DatasetCard, StrangeWordsStayWords) {
  std::string model = kModel;
  model.replace(model.find("rgb-bicubic"), 11, R"(x`\n---\n# Owned <script>\u001b[2J\u202e)");
  Publish("a", 1, model);
  ASSERT_TRUE(Writes("a"));
  EXPECT_TRUE(
      Says("- preprocessing: `x?"
           "?---?# Owned <script>?[2J?"
           "?"
           "?`\n"))
      << Card();
}

}  // namespace
}  // namespace pomona
