#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "fakes.h"
#include "pomona/run.h"
#include "published.h"
#include "temp_folder.h"

namespace pomona {
namespace {

class GivenPcaTest : public testing::Test {
 protected:
  GivenPcaTest() {
    source_.AddTwentyImages();
    options_.run_id = "first";
    options_.pca_components = 3;
    options_.threads = 2;
    options_.fragment_items = 8;
    options_.part_rows = 16;
  }

  arrow::Result<RunSummary> Run() {
    return pomona::Run(source_, FakeEngine::Factory(), model_, "/tree", output_.path(), options_,
                       hooks_);
  }

  // The model of a run that was published.
  std::string Model(const std::string& id) {
    return output_ / ("model_info/pca_model_" + id + "/part-00000.safetensors");
  }

  // Options of a run by that model.
  void Give(const std::string& id, const std::string& by) {
    options_ = RunOptions();
    options_.run_id = id;
    options_.pca = by;
    options_.threads = 1;
    options_.fragment_items = 8;
    options_.part_rows = 16;
  }

  std::string Error() { return Run().status().message(); }

  MemorySource source_;
  const TempFolder output_;
  ModelIdentity model_{"digest", false, 1.0};
  RunOptions options_;
  RunHooks hooks_;
};

TEST_F(GivenPcaTest, GivesTheProjectionsOfTheRunThatFittedIt) {
  options_.center = true;
  ASSERT_TRUE(Run().ok());
  Give("second", Model("first"));
  const auto summary = Run();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->components, 3);
  EXPECT_EQ(summary->given_pca, Pca::Load(Model("first"))->Digest());
  for (const std::string path :
       {"pca/parquet/pca_*/part-00000.parquet", "pca/csv/pca_*/part-00001.csv",
        "model_info/pca_model_*/part-00000.safetensors", "model_info/variance_*/part-00000.csv",
        "model_info/pca_onnx_*/part-00000.onnx"}) {
    const size_t star = path.find('*');
    const auto of = [&](const char* id) {
      return ReadFile(output_ / (path.substr(0, star) + id + path.substr(star + 1)));
    };
    EXPECT_FALSE(of("first").empty()) << path;
    EXPECT_EQ(of("first"), of("second")) << path;
  }
}

TEST_F(GivenPcaTest, TakesFewerImagesThanComponents) {
  ASSERT_TRUE(Run().ok());
  source_.files = {{"a/0.png", PngOf(1, 2, 3)}};
  Give("second", Model("first"));
  const auto summary = Run();
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->counts.rows, 1);
  source_.files.clear();
  options_.run_id = "third";
  EXPECT_EQ(Error(), "no files under /tree");
}

TEST_F(GivenPcaTest, RefusesWhatAnotherWouldBe) {
  ASSERT_TRUE(Run().ok());
  Give("second", Model("first"));
  options_.center = true;
  options_.pca_components = 2;
  EXPECT_EQ(Error(), Model("first") +
                         ": is a PCA of 3 components, not centered, not standardized; leave out "
                         "--pca-components 2, --center");
  options_.center = false;
  options_.pca_components = 50;  // said, though it is the default
  options_.components_given = true;
  EXPECT_NE(Error().find("leave out --pca-components 50"), std::string::npos) << Error();
  options_.pca_components = 3;
  EXPECT_TRUE(Run().ok());
}

TEST_F(GivenPcaTest, RefusesOneOfOtherFeatures) {
  ASSERT_TRUE(Run().ok());
  Give("second", Model("first"));
  model_.digest = "another";
  const std::string error = Error();
  EXPECT_NE(error.find("of the weights digest and the preprocessing rgb-"), std::string::npos)
      << error;
  EXPECT_NE(error.find("this run are of the weights another"), std::string::npos) << error;
  model_.digest = "digest";
  options_.decode = DecodeMode::kScaled;
  EXPECT_NE(Error().find("jpegscaled"), std::string::npos) << Error();
  options_.decode = DecodeMode::kExact;
  model_.preprocessing = FindPreprocessing("timm");
  EXPECT_NE(Error().find("bicubic256-crop224"), std::string::npos) << Error();
}

// What says nothing of its features is taken, and a line says so.
TEST_F(GivenPcaTest, TrustsOneOfUnknownFeatures) {
  const auto save = [&](int dimensions) {
    Moments moments(dimensions);
    for (int i = 0; i < 9; ++i) {
      std::vector<float> row(static_cast<size_t>(dimensions));
      for (size_t d = 0; d < row.size(); ++d) row[d] = static_cast<float>((i * (d + 3)) % 7);
      moments.Add(row);
    }
    const std::string path = output_ / ("pca" + std::to_string(dimensions));
    EXPECT_TRUE(Pca::Fit(moments, {.components = 2})->Save(path).ok());
    return path;
  };
  std::string heard;
  hooks_.log = [&](const std::string& line) { heard += line; };
  Give("r", save(FakeEngine::kFeatures));
  ASSERT_TRUE(Run().ok());
  EXPECT_NE(heard.find("taken on trust"), std::string::npos) << heard;
  Give("s", save(4));
  EXPECT_EQ(Error(), options_.pca + ": is a PCA of 4 features; this run has 6");
}

TEST_F(GivenPcaTest, SaysWhatIsWrongWithAFile) {
  Give("r", output_ / "none");
  EXPECT_NE(Error().find("none"), std::string::npos);
  output_.Write("text", "no");
  Give("r", output_ / "text");
  EXPECT_EQ(Error(), output_ / "text" + ": too short for a safetensors file");
}

}  // namespace
}  // namespace pomona
