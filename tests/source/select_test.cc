#include <gtest/gtest.h>

#include "pomona/source.h"

namespace pomona {
namespace {

std::vector<Item> Tree(const std::vector<std::string>& relative_paths) {
  std::vector<Item> items;
  for (const std::string& path : relative_paths) items.push_back({"/in/" + path, 4, 0, 0});
  return items;
}

// Hands over one item after another.
class ListedTree : public Source {
 public:
  explicit ListedTree(std::vector<Item> items) : items_(std::move(items)) {}

  const std::string& root() const override {
    static const std::string root = "/in";
    return root;
  }

  arrow::Status List(PathFilter*, const TakeItems& take) override {
    for (; listed < items_.size() && take({items_[listed]}); ++listed) {
    }
    return arrow::Status::OK();
  }
  arrow::Result<std::optional<Reject>> Read(const Item&, FileBytes*) override {
    return arrow::Status::NotImplemented("nothing is read here");
  }

  size_t listed = 0;  // before nothing more was wanted

 private:
  const std::vector<Item> items_;
};

std::vector<std::string> Selected(const std::vector<std::string>& tree, const RunOptions& options) {
  std::vector<std::string> paths;
  ListedTree source(Tree(tree));
  for (const Item& item : *ListAll(source, options)) paths.emplace_back(item.relative_path());
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

TEST(Select, ListsNoMoreThanIsWanted) {
  Paths tree = {"Ananas/1.jpg", "Ananas/2.jpg"};
  for (int i = 1000; i < 1400; ++i) tree.push_back("Apple/" + std::to_string(i) + ".jpg");
  RunOptions options;
  options.mode = Mode::kMini;
  ListedTree mini(Tree(tree));
  ASSERT_TRUE(ListAll(mini, options).ok());
  EXPECT_EQ(mini.listed, 2u + 299u);
  options = {};
  options.limit = 2;
  ListedTree limited(Tree(tree));
  ASSERT_TRUE(ListAll(limited, options).ok());
  EXPECT_EQ(limited.listed, 1u);
}

TEST(Select, LimitComesLast) {
  RunOptions options;
  options.mode = Mode::kApples;
  options.limit = 1;
  EXPECT_EQ(Selected({"Kiwi/1.jpg", "Apple/1.jpg", "Apple/2.jpg"}, options), Paths{"Apple/1.jpg"});
}

Paths Taken(PathFilter* filter, const Paths& tree) {
  Paths taken;
  for (const std::string& path : tree) {
    if (filter->TakesFile(path)) taken.push_back(path);
  }
  return taken;
}

TEST(PathFilter, TakesWhatOneIncludesAndNoneExcludes) {
  RunOptions options;
  options.include = {"*.png", "Lem?n/*"};
  PathFilter filter = *PathFilter::Make(options);
  EXPECT_EQ(Taken(&filter, kTree), (Paths{"Apple Red/2.png", "Lemon/1.jpg"}));
  options.exclude = {"Lemon/*"};
  filter = *PathFilter::Make(options);
  EXPECT_EQ(Taken(&filter, kTree), (Paths{"Apple Red/2.png"}));
  EXPECT_TRUE(filter.EntersFolder("Lem0n"));
  EXPECT_FALSE(filter.EntersFolder("Lemon"));
  options.include = {};
  filter = *PathFilter::Make(options);
  EXPECT_EQ(Taken(&filter, kTree),
            (Paths{"Apple Red/1.jpg", "Apple Red/2.png", "Pineapple/1.jpg"}));
  options.include = {"[abc"};
  EXPECT_TRUE(PathFilter::Make(options).status().IsInvalid());
}

TEST(PathFilter, RemembersWhatNothingMatched) {
  RunOptions options;
  options.include = {"Kiwi/*", "Lemon/*", "Lem*"};
  options.exclude = {"*.gif", "tmp/*", "Lemon"};
  PathFilter filter = *PathFilter::Make(options);
  EXPECT_EQ(filter.example(), "");
  EXPECT_FALSE(filter.EntersFolder("tmp"));
  EXPECT_EQ(filter.example(), "tmp/*");
  Taken(&filter, kTree);
  EXPECT_EQ(filter.example(), kTree[0]);
  EXPECT_EQ(filter.Unmatched(),
            (Paths{"--include 'Kiwi/*'", "--exclude '*.gif'", "--exclude 'Lemon'"}));
}

TEST(PathFilter, GivesAnExampleThatMatches) {
  RunOptions options;
  options.include = {"none"};
  for (const std::string path :
       {"a/1.jpg", "[a]?*/1.jpg", R"(caf\xE9\x5C[*/1.jpg)", R"(back\slash/1.jpg)"}) {
    PathFilter filter = *PathFilter::Make(options);
    EXPECT_FALSE(filter.EntersFolder(path.substr(0, path.find('/'))));
    EXPECT_TRUE(Glob::Parse(filter.example())->Matches(path)) << filter.example();
    EXPECT_FALSE(filter.TakesFile(path));
    EXPECT_TRUE(Glob::Parse(filter.example())->Matches(path)) << filter.example();
    EXPECT_FALSE(Glob::Parse(filter.example())->Matches("x" + path)) << filter.example();
  }
}

TEST(PathFilter, LeavesOutWhatIsHidden) {
  const Paths hidden = {".x.jpg",
                        "a/._1.jpg",
                        "a/.ipynb_checkpoints/1.jpg",
                        "__MACOSX/a/1.jpg",
                        "a/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
                        "#recycle/1.jpg",
                        "$RECYCLE.BIN/1.jpg",
                        ".Trash-1000/files/1.jpg",
                        "lost+found/1.jpg",
                        "a/Thumbs.db"};
  const Paths seen = {"_DSC0001.jpg", "_unsorted/1.jpg", "lost+found2/1.jpg", "a b/1.jpg"};
  for (const std::string& path : hidden) EXPECT_TRUE(IsHidden(path)) << path;
  PathFilter filter;
  EXPECT_EQ(Taken(&filter, hidden), Paths{});
  EXPECT_EQ(Taken(&filter, {seen[0], seen[1], seen[2], seen[3]}),
            (Paths{seen[0], seen[1], seen[2], seen[3]}));
  EXPECT_FALSE(filter.EntersFolder("a/@eaDir"));
  EXPECT_EQ(filter.hidden(), static_cast<int64_t>(hidden.size()) + 1);
  RunOptions options;
  options.hidden = true;
  filter = *PathFilter::Make(options);
  EXPECT_EQ(Taken(&filter, hidden), hidden);
  EXPECT_TRUE(filter.EntersFolder("a/@eaDir"));
}

TEST(PathFilter, KnowsWhereAllOfItIs) {
  const auto narrow = [](Paths include, const std::string& folder) {
    RunOptions options;
    options.include = std::move(include);
    return PathFilter::Make(options)->Narrow(folder);
  };
  EXPECT_EQ(narrow({}, "a"), "a");
  EXPECT_EQ(narrow({"a/b/c/*.jpg"}, "a"), "a/b/c");
  EXPECT_EQ(narrow({"a/b/c*"}, "a"), "a/b");
  EXPECT_EQ(narrow({"a/b/c/*", "a/b/d/*", "x/*"}, "a"), "a/b");
  EXPECT_EQ(narrow({"a/b/c/*", "*.jpg"}, "a"), "a");
  EXPECT_EQ(narrow({"a/*"}, "a"), "a");
}

}  // namespace
}  // namespace pomona
