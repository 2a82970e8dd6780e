#include <gtest/gtest.h>

#include "pomona/source.h"

namespace pomona {
namespace {

std::vector<Item> Tree(const std::vector<std::string>& relative_paths) {
  std::vector<Item> items;
  for (const std::string& path : relative_paths) items.push_back({"/in/" + path, 4, 0, 0});
  return items;
}

std::vector<std::string> Selected(const std::vector<std::string>& tree, const RunOptions& options) {
  std::vector<std::string> paths;
  for (const Item& item : Select(Tree(tree), options)) paths.emplace_back(item.relative_path());
  return paths;
}

using Paths = std::vector<std::string>;
const Paths kTree = {"Apple Red/1.jpg", "Apple Red/2.png", "Lemon/1.jpg", "Pineapple/1.jpg"};

TEST(Select, ModesAreTheOriginals) {
  RunOptions options;
  EXPECT_EQ(Selected(kTree, options), kTree);
  options.mode = Mode::kApples;
  EXPECT_EQ(Selected(kTree, options), (Paths{"Apple Red/1.jpg", "Apple Red/2.png"}));
  options.mode = Mode::kMini;
  EXPECT_EQ(Selected(kTree, options), (Paths{"Apple Red/1.jpg", "Apple Red/2.png"}));
  EXPECT_EQ(Selected({"Lemon/1.jpg", "Pear/1.jpg"}, options), (Paths{"Lemon/1.jpg", "Pear/1.jpg"}));
}

TEST(Select, MiniIsTheFirst300) {
  Paths tree;
  for (int i = 1000; i < 1400; ++i) tree.push_back("Apple/" + std::to_string(i) + ".jpg");
  RunOptions options;
  options.mode = Mode::kMini;
  const Paths selected = Selected(tree, options);
  ASSERT_EQ(selected.size(), 300u);
  EXPECT_EQ(selected.back(), "Apple/1299.jpg");
}

TEST(Select, GlobsMatchThePathBelowTheRootAcrossFolders) {
  RunOptions options;
  options.include = {"*.png", "Lem?n/*"};
  EXPECT_EQ(Selected(kTree, options), (Paths{"Apple Red/2.png", "Lemon/1.jpg"}));
  options.exclude = {"Lemon/*"};
  EXPECT_EQ(Selected(kTree, options), (Paths{"Apple Red/2.png"}));
  options.include = {};
  EXPECT_EQ(Selected(kTree, options),
            (Paths{"Apple Red/1.jpg", "Apple Red/2.png", "Pineapple/1.jpg"}));
}

TEST(Select, LimitComesLast) {
  RunOptions options;
  options.exclude = {"Apple*"};
  options.limit = 1;
  EXPECT_EQ(Selected(kTree, options), Paths{"Lemon/1.jpg"});
}

}  // namespace
}  // namespace pomona
