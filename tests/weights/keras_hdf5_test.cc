#include <gtest/gtest.h>
#include <hdf5.h>

#include <algorithm>
#include <csignal>
#include <new>
#include <vector>

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
    const auto status = ImportWeights(path, Path("out"));
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
      const auto read = ReadKerasFile(Write(weights, layout));
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
    const auto status = ImportWeights(Write(*weights, layout), out);
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
  EXPECT_PRED2(Contains, Refusal(Path("none")), "cannot open: No such file");
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

TEST_F(KerasHdf5Test, ReadsTheArchivesThatKerasSaves) {
  const KerasWeights weights = MadeUpWeights(0.35);
  const std::string hdf5 = ReadFile(Write(weights, KerasLayout::kVariables));
  for (const bool deflated : {false, true}) {
    const std::string path = Path("model.keras");
    WriteZip(path, {{"metadata.json", "{}", deflated},
                    {"config.json", R"({"module": "keras"})", deflated},
                    {"model.weights.h5", hdf5, deflated}});
    const auto read = ReadKerasFile(path);
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_TRUE(read->values == weights.values);
  }
}

TEST_F(KerasHdf5Test, SaysWhatIsWrongWithAnArchive) {
  const std::string path = Path("model.keras");
  WriteZip(path, {{"word/document.xml", "from elsewhere"}});
  EXPECT_PRED2(Contains, Refusal(path), "is a zip archive without model.weights.h5");
  WriteZip(path, {{"model.weights.h5", "no HDF5", true}});
  EXPECT_PRED2(Contains, Refusal(path), "cannot be read as HDF5");

  const std::string hdf5 = ReadFile(Write(MadeUpWeights(0.35), KerasLayout::kVariables));
  std::string archive = ZipOf({{"model.weights.h5", hdf5}});
  archive[archive.find("PK\1\2") + 27] = 0x7f;  // the size, in the directory
  WriteFile(path, archive);
  EXPECT_PRED2(Contains, Refusal(path), "import what `unzip");
}

TEST_F(KerasHdf5Test, ReadsBfloat16) {
  const std::string path = Write(MadeUpWeights(0.35), KerasLayout::kKeras2);
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const char* name = "bn_Conv1/bn_Conv1/beta:0";
  ASSERT_GE(H5Ldelete(file, name, H5P_DEFAULT), 0);
  // As h5py writes numpy's type of ml_dtypes, and Keras the attribute.
  const hsize_t extent = 16;
  const hid_t space = H5Screate_simple(1, &extent, nullptr);
  const hid_t type = H5Tcreate(H5T_OPAQUE, 2);
  H5Tset_tag(type, "");
  const hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const std::vector<uint16_t> halves = {0x0000, 0x3f80, 0xc020, 0x4049, 0x3dcd, 0x7f7f,
                                        0x0080, 0x8000, 0x3f81, 0x42f6, 0,      0,
                                        0,      0,      0,      0xbf80};
  ASSERT_GE(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, halves.data()), 0);
  const auto refused = ReadKerasFile(path);
  EXPECT_PRED2(Contains, refused.status().message(), "a type without a name");
  const hid_t text = H5Tcopy(H5T_C_S1);
  H5Tset_size(text, H5T_VARIABLE);
  const hid_t scalar = H5Screate(H5S_SCALAR);
  const hid_t attribute = H5Acreate2(dataset, "dtype", text, scalar, H5P_DEFAULT, H5P_DEFAULT);
  const char* word = "bfloat16";
  ASSERT_GE(H5Awrite(attribute, text, &word), 0);
  H5Aclose(attribute);
  H5Tclose(text);
  H5Sclose(scalar);
  H5Dclose(dataset);
  H5Tclose(type);
  H5Sclose(space);
  ASSERT_GE(H5Fclose(file), 0);

  const auto read = ReadKerasFile(path);
  ASSERT_TRUE(read.ok()) << read.status().ToString();
  // Values by ml_dtypes 0.6.
  const std::vector<float> expected = {0.0f,
                                       1.0f,
                                       -2.5f,
                                       3.140625f,
                                       0.10009765625f,
                                       3.3895313892515355e38f,
                                       1.1754943508222875e-38f,
                                       -0.0f,
                                       1.0078125f,
                                       123.0f,
                                       0,
                                       0,
                                       0,
                                       0,
                                       0,
                                       -1.0f};
  EXPECT_EQ(read->values[2], expected);
}

TEST_F(KerasHdf5Test, SaysWhatToDoWithShardsAndFolders) {
  std::filesystem::create_directories(Path("saved_model"));
  EXPECT_PRED2(Contains, Refusal(Path("saved_model")), "is a folder; name a file that Keras saved");
  WriteFile(Path("m.weights.json"), R"({"weight_map": {}})");
  EXPECT_PRED2(Contains, Refusal(Path("m.weights.json")), "save them as one file");
  const std::string shard = Path("m_00001.weights.h5");
  WriteKerasHdf5(shard, MadeUpWeights(0.35), KerasLayout::kVariables, "Conv_1/kernel");
  EXPECT_PRED2(Contains, Refusal(shard), "'Conv_1/kernel' is missing; it is one of several files");
}

TEST_F(KerasHdf5Test, SaysItOnOneLine) {
  for (const char* name : {"none", "text", "saved"}) {
    if (std::string_view(name) == "text") WriteFile(Path(name), "no HDF5 at all");
    if (std::string_view(name) == "saved") std::filesystem::create_directories(Path(name));
    EXPECT_EQ(Refusal(Path(name)).find_first_of("\n\r\t"), std::string::npos) << name;
  }
}

// HDF5 crashes on some files, or runs without end; here the reader does so by itself.
TEST_F(KerasHdf5Test, OutlivesAReaderThatCrashes) {
  const auto import = [&](const WeightsReader& reader) {
    const auto status = ImportWeights(Path("m.h5"), Path("out"), "m.h5", false, reader);
    EXPECT_FALSE(std::filesystem::exists(Path("out")));
    return status.message();
  };
  EXPECT_EQ(import([](const std::string&) -> arrow::Result<KerasWeights> {
              std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would handle it
              std::raise(SIGSEGV);
              return KerasWeights();
            }),
            Path("m.h5") + ": reading it ends in a crash (Segmentation fault)");
  EXPECT_PRED2(Contains, import([](const std::string&) -> arrow::Result<KerasWeights> {
                 throw std::bad_alloc();
               }),
               Path("m.h5") + ": reading it takes too much memory");
}

TEST_F(KerasHdf5Test, LeavesAFileThatIsThereAlone) {
  const std::string keras = Write(MadeUpWeights(0.35), KerasLayout::kKeras2);
  const std::string out = Path("out");
  const auto import = [&] { return ImportWeights(keras, out); };
  WriteFile(out, "precious");
  EXPECT_TRUE(import().IsAlreadyExists());
  EXPECT_TRUE(import().message().starts_with(out + ": is there already, and holds something else"));
  EXPECT_EQ(ReadFile(out), "precious");
  std::filesystem::remove(out);
  std::filesystem::create_symlink("nowhere", out);
  EXPECT_TRUE(import().IsAlreadyExists());
  EXPECT_TRUE(std::filesystem::is_symlink(out));

  // Its own: the same again is no change, others are not replaced.
  std::filesystem::remove(out);
  ASSERT_TRUE(import().ok());
  const std::string first = ReadFile(out);
  EXPECT_TRUE(import().ok());
  KerasWeights tuned = MadeUpWeights(0.35);
  tuned.values[0][0] += 1;
  Write(tuned, KerasLayout::kKeras2);
  EXPECT_PRED2(Contains, import().message(), "holds other weights; remove it, or name another");
  EXPECT_EQ(ReadFile(out), first);
}

}  // namespace
}  // namespace pomona
