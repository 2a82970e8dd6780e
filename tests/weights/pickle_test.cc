#include "pickle.h"

#include <gtest/gtest.h>

#include "fixtures.h"

namespace pomona {
namespace {

using std::string_literals::operator""s;

arrow::Result<Pickle> Read(const std::string& bytes) {
  std::string_view rest = bytes;
  auto pickle = Pickle::Read(&rest);
  EXPECT_TRUE(!pickle.ok() || rest.empty());
  return pickle;
}

std::string Refusal(const std::string& bytes) {
  const auto pickle = Read(bytes);
  EXPECT_TRUE(pickle.status().IsInvalid()) << pickle.status().ToString();
  return pickle.status().message();
}

// By pickle.dumps(value, protocol=2) of Python 3.11.
TEST(PickleTest, ReadsWhatPythonWrites) {
  // {'a': 1, 'b': (2, -3), 'c': [True, None, 0.5], 'd': 300, 'e': 70000, 'f': 2**40}
  const Pickle pickle = Read(
                            "\x80\x02}q\x00(X\x01\x00\x00\x00"s
                            "aq\x01K\x01X\x01\x00\x00\x00"s
                            "bq\x02K\x02J\xfd\xff\xff\xff\x86q\x03X\x01\x00\x00\x00"s
                            "cq\x04]q\x05(\x88NG?\xe0\x00\x00\x00\x00\x00\x00"s
                            "eX\x01\x00\x00\x00"s
                            "dq\x06M,\x01X\x01\x00\x00\x00"s
                            "eq\x07Jp\x11\x01\x00X\x01\x00\x00\x00"s
                            "fq\x08\x8a\x06\x00\x00\x00\x00\x00\x01u."s)
                            .ValueOrDie();
  ASSERT_EQ(pickle.root().kind, Pickle::Kind::kDictionary);
  const auto& parts = pickle.root().parts;
  ASSERT_EQ(parts.size(), 12u);
  std::string keys;
  for (size_t i = 0; i < parts.size(); i += 2) keys += pickle.at(parts[i]).text;
  EXPECT_EQ(keys, "abcdef");
  EXPECT_EQ(pickle.at(parts[1]).number, 1);
  const auto& pair = pickle.at(parts[3]);
  ASSERT_EQ(pair.kind, Pickle::Kind::kTuple);
  EXPECT_EQ(pickle.at(pair.parts[0]).number, 2);
  EXPECT_EQ(pickle.at(pair.parts[1]).number, -3);
  const auto& list = pickle.at(parts[5]);
  ASSERT_EQ(list.kind, Pickle::Kind::kList);
  ASSERT_EQ(list.parts.size(), 3u);
  EXPECT_EQ(pickle.at(list.parts[0]).kind, Pickle::Kind::kBool);
  EXPECT_EQ(pickle.at(parts[7]).number, 300);
  EXPECT_EQ(pickle.at(parts[9]).number, 70000);
  EXPECT_EQ(pickle.at(parts[11]).number, int64_t{1} << 40);
}

TEST(PickleTest, ReadsTensors) {
  const Pickle pickle =
      Read(PickleOf({{"a", {2, 3}, std::vector<float>(6)}, {"b", {}, std::vector<float>(1)}}))
          .ValueOrDie();
  const auto& parts = pickle.root().parts;
  ASSERT_EQ(parts.size(), 4u);
  EXPECT_EQ(pickle.at(parts[0]).text, "a");
  ASSERT_EQ(pickle.at(parts[1]).kind, Pickle::Kind::kTensor);
  const PickledTensor& tensor = pickle.tensor(pickle.at(parts[1]));
  EXPECT_EQ(tensor.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensor.strides, (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(tensor.storage, "0");
  EXPECT_EQ(tensor.offset, 0);
  EXPECT_EQ(pickle.storages().at("1"), "FloatStorage");
}

// Python 2 gives the pairs to the function, as lists, and short texts another opcode.
TEST(PickleTest, ReadsWhatPython2Writes) {
  const Pickle pickle = Read(
                            "\x80\x02"
                            "ccollections\nOrderedDict\n]](U\x01"
                            "aK\x07"
                            "ea\x85R."s)
                            .ValueOrDie();
  ASSERT_EQ(pickle.root().kind, Pickle::Kind::kDictionary);
  ASSERT_EQ(pickle.root().parts.size(), 2u);
  EXPECT_EQ(pickle.at(pickle.root().parts[0]).text, "a");
  EXPECT_EQ(pickle.at(pickle.root().parts[1]).number, 7);
}

TEST(PickleTest, RunsNothing) {
  EXPECT_PRED2(Contains, Refusal("cposix\nsystem\n(X\x04\x00\x00\x00truetR."s),
               "it asks for 'posix.system', which is not run here");
  EXPECT_PRED2(Contains, Refusal("c__builtin__\neval\n."), "'__builtin__.eval'");
  EXPECT_PRED2(Contains, Refusal("ctorchvision.models.mobilenetv2\nMobileNetV2\n)\x81."),
               "torch.save(model.state_dict()");
  EXPECT_PRED2(Contains, Refusal("c" + std::string(5000, 'x') + "\nStorage\n."), "xxx...'");
}

TEST(PickleTest, NamesTheOpcode) {
  EXPECT_PRED2(Contains, Refusal("\x80\x02)\x81."s), "opcode 0x81 (NEWOBJ)");
  EXPECT_PRED2(Contains, Refusal("\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00N."s),
               "opcode 0x95 (FRAME)");
  EXPECT_PRED2(Contains, Refusal("(ios\nsystem\n."), "opcode 0x69 (INST)");
  EXPECT_PRED2(Contains, Refusal("\xff."), "opcode 0xff,");
}

TEST(PickleTest, RefusesDamage) {
  const std::string whole = PickleOf({{"a", {2, 3}, std::vector<float>(6)}});
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_PRED2(Contains, Refusal(whole.substr(0, size)), "breaks off") << size;
  }
  for (const std::string& bytes : {"."s,
                                   "NN."s,
                                   "(N."s,
                                   "(."s,
                                   "t."s,
                                   "u."s,
                                   "R."s,
                                   "(R."s,
                                   "N)R."s,
                                   "NNs."s,
                                   "Na."s,
                                   "b."s,
                                   "NNb."s,
                                   "Q."s,
                                   "NQ."s,
                                   ")Q."s,
                                   "h\x07."s,
                                   "q\x07."s,
                                   "}(Nu."s,
                                   "\x85."s,
                                   "X\xff\xff\xff\xffx."s,
                                   "\x8a\x09xxxxxxxxx."s,
                                   "ctorch._utils\n_rebuild_tensor_v2\n)R."s,
                                   "ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR."s,
                                   "ctorch\nFloatStorage\n)R."s,
                                   "ccollections\nOrderedDict\n](Nea\x85R."s}) {
    EXPECT_NE(Refusal(bytes), "") << bytes;
  }
}

// No recursion, no copies of copies, and an end.
TEST(PickleTest, IsBoundedWhateverTheDepth) {
  EXPECT_TRUE(Read("N" + std::string(500'000, '\x85') + ".").ok());
  EXPECT_TRUE(Read("}q\x01X\x01\x00\x00\x00xh\x01s."s).ok());  // a dictionary in itself
  EXPECT_PRED2(Contains, Refusal(std::string(3'000'000, '(')), "longer pickle than is read here");
  // A list of many pairs, of which one dictionary after another is made.
  std::string many = "(ccollections\nOrderedDict\nq\0](NN\x86q\1"s;
  for (int i = 0; i < 100'000; ++i) many += "h\1";
  many += "e\x85q\2";
  for (int i = 0; i < 100; ++i) many += "h\0h\2R"s;
  EXPECT_PRED2(Contains, Refusal(many + "t."), "longer pickle than is read here");
}

}  // namespace
}  // namespace pomona
