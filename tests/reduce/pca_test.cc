#include "pomona/pca.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <gtest/gtest.h>
#include <parquet/arrow/reader.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "pomona/safetensors.h"
#include "reduce/random_rows.h"

namespace pomona {
namespace {

Moments MomentsOf(std::span<const float> rows, int dimensions) {
  Moments moments(dimensions);
  moments.Add(rows);
  return moments;
}

Pca FitTo(const Moments& moments, const PcaOptions& options) {
  return Pca::Fit(moments, options).ValueOrDie();
}

std::vector<double> ToVector(std::span<const double> values) {
  return {values.begin(), values.end()};
}

std::vector<double> ProjectAll(const Pca& pca, std::span<const float> rows) {
  std::vector<double> out(rows.size() / pca.dimensions() * pca.components());
  pca.Project(rows, out);
  return out;
}

std::string FitError(const Moments& moments, int components) {
  return Pca::Fit(moments, {.components = components}).status().message();
}

void ExpectNear(std::span<const double> actual, const std::vector<double>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(actual[i], expected[i], 1e-14) << i;
}

void ExpectOrthonormal(const Pca& pca) {
  const int dimensions = pca.dimensions();
  for (int a = 0; a < pca.components(); ++a) {
    for (int b = 0; b <= a; ++b) {
      const double* first = &pca.basis()[size_t(a) * dimensions];
      const double* second = &pca.basis()[size_t(b) * dimensions];
      EXPECT_NEAR(std::inner_product(first, first + dimensions, second, 0.0), a == b, 1e-12);
    }
  }
}

// Four points of a rhombus about (1, 2), longer along (3, 4) than along (4, -3).
const std::vector<float> kRhombus = {7, 10, -5, -6, 5, -1, -3, 5};

TEST(PcaTest, SmallExample) {
  const Pca pca = FitTo(MomentsOf(kRhombus, 2), {.components = 2});
  EXPECT_EQ(pca.rows(), 4);
  ExpectNear(pca.mean(), {1, 2});
  ExpectNear(pca.basis(), {0.6, 0.8, 0.8, -0.6});  // the larger entry is positive
  EXPECT_DOUBLE_EQ(pca.variance()[0], 200.0 / 3);
  EXPECT_DOUBLE_EQ(pca.variance()[1], 50.0 / 3);
  EXPECT_DOUBLE_EQ(pca.total_variance(), 250.0 / 3);
  ExpectNear(pca.ExplainedVarianceRatio(), {0.8, 0.2});
  EXPECT_TRUE(pca.scale().empty());
}

TEST(PcaTest, ProjectionKeepsTheMean) {
  const Pca pca = FitTo(MomentsOf(kRhombus, 2), {.components = 2});
  const double x = 0.6 * 1 + 0.8 * 2, y = 0.8 * 1 - 0.6 * 2;
  ExpectNear(ProjectAll(pca, kRhombus), {x + 10, y, x - 10, y, x, y + 5, x, y - 5});
}

TEST(PcaTest, CenterSubtractsTheMean) {
  const Pca pca = FitTo(MomentsOf(kRhombus, 2), {.components = 2, .center = true});
  ExpectNear(ProjectAll(pca, kRhombus), {10, 0, -10, 0, 0, 5, 0, -5});
}

TEST(PcaTest, StandardizeUsesCorrelation) {
  // Standard deviations 1 and 10, correlation 0.5; the third feature never varies.
  const std::vector<float> rows = {1, 0, 7, -1, -10, 7, 0, 10, 7};
  const double half = std::sqrt(0.5);
  const Pca pca = FitTo(MomentsOf(rows, 3), {.components = 3, .standardize = true});
  ExpectNear(pca.scale(), {1, 10, 1});
  EXPECT_DOUBLE_EQ(pca.total_variance(), 2);
  ExpectNear(pca.variance(), {1.5, 0.5, 0});
  ExpectNear(pca.basis().first(3), {half, half, 0});
  ExpectNear(pca.basis().last(3), {0, 0, 1});
  const std::vector<double> projected = ProjectAll(pca, rows);
  ExpectNear(std::span(projected).first(3), {half, half, 7});

  const Pca centered =
      FitTo(MomentsOf(rows, 3), {.components = 1, .center = true, .standardize = true});
  ExpectNear(ProjectAll(centered, rows), {half, -2 * half, half});
}

TEST(PcaTest, ErrorsSayWhatToDo) {
  EXPECT_EQ(FitError(MomentsOf(RandomRows(12, 60, 1), 60), 50),
            "PCA needs at least as many images as components: 12 images, 50 components; "
            "use --pca-components");
  EXPECT_EQ(FitError(MomentsOf(RandomRows(1, 60, 1), 60), 50),
            "PCA needs at least two images: 1 image");
  EXPECT_EQ(FitError(Moments(60), 1), "PCA needs at least two images: 0 images");
  for (const int components : {-1, 0, 61}) {
    EXPECT_EQ(FitError(MomentsOf(RandomRows(100, 60, 1), 60), components),
              "PCA of 60 features has 1 to 60 components, not " + std::to_string(components) +
                  "; use --pca-components");
  }
}

TEST(PcaTest, TwoRowsHaveOneDirection) {
  const std::vector<float> rows = {1, 1, 1, 4, 5, 1};
  const Pca pca = FitTo(MomentsOf(rows, 3), {.components = 2});
  ExpectNear(pca.variance(), {12.5, 0});
  ExpectNear(pca.basis().first(3), {0.6, 0.8, 0});
  ExpectOrthonormal(pca);
}

TEST(PcaTest, ConstantFeaturesHaveNoVariance) {
  for (const bool standardize : {false, true}) {
    const std::vector<float> rows(30 * 40, 0.1f);
    const Pca pca = FitTo(MomentsOf(rows, 40), {.components = 10, .standardize = standardize});
    EXPECT_EQ(ToVector(pca.variance()), std::vector<double>(10, 0));
    EXPECT_EQ(pca.ExplainedVarianceRatio(), std::vector<double>(10, 0));
    EXPECT_EQ(pca.total_variance(), 0);
    ExpectOrthonormal(pca);
  }
}

TEST(PcaTest, FewerRowsThanDimensions) {
  const std::vector<float> rows = RandomRows(20, 130, 1);
  const Pca pca = FitTo(MomentsOf(rows, 130), {.components = 20});
  ExpectOrthonormal(pca);
  // Twenty rows span nineteen directions about their mean, and those hold all the variance.
  EXPECT_GT(pca.variance()[18], 1e-8);
  EXPECT_NEAR(pca.variance()[19], 0, 1e-16);
  EXPECT_NEAR(std::accumulate(pca.variance().begin(), pca.variance().end(), 0.0),
              pca.total_variance(), 1e-14);
}

TEST(PcaTest, DuplicatedColumns) {
  std::vector<float> rows = RandomRows(500, 120, 1);
  for (size_t i = 0; i < rows.size(); ++i) {
    if (i % 120 >= 60) rows[i] = rows[i - 60];
  }
  const Pca pca = FitTo(MomentsOf(rows, 120), {.components = 120});
  ExpectOrthonormal(pca);
  for (int c = 60; c < 120; ++c) EXPECT_NEAR(pca.variance()[c], 0, 1e-16);
  for (int j = 0; j < 60; ++j) EXPECT_NEAR(pca.basis()[j], pca.basis()[60 + j], 1e-13);
}

TEST(PcaTest, AllDimensionsRebuildTheRows) {
  const int dimensions = 1280;
  const std::vector<float> rows = RandomRows(1500, dimensions, 1);
  const Moments moments = MomentsOf(rows, dimensions);
  const Pca pca = FitTo(moments, {.components = dimensions});
  EXPECT_NEAR(std::accumulate(pca.variance().begin(), pca.variance().end(), 0.0),
              pca.total_variance(), 1e-12 * pca.total_variance());
  const std::span<const float> some = std::span(rows).first(3 * dimensions);
  const std::vector<double> projected = ProjectAll(pca, some);
  for (size_t i = 0; i < some.size(); ++i) {
    double value = 0;
    for (int c = 0; c < dimensions; ++c) {
      value += projected[i / dimensions * dimensions + c] *
               pca.basis()[size_t(c) * dimensions + i % dimensions];
    }
    ASSERT_NEAR(value, some[i], 1e-11);
  }

  // The few components of the usual case are the first of all.
  const Pca few = FitTo(moments, {.components = 50});
  for (int c = 0; c < 50; ++c) {
    EXPECT_NEAR(few.variance()[c], pca.variance()[c], 1e-13 * pca.variance()[0]);
  }
}

TEST(PcaTest, ProjectionOfARowDoesNotDependOnItsCompany) {
  const int dimensions = 70;
  const std::vector<float> rows = RandomRows(101, dimensions, 1);
  const Pca pca = FitTo(MomentsOf(rows, dimensions), {.components = 50});
  const std::vector<double> together = ProjectAll(pca, rows);
  for (size_t r = 0; r < 101; ++r) {
    const std::vector<double> alone =
        ProjectAll(pca, std::span(rows).subspan(r * dimensions, dimensions));
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + r * 50)) << r;
  }
}

class PcaFileTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  std::string LoadError() { return Pca::Load(path_).status().message(); }

  std::string path_ = testing::TempDir() + "pca_test_" +
                      testing::UnitTest::GetInstance()->current_test_info()->name() +
                      ".safetensors";
};

TEST_F(PcaFileTest, LoadGivesWhatWasSaved) {
  const Moments moments = MomentsOf(RandomRows(100, 70, 1), 70);
  for (const bool standardize : {false, true}) {
    const Pca saved =
        FitTo(moments, {.components = 5, .center = !standardize, .standardize = standardize});
    ASSERT_TRUE(saved.Save(path_).ok());
    const arrow::Result<Pca> loaded = Pca::Load(path_);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->components(), 5);
    EXPECT_EQ(loaded->options().center, !standardize);
    EXPECT_EQ(loaded->options().standardize, standardize);
    EXPECT_EQ(loaded->rows(), 100);
    EXPECT_EQ(loaded->total_variance(), saved.total_variance());
    EXPECT_EQ(ToVector(loaded->mean()), ToVector(saved.mean()));
    EXPECT_EQ(ToVector(loaded->scale()), ToVector(saved.scale()));
    EXPECT_EQ(ToVector(loaded->basis()), ToVector(saved.basis()));
    EXPECT_EQ(ToVector(loaded->variance()), ToVector(saved.variance()));
  }
}

TEST_F(PcaFileTest, FileSaysWhatItHolds) {
  const Pca pca = FitTo(MomentsOf(kRhombus, 2), {.components = 1, .standardize = true});
  ASSERT_TRUE(pca.Save(path_).ok());
  const auto file = SafetensorsFile::Open(path_).ValueOrDie();
  EXPECT_EQ(file->metadata().at("kind"), "pomona-pca");
  EXPECT_EQ(file->metadata().at("rows"), "4");
  EXPECT_EQ(file->metadata().at("center"), "false");
  EXPECT_EQ(file->metadata().at("standardize"), "true");
  EXPECT_EQ(std::stod(file->metadata().at("total_variance")), pca.total_variance());
  EXPECT_EQ(file->tensors().size(), 5);
  EXPECT_EQ(file->tensors().at("components").shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(ToVector(file->tensors().at("explained_variance_ratio").values<double>()),
            pca.ExplainedVarianceRatio());
}

TEST_F(PcaFileTest, LoadRefusesOtherFiles) {
  const std::vector<double> two = {1, 2}, four = {1, 0, 0, 1};
  const auto write = [&](std::vector<int64_t> mean_shape,
                         std::map<std::string, std::string> metadata) {
    const NamedTensor mean = {"mean", {DType::kF64, mean_shape, std::as_bytes(std::span(two))}};
    const NamedTensor basis = {"components", {DType::kF64, {2, 2}, std::as_bytes(std::span(four))}};
    const NamedTensor variance = {"explained_variance",
                                  {DType::kF64, {2}, std::as_bytes(std::span(two))}};
    ASSERT_TRUE(WriteSafetensors(path_, {mean, basis, variance}, metadata).ok());
  };
  std::map<std::string, std::string> metadata = {{"kind", "pomona-pca"},
                                                 {"rows", "4"},
                                                 {"center", "false"},
                                                 {"standardize", "false"},
                                                 {"total_variance", "3"}};
  write({2}, metadata);
  EXPECT_TRUE(Pca::Load(path_).ok());

  write({2, 1}, metadata);
  EXPECT_EQ(LoadError(), path_ + ": tensor mean is not F64 of 1 dimension");

  metadata["standardize"] = "true";
  write({2}, metadata);
  EXPECT_NE(LoadError().find("scale"), std::string::npos);

  metadata["standardize"] = "perhaps";
  write({2}, metadata);
  EXPECT_EQ(LoadError(),
            path_ + ": the metadata lacks rows, center, standardize or total_variance");

  write({2}, {{"kind", "weights"}});
  EXPECT_EQ(LoadError(), path_ + ": is no PCA model (its metadata lacks kind pomona-pca)");

  std::filesystem::remove(path_);
  EXPECT_FALSE(Pca::Load(path_).ok());
}

// The rows of a list<float> or list<double> column, one after the other.
template <typename ArrayType, typename T>
std::vector<T> ReadVectors(const std::string& path, const std::string& column) {
  const auto input = arrow::io::ReadableFile::Open(path).ValueOrDie();
  const auto reader = parquet::arrow::OpenFile(input, arrow::default_memory_pool()).ValueOrDie();
  const std::shared_ptr<arrow::Table> table = reader->ReadTable().ValueOrDie();
  std::vector<T> values;
  for (const auto& chunk : table->GetColumnByName(column)->chunks()) {
    const auto flat = static_cast<const arrow::ListArray&>(*chunk).Flatten().ValueOrDie();
    const auto& array = static_cast<const ArrayType&>(*flat);
    values.insert(values.end(), array.raw_values(), array.raw_values() + array.length());
  }
  return values;
}

// The run of the original pipeline over 6,404 images of apples: Spark MLlib's PCA.
class OriginalRunTest : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("POMONA_TEST_DATA");
    if (folder) reference_ = std::filesystem::path(folder) / "reference";
    if (!folder || !std::filesystem::exists(reference_ / "apples_features.parquet")) {
      GTEST_SKIP() << "needs $POMONA_TEST_DATA/reference/apples_features.parquet";
    }
    features_ =
        ReadVectors<arrow::FloatArray, float>(reference_ / "apples_features.parquet", "features");
    ASSERT_EQ(features_.size(), 6404 * 1280);
  }

  std::filesystem::path reference_;
  std::vector<float> features_;
};

TEST_F(OriginalRunTest, ProjectionsAreMllibsUpToSign) {
  const std::vector<double> expected =
      ReadVectors<arrow::DoubleArray, double>(reference_ / "apples_pca.parquet", "pca_features");
  const std::vector<double> projected =
      ProjectAll(FitTo(MomentsOf(features_, 1280), {}), features_);
  ASSERT_EQ(projected.size(), expected.size());
  double difference = 0;
  for (size_t c = 0; c < 50; ++c) {
    const double sign = projected[c] * expected[c] < 0 ? -1 : 1;
    for (size_t i = c; i < expected.size(); i += 50) {
      difference = std::max(difference, std::abs(sign * projected[i] - expected[i]));
    }
  }
  RecordProperty("largest_difference", std::to_string(difference * 1e12) + "e-12");
  EXPECT_LE(difference, 1e-9);
}

TEST_F(OriginalRunTest, ExplainedVarianceIsMllibs) {
  const std::vector<double> ratio = FitTo(MomentsOf(features_, 1280), {}).ExplainedVarianceRatio();
  EXPECT_NEAR(std::accumulate(ratio.begin(), ratio.end(), 0.0), 0.8339713570325511, 1e-12);

  std::vector<double> expected;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(
           reference_ / "seed_output_sample" / "model_info")) {
    if (!entry.path().filename().string().starts_with("part-00011") ||
        entry.path().extension() != ".txt") {
      continue;
    }
    std::ifstream file(entry.path());
    expected = nlohmann::json::parse(file)["variance_by_component"].get<std::vector<double>>();
  }
  ASSERT_EQ(expected.size(), 50);
  for (size_t c = 0; c < 50; ++c) EXPECT_NEAR(ratio[c], expected[c], 1e-10) << c;
}

TEST_F(OriginalRunTest, MergedFragmentsAgree) {
  const Moments whole = MomentsOf(features_, 1280);
  const double largest = *std::max_element(whole.comoment().begin(), whole.comoment().end());
  for (const size_t fragments : {2, 7}) {
    const size_t fragment_rows = (6404 + fragments - 1) / fragments;
    Moments merged(1280);
    for (size_t first = 0; first < 6404; first += fragment_rows) {
      merged.Merge(MomentsOf(
          std::span(features_).subspan(first * 1280, std::min(fragment_rows, 6404 - first) * 1280),
          1280));
    }
    double difference = 0;
    for (size_t i = 0; i < whole.comoment().size(); ++i) {
      difference = std::max(difference, std::abs(merged.comoment()[i] - whole.comoment()[i]));
    }
    EXPECT_LE(difference, 1e-12 * largest) << fragments;
  }
}

}  // namespace
}  // namespace pomona
