#include "pomona/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "temp_folder.h"

namespace pomona {
namespace {

// For EXPECT_PRED2, which shows both.
bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

class SafetensorsTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_ / name; }

  // The message with which a file of this header and data is refused; empty where it opens.
  std::string Refusal(const std::string& header, size_t data_bytes) {
    std::string file(8, '\0');
    const uint64_t size = header.size();
    std::memcpy(file.data(), &size, sizeof(size));
    return RefusalOfBytes(file + header + std::string(data_bytes, '\0'));
  }

  std::string RefusalOfBytes(const std::string& bytes) {
    const std::string path = Path("file.safetensors");
    folder_.Write("file.safetensors", bytes);
    const auto file = SafetensorsFile::Open(path);
    if (file.ok()) return "";
    EXPECT_TRUE(file.status().IsInvalid());
    EXPECT_TRUE(file.status().message().starts_with(path + ": ")) << file.status().message();
    return file.status().message().substr(path.size() + 2);
  }

  const TempFolder folder_;
};

template <typename T>
NamedTensor Tensor(std::string name, DType dtype, std::vector<int64_t> shape,
                   const std::vector<T>& values) {
  return {std::move(name), {dtype, std::move(shape), std::as_bytes(std::span(values))}};
}

// The file as the format's description defines it, byte by byte.
TEST_F(SafetensorsTest, WritesTheFormat) {
  const std::vector<double> wide = {1, -2};
  const std::vector<float> narrow = {0.5f};
  ASSERT_TRUE(WriteSafetensors(
                  Path("a"),
                  {Tensor("w", DType::kF64, {2, 1}, wide), Tensor("n", DType::kF32, {}, narrow)},
                  {{"b", "2"}, {"a", "1"}})
                  .ok());
  const std::string header = R"({"__metadata__":{"a":"1","b":"2"},)"
                             R"("w":{"dtype":"F64","shape":[2,1],"data_offsets":[0,16]},)"
                             R"("n":{"dtype":"F32","shape":[],"data_offsets":[16,20]}})";
  const std::string file = ReadFile(Path("a"));
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), 8);
  EXPECT_EQ(header_bytes % 8, 0u);
  EXPECT_LT(header_bytes, header.size() + 8);
  EXPECT_EQ(file.substr(8, header.size()), header);
  EXPECT_EQ(file.size(), 8 + header_bytes + 20);
  EXPECT_EQ(std::memcmp(file.data() + 8 + header_bytes, wide.data(), 16), 0);
  EXPECT_EQ(std::memcmp(file.data() + 8 + header_bytes + 16, narrow.data(), 4), 0);
}

TEST_F(SafetensorsTest, ReadsBackWhatItWrote) {
  const std::vector<int64_t> wide = {1, -2, 3};
  const std::vector<int32_t> none;
  const std::vector<float> narrow = {0.5f, -1};
  const std::vector<NamedTensor> tensors = {Tensor("wide", DType::kI64, {3}, wide),
                                            Tensor("none", DType::kI32, {0, 7}, none),
                                            Tensor("narrow", DType::kF32, {1, 2}, narrow)};
  ASSERT_TRUE(WriteSafetensors(Path("a"), tensors, {{"k", "v\n\"\xc3\xa9"}}).ok());
  ASSERT_TRUE(WriteSafetensors(Path("b"), tensors, {{"k", "v\n\"\xc3\xa9"}}).ok());
  EXPECT_EQ(ReadFile(Path("a")), ReadFile(Path("b")));

  const auto file = SafetensorsFile::Open(Path("a")).ValueOrDie();
  EXPECT_EQ(file->tensors().size(), 3u);
  EXPECT_EQ(file->metadata().at("k"), "v\n\"\xc3\xa9");
  const TensorView view = file->Get("narrow").ValueOrDie();
  EXPECT_EQ(view.shape, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(view.values<float>()[1], -1);
  EXPECT_EQ(file->Get("wide")->values<int64_t>()[1], -2);
  EXPECT_TRUE(file->Get("none")->bytes.empty());
  EXPECT_TRUE(file->Get("other").status().IsKeyError());
}

TEST_F(SafetensorsTest, LeavesNothingBehindWhereItCannotWrite) {
  const std::vector<float> one = {1};
  const auto write = [&](const std::string& path) {
    return WriteSafetensors(path, {Tensor("t", DType::kF32, {1}, one)}, {});
  };
  EXPECT_TRUE(write(Path("missing/file")).IsIOError());
  std::filesystem::create_directories(Path("full/inside"));
  EXPECT_TRUE(write(Path("full")).IsIOError());  // a folder stands in the way
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(SafetensorsTest, RefusesToWriteWhatItCouldNotRead) {
  const std::vector<float> one = {1};
  const std::vector<double> two = {1, 2};
  const auto message = [&](std::vector<NamedTensor> tensors) {
    return WriteSafetensors(Path("a"), tensors, {}).message();
  };
  const auto narrow = Tensor("n", DType::kF32, {1}, one);
  EXPECT_PRED2(Contains, message({narrow, narrow}), "'n': the name is taken");
  EXPECT_PRED2(Contains, message({narrow, Tensor("w", DType::kF64, {2}, two)}),
               "'w': would not be aligned");
  EXPECT_PRED2(Contains, message({Tensor("w", DType::kF64, {3}, two)}),
               "'w': 16 bytes are not shape x type");
}

TEST_F(SafetensorsTest, RefusesMalformedFiles) {
  EXPECT_EQ(Refusal("{}", 0), "");
  EXPECT_PRED2(Contains, RefusalOfBytes(""), "too short");
  EXPECT_PRED2(Contains, RefusalOfBytes("1234567"), "too short");
  EXPECT_PRED2(Contains, RefusalOfBytes(std::string(8, '\xff') + "{}"), "truncated");
  EXPECT_PRED2(Contains, RefusalOfBytes(std::string("\x09\0\0\0\0\0\0\0{}", 10)), "truncated");
  EXPECT_PRED2(Contains, Refusal("", 0), "no JSON object");
  EXPECT_PRED2(Contains, Refusal("[1]", 0), "no JSON object");
  EXPECT_PRED2(Contains, Refusal("{\"a\":", 0), "no JSON object");
  EXPECT_PRED2(Contains, Refusal("{\"\xff\":{}}", 0), "no JSON object");
  EXPECT_PRED2(Contains, Refusal(std::string(100'000, '['), 0), "no JSON object");
  EXPECT_PRED2(Contains, Refusal(R"({"__metadata__":[]})", 0), "__metadata__ is no object");
  EXPECT_PRED2(Contains, Refusal(R"({"__metadata__":{"a":1}})", 0), "'a' is no string");
}

TEST_F(SafetensorsTest, RefusesMalformedTensorsByName) {
  // One tensor "t" of these properties over 8 bytes of data; the header is padded so that the data
  // is aligned.
  const auto refusal = [this](const std::string& properties) {
    std::string header = "{\"t\":{" + properties + "}}";
    header.resize((header.size() + 7) / 8 * 8, ' ');
    return Refusal(header, 8);
  };
  EXPECT_EQ(refusal(R"("dtype":"F32","shape":[2],"data_offsets":[0,8])"), "");
  EXPECT_PRED2(Contains, refusal(R"("dtype":"F32","shape":[2])"), "tensor 't': needs");
  EXPECT_PRED2(Contains, refusal(R"("dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8])"),
               "tensor 't': type \"F8_E4M3\" is not supported");
  EXPECT_PRED2(Contains, refusal(R"("dtype":7,"shape":[2],"data_offsets":[0,8])"), "type 7");
  EXPECT_PRED2(Contains, refusal(R"("dtype":"F32","shape":2,"data_offsets":[0,8])"), "shape");
  EXPECT_PRED2(Contains, refusal(R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])"), "shape");
  EXPECT_PRED2(Contains, refusal(R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])"), "shape");
  EXPECT_PRED2(Contains,
               refusal(R"("dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8])"),
               "shape");
  // 2^62 x 4 x 4 bytes are 0 in 64 bits.
  EXPECT_PRED2(Contains,
               refusal(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0])"),
               "not shape x type");
  EXPECT_PRED2(Contains, refusal(R"("dtype":"F32","shape":[2],"data_offsets":[0])"), "pair");
  EXPECT_PRED2(Contains, refusal(R"("dtype":"F32","shape":[2],"data_offsets":[0,16])"), "leave");
  EXPECT_PRED2(Contains, refusal(R"("dtype":"F32","shape":[2],"data_offsets":[8,0])"), "leave");
  EXPECT_PRED2(Contains, refusal(R"("dtype":"F32","shape":[1],"data_offsets":[0,8])"),
               "not shape x type");
  EXPECT_PRED2(Contains, refusal(R"("dtype":"F32","shape":[1],"data_offsets":[0,4])"),
               "4 bytes follow the last tensor");
  EXPECT_PRED2(Contains, refusal(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"),
               "tensor 't': is preceded by a gap");
  EXPECT_PRED2(Contains, refusal(R"("dtype":"F32","shape":[1],"data_offsets":[2,6])"),
               "tensor 't': its data is not aligned");
  EXPECT_PRED2(Contains,
               refusal(R"("dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                       R"("u":{"dtype":"F32","shape":[1],"data_offsets":[4,8])"),
               "tensor 'u': overlaps");
}

}  // namespace
}  // namespace pomona
