#include "pomona/index.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

#include "fakes.h"
#include "kernels.h"
#include "pomona/run.h"
#include "published.h"
#include "reduce/random_rows.h"
#include "temp_folder.h"

namespace pomona {
namespace {

constexpr size_t kWidth = FakeEngine::kFeatures;

class IndexTest : public testing::Test {
 protected:
  IndexTest() {
    run_.run_id = "r";
    run_.pca_components = 3;
    run_.threads = 2;
    run_.fragment_items = 64;
    run_.part_rows = 64;
    // More than two tiles; many are equal, and one is black: its features are all zero.
    for (int i = 0; i < 250; ++i) {
      const int colour = i % 9 == 4 ? 4 : i;
      files_.push_back("b/" + std::to_string(i) + ".png");
      source_.files[files_.back()] =
          PngOf(static_cast<uint8_t>(colour * 7), static_cast<uint8_t>(255 - colour * colour % 200),
                static_cast<uint8_t>(colour * 37));
    }
    source_.files["a/black.png"] = PngOf(0, 0, 0);
    files_.push_back("a/black.png");
    std::ranges::sort(files_);
  }

  void RunIt() {
    const auto summary = pomona::Run(source_, FakeEngine::Factory(), {"digest", false, 1.0},
                                     "/tree", output_.path(), run_);
    ASSERT_TRUE(summary.ok()) << summary.status();
  }

  // What the engine gives for a file: published, and in path order.
  std::vector<float> Features() const {
    std::vector<float> rows;
    FakeEngine engine;
    const auto worker = *engine.NewWorker();
    for (const std::string& file : files_) {
      const int colour = [&] {
        const int i = file == "a/black.png" ? 0 : std::stoi(file.substr(2));
        return i % 9 == 4 ? 4 : i;
      }();
      std::vector<uint8_t> picture(kPictureBytes);
      if (file != "a/black.png") {
        picture[0] = static_cast<uint8_t>(colour * 7);
        picture[1] = static_cast<uint8_t>(255 - colour * colour % 200);
        picture[2] = static_cast<uint8_t>(colour * 37);
      }
      rows.resize(rows.size() + kWidth);
      EXPECT_TRUE(worker->Infer(picture, std::span(rows).last(kWidth)).ok());
    }
    return rows;
  }

  MemorySource source_;
  RunOptions run_;
  std::vector<std::string> files_;
  const TempFolder output_;
};

double DistanceOf(const float* a, const float* b) {
  const double squares = audit::Dot(a, a, kWidth) * audit::Dot(b, b, kWidth);
  return std::max(0.0, 1 - audit::Cosine(a, b, kWidth, squares, Cpu::kBest));
}

std::vector<Neighbour> EachWithEach(const std::vector<float>& queries,
                                    const std::vector<float>& rows, size_t count) {
  std::vector<Neighbour> found;
  for (size_t q = 0; q < queries.size(); q += kWidth) {
    std::vector<Neighbour> all;
    for (uint32_t row = 0; row < rows.size() / kWidth; ++row) {
      all.push_back({row, DistanceOf(&queries[q], &rows[row * kWidth])});
    }
    std::ranges::sort(all, {}, [](const Neighbour& n) { return std::tie(n.distance, n.row); });
    all.resize(std::min(count, all.size()));
    found.insert(found.end(), all.begin(), all.end());
  }
  return found;
}

TEST_F(IndexTest, FindsWhatComparingEachWithEachFinds) {
  RunIt();
  const std::vector<float> rows = Features();
  std::vector<float> queries = RandomRows(130, kWidth, 3);
  for (size_t i = 0; i < queries.size(); i += 3) queries[i] -= 0.7F;  // also away from all
  queries.insert(queries.end(), kWidth, 0.0F);
  queries.insert(queries.end(), rows.begin(), rows.end());
  for (const int threads : {1, 3}) {
    for (const Cpu cpu : {Cpu::kBest, Cpu::kScalar}) {
      const auto index = *Index::Open(output_.path(), {"r", threads, cpu, {}});
      EXPECT_EQ(index->size(), files_.size());
      EXPECT_EQ(index->dimensions(), FakeEngine::kFeatures);
      for (const int count : {1, 7, 60, 1000}) {
        EXPECT_EQ(*index->Search(queries, count),
                  EachWithEach(queries, rows, static_cast<size_t>(count)));
      }
      EXPECT_TRUE(index->Search({}, 5)->empty());
    }
  }
}

TEST_F(IndexTest, OfAPublishedImageItIsNoneItself) {
  RunIt();
  const auto index = *Index::Open(output_.path(), {});
  const std::vector<float> rows = Features();
  for (uint32_t row = 0; row < index->size(); ++row) {
    const std::vector<float> query(&rows[row * kWidth], &rows[row * kWidth] + kWidth);
    for (const size_t count : {size_t{1}, size_t{5}, size_t{1000}}) {
      auto expected = EachWithEach(query, rows, rows.size());
      std::erase_if(expected, [&](const Neighbour& near) { return near.row == row; });
      expected.resize(std::min(count, expected.size()));
      ASSERT_EQ(*index->SearchOthers(row, static_cast<int>(count)), expected) << row;
    }
  }
}

TEST_F(IndexTest, KnowsItsImages) {
  RunIt();
  const auto index = *Index::Open(output_.path(), {});
  EXPECT_EQ(index->run_id(), "r");
  EXPECT_EQ(index->origin().weights_digest, "digest");
  EXPECT_EQ(index->origin().preprocessing, kKerasPreprocessing.RecordedName(DecodeMode::kExact));
  for (uint32_t row = 0; row < index->size(); ++row) {
    EXPECT_EQ(index->path(row), "/tree/" + files_[row]);
    EXPECT_EQ(index->label(row), files_[row].substr(0, 1));
    EXPECT_EQ(index->Find(index->path(row)), row);
  }
  for (const char* none : {"", "/tree/a", "/tree/b/9.pn", "/tree/c", "\xff"}) {
    EXPECT_EQ(index->Find(none), std::nullopt) << none;
  }
}

// It is opened once, and the run may go.
TEST_F(IndexTest, LeavesNothingBehind) {
  RunIt();
  const TempFolder temporary;
  const auto before = Published(output_.path());
  setenv("TMPDIR", temporary.path().c_str(), 1);
  const auto index = *Index::Open(output_.path(), {});
  unsetenv("TMPDIR");
  EXPECT_EQ(Published(output_.path()), before);
  EXPECT_TRUE(std::filesystem::is_empty(temporary.path()));
  std::filesystem::remove_all(output_ / "features");
  EXPECT_EQ(index->SearchOthers(3, 2)->size(), 2u);
}

TEST_F(IndexTest, RefusesWhatCannotWork) {
  const auto nothing = Index::Open(output_.path(), {}).status();
  EXPECT_NE(nothing.message().find("no run is published in"), std::string::npos) << nothing;
  RunIt();
  EXPECT_TRUE(Index::Open(output_.path(), {"other", 1, Cpu::kBest, {}}).status().IsInvalid());
  const auto index = *Index::Open(output_.path(), {});
  std::vector<float> query(kWidth, 0.5F);
  EXPECT_TRUE(index->Search(query, 0).status().IsInvalid());
  EXPECT_TRUE(index->SearchOthers(0, 0).status().IsInvalid());
  EXPECT_TRUE(index->Search(std::span(query).first(kWidth - 1), 1).status().IsInvalid());
  query.insert(query.end(), kWidth, std::numeric_limits<float>::quiet_NaN());
  EXPECT_NE(index->Search(query, 1).status().message().find("row 1"), std::string::npos);
  const std::atomic<bool> cancelled = true;
  const AuditHooks hooks = {{}, CancelToken(&cancelled)};
  EXPECT_TRUE(Index::Open(output_.path(), {}, hooks).status().IsCancelled());
  EXPECT_TRUE(index->Search(std::vector<float>(kWidth), 1, hooks).status().IsCancelled());

  const std::string part = "features/parquet/features_r/part-00001.parquet";
  const std::string bytes = ReadFile(output_ / part);
  output_.Write(part, bytes.substr(0, bytes.size() / 2));
  EXPECT_NE(Index::Open(output_.path(), {}).status().message().find(part), std::string::npos);
  output_.Write("model_info/model_info_r/part-00000.json", "{}");
  // Which weights pictures take is not asked of what anybody may have changed.
  EXPECT_NE(Index::Open(output_.path(), {})
                .status()
                .message()
                .find("model_info_r/part-00000.json: its checksum is wrong"),
            std::string::npos);
}

}  // namespace
}  // namespace pomona
