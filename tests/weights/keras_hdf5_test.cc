#include <gtest/gtest.h>
#include <hdf5.h>

#include <algorithm>

#include "fixtures.h"

namespace pomona {
namespace {

class KerasHdf5Test : public FolderTest {
 protected:
  std::string Write(const KerasWeights& weights, KerasLayout layout, const std::string& skip = "") {
    const std::string path = Path("keras.h5");
    WriteKerasHdf5(path, weights, layout, skip);
    return path;
  }

  std::string Refusal(const std::string& path) {
    const auto status = ImportKerasWeights(path, Path("out"));
    EXPECT_FALSE(std::filesystem::exists(Path("out")));
    EXPECT_PRED2(Contains, status.message(), path + ": ");
    return status.message();
  }

  // Opens keras.h5 for a change that no Keras makes.
  template <typename Change>
  std::string RefusalAfter(Change change) {
    const std::string path = Write(MadeUpWeights(0.35), KerasLayout::kKeras2);
    const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    change(file);
    EXPECT_GE(H5Fclose(file), 0);
    return Refusal(path);
  }
};

TEST_F(KerasHdf5Test, ReadsEveryLayoutAndWidth) {
  for (const double alpha : kAlphas) {
    const KerasWeights weights = MadeUpWeights(alpha);
    for (const KerasLayout layout : kKerasLayouts) {
      if (alpha > 0.5 && layout != KerasLayout::kKeras2) continue;  // width and layout are apart
      SCOPED_TRACE(testing::Message() << "alpha " << alpha << ", layout " << int(layout));
      const auto read = ReadKerasHdf5(Write(weights, layout));
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      EXPECT_EQ(read->alpha, alpha);
      EXPECT_TRUE(read->values == weights.values);
    }
  }
}

TEST_F(KerasHdf5Test, ImportsImageNetWeightsToTheirDigest) {
  const auto weights = ImageNetWeights();
  if (!weights) GTEST_SKIP() << "POMONA_WEIGHTS names no file of ImageNet weights";
  for (const KerasLayout layout : kKerasLayouts) {
    const std::string out = Path("out.safetensors");
    const auto status = ImportKerasWeights(Write(*weights, layout), out);
    ASSERT_TRUE(status.ok()) << status.ToString();
    const auto opened = Weights::Open(out).ValueOrDie();
    EXPECT_EQ(opened->digest(), kImageNetDigest) << int(layout);
    EXPECT_EQ(opened->origin(), "keras.h5");
  }
}

TEST_F(KerasHdf5Test, NamesTheMissingTensor) {
  const KerasWeights weights = MadeUpWeights(0.35);
  for (const KerasLayout layout : kKerasLayouts) {
    for (const char* name :
         {"block_3_expand/kernel", "Conv_1/kernel", "Conv_1_bn/moving_variance"}) {
      EXPECT_PRED2(Contains, Refusal(Write(weights, layout, name)),
                   "tensor '" + std::string(name) + "' is missing")
          << int(layout);
    }
  }
  // Where tensors are told apart by name, the others of their layer stay what they are.
  EXPECT_PRED2(Contains, Refusal(Write(weights, KerasLayout::kKeras2, "bn_Conv1/gamma")),
               "tensor 'bn_Conv1/gamma' is missing");
}

TEST_F(KerasHdf5Test, NamesTheTensorOfAWrongShape) {
  EXPECT_PRED2(
      Contains, RefusalAfter([](hid_t file) {
        ASSERT_GE(H5Lmove(file, "bn_Conv1/bn_Conv1/gamma:0", file, "old", H5P_DEFAULT, H5P_DEFAULT),
                  0);
        ASSERT_GE(H5Lcopy(file, "Conv_1_bn/Conv_1_bn/gamma:0", file, "bn_Conv1/bn_Conv1/gamma:0",
                          H5P_DEFAULT, H5P_DEFAULT),
                  0);
      }),
      "tensor '/bn_Conv1/bn_Conv1/gamma:0' has the shape [1280], not [16]");
  EXPECT_PRED2(Contains, RefusalAfter([](hid_t file) {
                 ASSERT_GE(H5Ldelete(file, "Conv_1/Conv_1/kernel:0", H5P_DEFAULT), 0);
                 ASSERT_GE(H5Lcopy(file, "Conv1/Conv1/kernel:0", file, "Conv_1/Conv_1/kernel:0",
                                   H5P_DEFAULT, H5P_DEFAULT),
                           0);
               }),
               "'/Conv_1/Conv_1/kernel:0' has the shape [3, 3, 3, 16], as in no");
}

TEST_F(KerasHdf5Test, NamesTheTensorOrLayerThatIsListedButNotThere) {
  EXPECT_PRED2(Contains, RefusalAfter([](hid_t file) {
                 ASSERT_GE(H5Ldelete(file, "Conv1/Conv1/kernel:0", H5P_DEFAULT), 0);
               }),
               "tensor '/Conv1/Conv1/kernel:0' cannot be read");
  EXPECT_PRED2(Contains, RefusalAfter([](hid_t file) {
                 ASSERT_GE(H5Ldelete(file, "Conv1", H5P_DEFAULT), 0);
               }),
               "layer 'Conv1' cannot be read");
}

TEST_F(KerasHdf5Test, NamesTheTensorWithoutFloatNumbers) {
  EXPECT_PRED2(Contains, RefusalAfter([](hid_t file) {
                 const char* name = "bn_Conv1/bn_Conv1/beta:0";
                 ASSERT_GE(H5Ldelete(file, name, H5P_DEFAULT), 0);
                 const hsize_t extent = 16;
                 const hid_t space = H5Screate_simple(1, &extent, nullptr);
                 const hid_t dataset = H5Dcreate2(file, name, H5T_STD_I32LE, space, H5P_DEFAULT,
                                                  H5P_DEFAULT, H5P_DEFAULT);
                 ASSERT_GE(H5Dclose(dataset), 0);
                 H5Sclose(space);
               }),
               "tensor '/bn_Conv1/bn_Conv1/beta:0' holds no float numbers");
}

TEST_F(KerasHdf5Test, NamesTheTensorWithImpossibleValues) {
  KerasWeights weights = MadeUpWeights(0.35);
  weights.values[2][5] = std::numeric_limits<float>::infinity();
  EXPECT_PRED2(Contains, Refusal(Write(weights, KerasLayout::kKeras2)),
               "tensor 'bn_Conv1/beta' has values that are not finite");
}

TEST_F(KerasHdf5Test, RefusesOtherFiles) {
  EXPECT_PRED2(Contains, Refusal(Path("none")), "cannot be read as HDF5");
  WriteFile(Path("text"), "no HDF5 at all");
  EXPECT_PRED2(Contains, Refusal(Path("text")), "cannot be read as HDF5");
  H5Fclose(H5Fcreate(Path("empty").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
  EXPECT_PRED2(Contains, Refusal(Path("empty")), "no layer of MobileNetV2");
}

TEST_F(KerasHdf5Test, RefusesTruncatedFilesOfAnyLength) {
  const std::string path = Write(MadeUpWeights(0.35), KerasLayout::kNested);
  const auto size = std::filesystem::file_size(path);
  for (const uintmax_t length : {size - 1, size / 2, size / 100, uintmax_t{1000}, uintmax_t{9}}) {
    std::filesystem::resize_file(path, length);
    EXPECT_PRED2(Contains, Refusal(path), "cannot be read as HDF5") << length;
  }
}

// HDF5 1.10 crashes on some of these.
TEST_F(KerasHdf5Test, OutlivesDamagedFiles) {
  KerasWeights weights = MadeUpWeights(0.35);
  for (auto& values : weights.values) values.clear();
  for (const KerasLayout layout : {KerasLayout::kKeras3, KerasLayout::kVariables}) {
    const std::string file = ReadFile(Write(weights, layout));
    const std::string path = Path("damaged.h5");
    for (size_t at = 0; at < file.size(); at += file.size() / 30) {
      SCOPED_TRACE(testing::Message() << "layout " << int(layout) << ", byte " << at);
      std::string damaged = file;
      for (size_t i = at; i < std::min(at + 16, file.size()); ++i) damaged[i] ^= 0x41;
      WriteFile(path, damaged);
      const auto status = ImportKerasWeights(path, Path("out"));
      EXPECT_TRUE(status.ok() || status.message().starts_with(path + ": ")) << status;
    }
  }
}

}  // namespace
}  // namespace pomona
