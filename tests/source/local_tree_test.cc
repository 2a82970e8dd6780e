#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <fstream>
#include <set>
#include <tuple>

#include "pomona/decode.h"
#include "pomona/location.h"
#include "pomona/source.h"
#include "temp_folder.h"

namespace pomona {
namespace {

std::vector<Item> List(const std::string& root) {
  const auto source = OpenLocalTree(root);
  EXPECT_TRUE(source.ok()) << source.status();
  if (!source.ok()) return {};
  const auto items = ListAll(**source);
  EXPECT_TRUE(items.ok()) << items.status();
  return items.ValueOr({});
}

std::vector<std::string> RelativePaths(const std::string& root) {
  std::vector<std::string> paths;
  for (const Item& item : List(root)) paths.emplace_back(item.relative_path());
  return paths;
}

using Paths = std::vector<std::string>;

// Folder by folder, and still in the order of whole paths, whatever stands beside a folder's name.
TEST(LocalTree, WalksThroughAnyTreeInPathOrder) {
  const TempFolder tree;
  uint32_t state = 1;
  const auto random = [&](uint32_t below) {
    state = state * 1664525 + 1013904223;
    return (state >> 16) % below;
  };
  const std::string kEnds[] = {"", "-", ".", "0", " b", "\xc3\xa9", "\xff", "\\xFF", "~", "!"};
  std::set<std::string> written;
  for (int i = 0; i < 3000; ++i) {
    std::string path;
    for (uint32_t depth = random(4); depth > 0; --depth) {
      path += std::string("d") + kEnds[random(std::size(kEnds))] + "/";
    }
    path += std::string("f") + kEnds[random(std::size(kEnds))] + std::to_string(random(200));
    tree.Write(path, "");
    written.insert(EscapeName(path));
  }
  const Paths listed = RelativePaths(tree.path());
  EXPECT_TRUE(std::ranges::is_sorted(listed));
  EXPECT_EQ(listed, Paths(written.begin(), written.end()));
}

TEST(LocalTree, StopsOnceEnoughIsTaken) {
  const TempFolder tree;
  for (int i = 0; i < 2500; ++i) tree.Write(std::to_string(i / 100) + "/" + std::to_string(i), "");
  const auto source = *OpenLocalTree(tree.path());
  std::vector<size_t> batches;
  PathFilter filter;
  ASSERT_TRUE(source
                  ->List(&filter,
                         [&](std::vector<Item> items) {
                           batches.push_back(items.size());
                           return false;
                         })
                  .ok());
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_LT(batches[0], 2500u);
  EXPECT_GT(batches[0], 0u);
}

TEST(LocalTree, ListsFilesInBytewisePathOrder) {
  const TempFolder tree;
  // '-' < '/' < '0' < 'B' < 'a': the order of whole paths, not of names folder by folder.
  for (const char* name : {"a/2.jpg", "a/10.jpg", "a-b/1.jpg", "a0/1.jpg", "B/1.jpg"}) {
    tree.Write(name, "x");
  }
  EXPECT_EQ(RelativePaths(tree.path()),
            (Paths{"B/1.jpg", "a-b/1.jpg", "a/10.jpg", "a/2.jpg", "a0/1.jpg"}));
}

TEST(LocalTree, TakesTheLabelFromTheParentFolder) {
  const TempFolder tree;
  tree.Write("Apple Braeburn/1.jpg", "x");
  tree.Write("deep/er/Lemon/1.jpg", "x");
  tree.Write("root.jpg", "x");
  const std::vector<Item> items = List(tree.path());
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].label(), "Apple Braeburn");
  EXPECT_EQ(items[1].label(), "Lemon");
  EXPECT_EQ(items[2].label(), std::filesystem::path(tree.path()).filename());
  EXPECT_EQ(items[0].path, tree / "Apple Braeburn/1.jpg");
  EXPECT_EQ(items[0].size, 1);
  EXPECT_GT(items[0].modified_ns, 0);
}

TEST(LocalTree, LooksUnderTrainingWhereThatFolderExists) {
  const TempFolder tree;
  tree.Write("Training/Lemon/1.jpg", "x");
  tree.Write("Test/Lemon/2.jpg", "x");
  EXPECT_EQ(RelativePaths(tree.path()), Paths{"Lemon/1.jpg"});
  EXPECT_EQ(RelativePaths(tree / "Test"), Paths{"Lemon/2.jpg"});
}

TEST(LocalTree, NamesTheFoldersThatItPassesOver) {
  const TempFolder tree;
  tree.Write("Training/Lemon/1.jpg", "x");
  tree.Write("notes.txt", "x");
  tree.Write(".git/1.jpg", "x");
  tree.Write("out/runs/1.csv", "x");
  EXPECT_EQ((*OpenLocalTree(tree.path()))->root(), tree / "Training");
  EXPECT_EQ(TellPassedOver(**OpenLocalTree(tree.path()), tree / "out/runs"), "");
  tree.Write("Test/Lemon/1.jpg", "x");
  EXPECT_EQ(TellPassedOver(**OpenLocalTree(tree.path()), tree / "out/runs"),
            "only " + (tree / "Training") +
                " is read; to read a folder beside it (Test), name that folder as INPUT");
  for (const char* name : {"a/1", "b/1", "c/1"}) tree.Write(name, "x");
  EXPECT_EQ(TellPassedOver(**OpenLocalTree(tree.path())),
            "only " + (tree / "Training") +
                " is read; to read a folder beside it (Test, a, b and 2 more), name that folder "
                "as INPUT");
  const auto training = *OpenLocalTree(tree / "Training");
  EXPECT_EQ(training->root(), tree / "Training");
  EXPECT_EQ(TellPassedOver(*training), "");
}

TEST(LocalTree, ReadsUrisAndRelativeAndUntidyPaths) {
  const TempFolder tree;
  tree.Write("a b/1.jpg", "x");
  EXPECT_EQ(RelativePaths("file://" + tree.path()), Paths{"a b/1.jpg"});
  EXPECT_EQ(RelativePaths(tree.path() + "//./a b/.."), Paths{"a b/1.jpg"});
  EXPECT_EQ(RelativePaths("file://" + (tree / "a%20b/")), Paths{"1.jpg"});
  EXPECT_TRUE(LocalPath("s3://bucket/prefix").status().IsNotImplemented());
}

TEST(LocalTree, FollowsLinksButNotIntoAFolderAbove) {
  const TempFolder tree, elsewhere;
  elsewhere.Write("2.jpg", "x");
  tree.Write("a/1.jpg", "x");
  ASSERT_EQ(symlink(elsewhere.path().c_str(), (tree / "a/linked").c_str()), 0);
  ASSERT_EQ(symlink("..", (tree / "a/loop").c_str()), 0);
  ASSERT_EQ(symlink("nowhere", (tree / "a/dangling.jpg").c_str()), 0);
  EXPECT_EQ(RelativePaths(tree.path()), (Paths{"a/1.jpg", "a/dangling.jpg", "a/linked/2.jpg"}));
}

TEST(LocalTree, DoesNotListWhatTheFilterLeavesOut) {
  const TempFolder tree, output;
  for (const char* name : {"Kiwi/1.jpg", "Kiwi/.x/1.jpg", "tmp/1.jpg", "lost+found/1.jpg"}) {
    tree.Write(name, "x");
  }
  output.Write("features/1.csv", "x");
  ASSERT_EQ(symlink(output.path().c_str(), (tree / "Kiwi/out").c_str()), 0);
  // Folders that nobody may list, not even root: their paths are too long.
  for (const char* folder : {"tmp", "lost+found"}) {
    std::string deep = tree / folder;
    ASSERT_EQ(chdir(deep.c_str()), 0);
    const std::string name(250, 'd');
    for (int depth = 0; depth < 20; ++depth) {
      ASSERT_EQ(mkdir(name.c_str(), 0755), 0);
      ASSERT_EQ(chdir(name.c_str()), 0);
    }
    ASSERT_EQ(chdir("/"), 0);
  }
  const auto list = [&](Paths include, Paths exclude) {
    RunOptions options;
    options.include = std::move(include);
    options.exclude = std::move(exclude);
    PathFilter filter = *PathFilter::Make(options);
    filter.output = output.path();
    Paths paths;
    const auto status = (*OpenLocalTree(tree.path()))->List(&filter, [&](std::vector<Item> items) {
      for (const Item& item : items) paths.emplace_back(item.relative_path());
      return true;
    });
    return status.ok() ? paths : Paths{status.message().substr(0, 11)};
  };
  EXPECT_EQ(list({}, {}), Paths{"cannot list"});
  EXPECT_EQ(list({"Kiwi/*"}, {}), Paths{"Kiwi/1.jpg"});
  EXPECT_EQ(list({}, {"tm*"}), Paths{"Kiwi/1.jpg"});
  std::ignore =
      std::system(("rm -r '" + tree.path() + "/tmp' '" + tree.path() + "/lost+found'").c_str());
}

// Its folder can be listed by its path, the file cannot be opened by it.
TEST(LocalTree, ListsAFileWhosePathIsTooLong) {
  const TempFolder tree;
  std::string folder = tree.path();
  ASSERT_EQ(chdir(folder.c_str()), 0);
  while (folder.size() < PATH_MAX - 22) {
    const std::string name(std::min<size_t>(250, PATH_MAX - 21 - folder.size()), 'd');
    ASSERT_EQ(mkdir(name.c_str(), 0755), 0);
    ASSERT_EQ(chdir(name.c_str()), 0);
    folder += '/' + name;
  }
  std::ofstream("short.jpg") << "x";
  std::ofstream("too long a name.jpg") << "x";
  ASSERT_EQ(chdir("/"), 0);

  const auto source = *OpenLocalTree(tree.path());
  const std::vector<Item> items = *ListAll(*source);
  ASSERT_EQ(items.size(), 2u);
  FileBytes bytes;
  EXPECT_FALSE(*source->Read(items[0], &bytes));
  const auto reject = *source->Read(items[1], &bytes);
  ASSERT_TRUE(reject);
  EXPECT_EQ(reject->reason, Reason::kUnreadable);
  EXPECT_EQ(reject->message, "cannot open: File name too long");
  std::ignore = std::system(("rm -r '" + tree.path() + "/'*").c_str());
}

TEST(LocalTree, RefusesAMazeOfLinks) {
  const TempFolder tree;
  const std::string names = "abcdefgh";
  for (const char from : names) {
    for (const char to : names) {
      const std::string folder(1, from);
      std::filesystem::create_directories(tree / folder);
      const std::string link = tree / folder + "/" + to;
      ASSERT_EQ(symlink(("../" + std::string(1, to)).c_str(), link.c_str()), 0);
    }
  }
  const auto items = ListAll(**OpenLocalTree(tree.path()));
  EXPECT_TRUE(items.status().IsIOError()) << items.status();
}

TEST(LocalTree, SaysWhyARootCannotBeRead) {
  const TempFolder tree;
  tree.Write("file", "x");
  EXPECT_NE(OpenLocalTree(tree / "none").status().message().find("none: No such file"),
            std::string::npos);
  EXPECT_NE(OpenLocalTree(tree / "file").status().message().find("not a folder"),
            std::string::npos);
}

TEST(LocalTree, ReadsWholeFilesAndRejectsWhatCannotBeRead) {
  const TempFolder tree;
  const std::string large = "GIF89a" + std::string(300'000, 'y');
  tree.Write("a/1.jpg", "hello");
  tree.Write("a/2.jpg", large);
  tree.Write("a/3.jpg", "");
  tree.Write("a/gone.jpg", "x");
  ASSERT_EQ(mkfifo((tree / "a/pipe.jpg").c_str(), 0600), 0);
  const auto source = *OpenLocalTree(tree.path());
  const std::vector<Item> items = *ListAll(*source);
  ASSERT_EQ(items.size(), 5u);
  std::filesystem::remove(tree / "a/gone.jpg");

  FileBytes bytes;
  const auto text = [&] { return std::string(bytes.begin(), bytes.end()); };
  EXPECT_FALSE(*source->Read(items[1], &bytes));
  EXPECT_EQ(text(), large);
  EXPECT_FALSE(*source->Read(items[0], &bytes));
  EXPECT_EQ(text(), "hello");
  EXPECT_FALSE(*source->Read(items[2], &bytes));
  EXPECT_EQ(text(), "");

  const auto gone = *source->Read(items[3], &bytes);
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->stage, Stage::kRead);
  EXPECT_EQ(gone->reason, Reason::kMissing);
  EXPECT_EQ(gone->message, "cannot open: No such file or directory");
  const auto pipe = *source->Read(items[4], &bytes);
  ASSERT_TRUE(pipe);
  EXPECT_EQ(pipe->message, "not a regular file");
}

TEST(LocalTree, ReadsWhatIsNoImageNoFurtherThanItsFirstBytes) {
  const TempFolder tree;
  const std::string jpeg = "\xff\xd8\xff\xe0" + std::string(300'000, 'y');
  tree.Write("film.mp4", "");
  tree.Write("image", jpeg);
  tree.Write("huge image", jpeg);
  tree.Write("huge.jpg", "");
  tree.Write("zeros.jpg", "");
  constexpr uintmax_t kHuge = (uintmax_t{1} << 30) + 1;
  for (const char* name : {"film.mp4", "huge image", "huge.jpg"}) {
    std::filesystem::resize_file(tree / name, kHuge);
  }
  std::filesystem::resize_file(tree / "zeros.jpg", kHuge - 1);

  FileBytes bytes;
  EXPECT_FALSE(*ReadLocalFile(tree / "film.mp4", &bytes));
  EXPECT_EQ(bytes, FileBytes(kSniffBytes));
  EXPECT_FALSE(*ReadLocalFile(tree / "zeros.jpg", &bytes));
  EXPECT_EQ(bytes, FileBytes(kSniffBytes));
  // The limit of the size is one for images, by their name or by their content.
  for (const char* name : {"huge image", "huge.jpg"}) {
    const auto reject = *ReadLocalFile(tree / name, &bytes);
    ASSERT_TRUE(reject) << name;
    EXPECT_EQ(reject->reason, Reason::kTooLarge) << name;
  }
  EXPECT_LT(bytes.capacity(), size_t{1} << 20);
  EXPECT_FALSE(*ReadLocalFile(tree / "image", &bytes));
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), jpeg);
}

TEST(LocalTree, ReadsWhatIsThereWhenItReads) {
  const TempFolder tree;
  for (const char* name : {"longer", "shorter", "to folder", "to pipe"}) tree.Write(name, "123");
  const auto source = *OpenLocalTree(tree.path());
  const std::vector<Item> items = *ListAll(*source);
  ASSERT_EQ(items.size(), 4u);
  tree.Write("longer", "12345");
  tree.Write("shorter", "1");
  std::filesystem::remove(tree / "to folder");
  std::filesystem::create_directory(tree / "to folder");
  std::filesystem::remove(tree / "to pipe");
  ASSERT_EQ(mkfifo((tree / "to pipe").c_str(), 0600), 0);

  FileBytes bytes;
  EXPECT_FALSE(*source->Read(items[0], &bytes));
  EXPECT_EQ(bytes.size(), 5u);
  EXPECT_FALSE(*source->Read(items[1], &bytes));
  EXPECT_EQ(bytes.size(), 1u);
  for (const size_t i : {2, 3}) {
    const auto reject = *source->Read(items[i], &bytes);
    ASSERT_TRUE(reject);
    EXPECT_EQ(reject->message, "not a regular file");
  }
}

TEST(LocalTree, EscapesNamesThatAreNoUtf8) {
  const TempFolder tree;
  tree.Write("caf\xe9/\xff.jpg", "one");
  tree.Write("caf\\xE9/\\xFF.jpg", "another");
  tree.Write("caf\xc3\xa9/1.jpg", "UTF-8");
  const auto source = *OpenLocalTree(tree.path());
  const std::vector<Item> items = *ListAll(*source);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(items[0].relative_path(), "caf\\x5CxE9/\\x5CxFF.jpg");
  EXPECT_EQ(items[1].relative_path(), "caf\\xE9/\\xFF.jpg");
  EXPECT_EQ(items[1].label(), "caf\\xE9");
  EXPECT_EQ(items[2].relative_path(), "caf\xc3\xa9/1.jpg");
  FileBytes bytes;
  EXPECT_FALSE(*source->Read(items[0], &bytes));
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "another");
  EXPECT_FALSE(*source->Read(items[1], &bytes));
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), "one");

  const TempFolder outer;
  outer.Write("\xe9/a/1.jpg", "x");
  EXPECT_EQ(RelativePaths(outer / "\xe9"), Paths{"a/1.jpg"});
}

}  // namespace
}  // namespace pomona
