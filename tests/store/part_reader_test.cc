#include "store/part_reader.h"

#include <gtest/gtest.h>

#include "temp_folder.h"

namespace pomona {
namespace {

TEST(CsvPart, ReadsWhatTheSinksWrite) {
  const TempFolder folder;
  folder.Write("part.csv",
               "path,label,features_string\n\"/a,\n\"\"\",,\"1,-2.5e-38\"\n/b,c,\"0,3\"\n");
  const auto part = OpenCsvPart(PublishedFiles(folder.path()), "part.csv", 2);
  ASSERT_TRUE(part.ok()) << part.status();
  RowBlock block;
  ASSERT_TRUE((*part)->Read(&block).ok());
  EXPECT_EQ(block.paths, (std::vector<std::string>{"/a,\n\"", "/b"}));
  EXPECT_EQ(block.labels, (std::vector<std::string>{"", "c"}));
  EXPECT_EQ(block.floats, (std::vector<float>{1, -2.5e-38f, 0, 3}));
  ASSERT_TRUE((*part)->Read(&block).ok());
  EXPECT_EQ(block.rows(), 0u);
}

TEST(CsvPart, RefusesOtherColumns) {
  const TempFolder folder;
  const auto refusal = [&](const std::string& text) {
    folder.Write("part.csv", text);
    const auto part = OpenCsvPart(PublishedFiles(folder.path()), "part.csv", 0);
    RowBlock block;
    const arrow::Status status = part.ok() ? (*part)->Read(&block) : part.status();
    EXPECT_TRUE(status.message().starts_with(folder / "part.csv: ")) << status;
    return status.message().substr((folder / "part.csv: ").size());
  };
  EXPECT_EQ(refusal("path,number\n/a,1\n"), "other columns");
  EXPECT_EQ(refusal("path\n/a\n"), "a wrong number of columns");
  EXPECT_EQ(refusal(""), "no header");
  EXPECT_NE(refusal("path,label\n/a\n").find("Expected 2 columns, got 1"), std::string::npos);
  EXPECT_NE(refusal("path,label\n/a,b,c\n").find("Expected 2 columns, got 3"), std::string::npos);
}

// Rows are cut by the blocks in which a file is read, anywhere: in quotes and between the two of "".
TEST(CsvPart, RowsAcrossBlocks) {
  const TempFolder folder;
  std::string text = "path,label\n";
  std::vector<std::string> paths;
  for (int i = 0; text.size() < (size_t{5} << 20) / 2; ++i) {
    const std::string quotes(static_cast<size_t>(i) % 1000, '"');
    paths.push_back("/" + quotes + "\n," + std::to_string(i));
    text += "\"/" + quotes + quotes + "\n," + std::to_string(i) + "\",b\n";
  }
  text.pop_back();  // the last line has no end
  folder.Write("part.csv", text);
  const auto part = OpenCsvPart(PublishedFiles(folder.path()), "part.csv", 0);
  ASSERT_TRUE(part.ok()) << part.status();
  std::vector<std::string> read;
  for (RowBlock block;;) {
    const arrow::Status status = (*part)->Read(&block);
    ASSERT_TRUE(status.ok()) << status;
    if (block.rows() == 0) break;
    read.insert(read.end(), block.paths.begin(), block.paths.end());
  }
  EXPECT_TRUE(read == paths) << read.size() << " rows of " << paths.size();
  EXPECT_EQ(*CountCsvRows(PublishedFiles(folder.path()), "part.csv"), std::ssize(paths));
}

// More of them than the parser takes at once.
TEST(CsvPart, ShortRows) {
  const TempFolder folder;
  std::string text = "path,label\n";
  for (int i = 0; i < 700'000; ++i) text += "a,b\n";
  folder.Write("part.csv", text);
  EXPECT_EQ(*CountCsvRows(PublishedFiles(folder.path()), "part.csv"), 700'000);
}

TEST(CsvPart, RefusesARowWithoutAnEnd) {
  const TempFolder folder;
  folder.Write("part.csv", "path,label\n\"" + std::string(3 << 20, 'a'));
  const auto rows = CountCsvRows(PublishedFiles(folder.path()), "part.csv");
  EXPECT_EQ(rows.status().message(), folder / "part.csv: a row without an end");
}

}  // namespace
}  // namespace pomona
