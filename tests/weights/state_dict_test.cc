#include "state_dict.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "fixtures.h"

namespace pomona {
namespace {

using std::string_literals::operator""s;

arrow::Result<StateDict> Read(const std::string& bytes) {
  return StateDict::OfTorch(arrow::Buffer::FromString(bytes));
}

std::string Refusal(const std::string& bytes) {
  const auto state = Read(bytes);
  EXPECT_FALSE(state.ok());
  return state.status().message();
}

const std::vector<TorchTensor> kTensors = {{"a", {2, 3}, {1, 2, 3, 4, 5, 6}},
                                           {"b.c", {2}, {-1, 0.5}}};

class StateDictTest : public FolderTest {
 protected:
  std::string Bytes(bool old) {
    WriteTorch(Path("t.pth"), kTensors, old);
    return ReadFile(Path("t.pth"));
  }
};

// A file of one tensor "x", of storage "0", with this data.pkl of it.
std::string Archive(const std::string& tensor, const std::string& storage) {
  const std::string pickle = "\x80\x02}X\x01\x00\x00\x00x"s + tensor + "s.";
  return ZipOf({{"a/data.pkl", pickle, true}, {"a/data/0", storage, true}});
}

// The pickle of a tensor whose storage is of this type; numbers are of a byte each.
std::string Tensor(const std::string& type, const std::string& offset, const std::string& shape,
                   const std::string& strides) {
  const auto tuple = [](const std::string& numbers) {
    std::string text = "(";
    for (const char number : numbers) text += "K"s + number;
    return text + "t";
  };
  return "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\n"s + type +
         "\nX\x01\x00\x00\x00"
         "0X\x03\x00\x00\x00"
         "cpuK\x04tQ"s +
         "K" + offset + tuple(shape) + tuple(strides) + "\x89NtR";
}

std::vector<float> ValuesOf(const std::string& bytes) {
  const StateDict state = Read(bytes).ValueOrDie();
  return state.Values(state.tensors().at("x")).ValueOrDie();
}

std::string ValuesRefusal(const std::string& bytes) {
  const StateDict state = Read(bytes).ValueOrDie();
  return state.Values(state.tensors().at("x")).status().message();
}

TEST_F(StateDictTest, ReadsAllThreeKinds) {
  std::vector<NamedTensor> named;
  for (const TorchTensor& tensor : kTensors) {
    named.push_back(
        {tensor.name, {DType::kF32, tensor.shape, std::as_bytes(std::span(tensor.values))}});
  }
  ASSERT_TRUE(WriteSafetensors(Path("t.safetensors"), named, {{"format", "pt"}}).ok());
  WriteTorch(Path("new.pth"), kTensors);
  WriteTorch(Path("old.pth"), kTensors, /*old=*/true);
  for (const char* file : {"t.safetensors", "new.pth", "old.pth"}) {
    const auto state = StateDict::Open(Path(file));
    ASSERT_TRUE(state.ok()) << file << ": " << state.status().ToString();
    ASSERT_EQ(state->tensors().size(), 2u);
    for (const TorchTensor& tensor : kTensors) {
      const auto& stored = state->tensors().at(tensor.name);
      EXPECT_EQ(stored.shape, tensor.shape);
      EXPECT_EQ(state->Values(stored).ValueOrDie(), tensor.values) << file << ' ' << tensor.name;
    }
  }
}

TEST_F(StateDictTest, ConvertsOtherFloats) {
  const std::string f64("\x00\x00\x00\x00\x00\x00\xf8\x3f", 8);  // 1.5
  const std::string f16("\x00\x3e\x01\x00\x00\xc0", 6);          // 1.5, 2^-24, -2
  const std::string bf16("\xc0\x3f\x00\xc0", 4);                 // 1.5, -2
  EXPECT_EQ(ValuesOf(Archive(Tensor("DoubleStorage", "\0"s, "\1", "\1"), f64)),
            std::vector<float>{1.5});
  EXPECT_EQ(ValuesOf(Archive(Tensor("HalfStorage", "\0"s, "\3", "\1"), f16)),
            (std::vector<float>{1.5, 0x1p-24f, -2}));
  EXPECT_EQ(ValuesOf(Archive(Tensor("BFloat16Storage", "\0"s, "\2", "\1"), bf16)),
            (std::vector<float>{1.5, -2}));
  EXPECT_EQ(ValuesRefusal(Archive(Tensor("LongStorage", "\0"s, "\1", "\1"), f64)),
            "holds no float numbers");
  EXPECT_EQ(ValuesRefusal(Archive(Tensor("NewStorage", "\0"s, "\1", "\1"), f64)),
            "holds no float numbers");
}

// As after .to(memory_format=torch.channels_last), or of a part of a tensor.
TEST_F(StateDictTest, FollowsStrides) {
  std::string storage;
  for (const float value : {0.f, 1.f, 2.f, 3.f, 4.f, 5.f}) {
    storage.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  const auto values = [&](const std::string& offset, const std::string& shape,
                          const std::string& strides) {
    return ValuesOf(Archive(Tensor("FloatStorage", offset, shape, strides), storage));
  };
  EXPECT_EQ(values("\0"s, "\2\3", "\3\1"), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(values("\0"s, "\3\2", "\1\3"), (std::vector<float>{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(values("\1", "\2\1\2", "\2\x7f\2"), (std::vector<float>{1, 3, 3, 5}));
  EXPECT_EQ(values("\5", "", ""), (std::vector<float>{5}));
  for (const auto& [offset, shape, strides] : {std::tuple("\6"s, ""s, ""s),
                                               {"\0"s, "\7"s, "\1"s},
                                               {"\1"s, "\2\3"s, "\3\1"s},
                                               {"\0"s, "\7"s, "\0"s},
                                               {"\0"s, "\2"s, "\1\1"s},
                                               {"\0"s, "\0"s, "\1"s}}) {
    EXPECT_EQ(ValuesRefusal(Archive(Tensor("FloatStorage", offset, shape, strides), storage)),
              "lies outside of its storage");
  }
}

TEST_F(StateDictTest, NamesWhatIsInDictionariesOfDictionaries) {
  const std::string one = Tensor("FloatStorage", "\0"s, "\1", "\1");
  const StateDict state = Read(Archive("}(X\x02\x00\x00\x00inq\x01"s + one +
                                           "X\x05\x00\x00\x00"
                                           "epochK\x07u"s,
                                       "\0\0\x80\x3f"s))
                              .ValueOrDie();
  ASSERT_EQ(state.tensors().size(), 1u);
  EXPECT_EQ(state.Values(state.tensors().at("x.in")).ValueOrDie(), std::vector<float>{1});
  // In circles, it ends.
  const auto circle = Read(ZipOf({{"a/data.pkl", "}q\x01X\x01\x00\x00\x00xh\x01s."s}}));
  EXPECT_TRUE(circle.ok() && circle->tensors().empty());
}

TEST_F(StateDictTest, RefusesOtherFiles) {
  EXPECT_PRED2(Contains, Refusal(""), "damaged zip archive");
  EXPECT_PRED2(Contains, Refusal(ZipOf({{"x", "y"}})), "none that torch.save() writes");
  EXPECT_PRED2(Contains, Refusal(ZipOf({{"a/data.pkl", "N."}, {"b/data.pkl", "N."}})),
               "none that torch.save() writes");
  EXPECT_PRED2(Contains, Refusal(ZipOf({{"a/data.pkl", "N."}})), "no dictionary of tensors");
  EXPECT_PRED2(Contains, Refusal(ZipOf({{"a/data.pkl", "}."}, {"a/byteorder", "big"}})),
               "big-endian");
  const std::string missing = ZipOf(
      {{"a/data.pkl", "}X\x01\x00\x00\x00x"s + Tensor("FloatStorage", "\0"s, "\1", "\1") + "s."}});
  EXPECT_PRED2(Contains, ValuesRefusal(missing), "has no member 'a/data/0'");
  EXPECT_TRUE(StateDict::Open(Path("none")).status().IsIOError());
}

TEST_F(StateDictTest, RefusesTruncatedFilesOfAnyLength) {
  for (const bool old : {false, true}) {
    const std::string whole = Bytes(old);
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(Read(whole.substr(0, size)).ok()) << old << ' ' << size;
    }
  }
}

}  // namespace
}  // namespace pomona
