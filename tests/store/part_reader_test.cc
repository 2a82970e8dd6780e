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
  folder.Write("part.csv", "path,number\n/a,1\n");  // which reads as integers
  const auto part = OpenCsvPart(PublishedFiles(folder.path()), "part.csv", 0);
  ASSERT_TRUE(part.ok()) << part.status();
  RowBlock block;
  const arrow::Status status = (*part)->Read(&block);
  EXPECT_TRUE(status.message().starts_with(folder / "part.csv: ")) << status;
}

}  // namespace
}  // namespace pomona
