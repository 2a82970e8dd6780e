#include "store/run_files.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "temp_folder.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;
using std::chrono::hours;

// A run whose run_info was complete so many hours from now.
void Publish(const TempFolder& output, const std::string& id, int age) {
  output.Write("features/csv/features_" + id + "/part-00000.csv", "12345");
  output.Write("features/csv/features_" + id + "/_SUCCESS", "");
  const std::string success = "run_info/run_info_" + id + "/_SUCCESS";
  output.Write(success, "");
  fs::last_write_time(output / success, fs::file_time_type::clock::now() - hours(age));
}

TEST(FindRuns, GivesThemNewestFirstWithTheirSizes) {
  const TempFolder output;
  Publish(output, "old", 2);
  Publish(output, "new", 1);
  Publish(output, "new_2", 3);
  output.Write("model_info/variance_new/part-00000.csv", "123");
  output.Write("model_info/model_info_new/part-00000.json", "12");
  output.Write("model_info/spark_pca_new/data/part-00000.parquet", "1");
  output.Write("model_info/spark_pca_new/more/part-00000.parquet",
               "1");  // which is no folder of it
  output.Write("errors/parquet/errors_new/part-00000.parquet", "12");
  output.Write("errors/parquet/errors_new/more/part-00000.parquet", "1");
  output.Write("errors/errors_half/part-00000.csv", "1");  // of a run that is half removed
  output.Write("errors/errors_a b/part-00000.csv", "1");   // no run can be called so
  output.Write("errors/notes.txt", "1");
  output.Write("other/features_x/part-00000.csv", "1");
  output.Write("_pomona/publish/errors/errors_x/part-00000.csv", "1");
  const auto runs = *FindRuns(PublishedFiles(output.path()));
  ASSERT_EQ(runs.size(), 4u);
  EXPECT_EQ(runs[0].run_id, "new");
  EXPECT_EQ(runs[0].files, 7);
  EXPECT_EQ(runs[0].bytes, 13);
  EXPECT_EQ(runs[1].run_id, "old");
  EXPECT_EQ(runs[1].files, 3);
  EXPECT_EQ(runs[2].run_id, "new_2");
  EXPECT_GT(*runs[1].published_ns, *runs[2].published_ns);
  EXPECT_EQ(runs[3].run_id, "half");
  EXPECT_FALSE(runs[3].published_ns);
}

TEST(FindRun, GivesWhatTheListGives) {
  const TempFolder output;
  Publish(output, "a", 1);
  Publish(output, "a_b", 1);
  const PublishedFiles files(output.path());
  for (const PublishedRun& run : *FindRuns(files)) {
    const PublishedRun found = *FindRun(files, run.run_id);
    EXPECT_EQ(found.run_id, run.run_id);
    EXPECT_EQ(found.published_ns, run.published_ns);
    EXPECT_EQ(found.files, run.files);
    EXPECT_EQ(found.bytes, run.bytes);
  }
  EXPECT_EQ(FindRun(files, "none")->files, 0);
  EXPECT_TRUE(FindRun(files, "../a").status().IsInvalid());
}

TEST(FindRun, KnowsARunsOwnFiles) {
  const TempFolder output;
  const PublishedFiles files(output.path());
  const auto stranger = [&] {
    std::string found;
    EXPECT_TRUE(FindRun(files, "a", &found).ok());
    return found;
  };
  Publish(output, "a", 1);
  output.Write("run_info/run_info_a/_SHA256SUMS", "");
  output.Write("run_info/run_info_a/_items-part-00000.safetensors", "");
  output.Write("pca/parquet/pca_a/part-00000-0f-c000.zstd.parquet", "");  // Spark's
  output.Write("pca/parquet/pca_a/.nfs0001", "");
  output.Write("report/report_a/report.html", "");
  output.Write("model_info/spark_pca_a/metadata/part-00000.txt", "");
  output.Write("model_info/spark_pca_a/data/_SUCCESS", "");
  EXPECT_EQ(stranger(), "");
  for (const std::string name : {"errors/errors_a/notes.txt", "pca/csv/pca_a/_mine"}) {
    output.Write(name, "");
    EXPECT_EQ(stranger(), name);
    fs::remove(output / name);
  }
  output.Write("errors/errors_a/part-1/x", "");
  EXPECT_EQ(stranger(), "errors/errors_a/part-1");
  fs::remove_all(output / "errors/errors_a");
  output.Write("model_info/spark_pca_a/data/part-1/x", "");
  EXPECT_EQ(stranger(), "model_info/spark_pca_a/data/part-1");
  fs::remove_all(output / "model_info/spark_pca_a/data");
  output.Write("model_info/spark_pca_a/part-1/x", "");
  EXPECT_EQ(stranger(), "model_info/spark_pca_a/part-1");
}

}  // namespace
}  // namespace pomona
