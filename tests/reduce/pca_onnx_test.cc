#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/pca_forms.h"
#include "reduce/random_rows.h"

namespace pomona {
namespace {

// A message of Protocol Buffers: its fields by number, each a number or bytes.
struct Message {
  std::multimap<int, uint64_t> numbers;
  std::multimap<int, std::string> texts;

  explicit Message(std::string_view bytes) {
    const auto varint = [&] {
      uint64_t number = 0;
      for (int shift = 0;; shift += 7) {
        const auto byte = static_cast<uint8_t>(bytes.at(0));
        bytes.remove_prefix(1);
        number |= uint64_t{byte & 0x7fu} << shift;
        if (byte < 0x80) return number;
      }
    };
    while (!bytes.empty()) {
      const uint64_t key = varint(), number = varint();
      const int field = static_cast<int>(key >> 3);
      if (key % 8 == 0) {
        numbers.emplace(field, number);
      } else {
        EXPECT_EQ(key % 8, 2u);
        texts.emplace(field, bytes.substr(0, number));
        bytes.remove_prefix(number);
      }
    }
  }

  Message Inner(int field) const { return Message(texts.find(field)->second); }
  std::vector<std::string> Texts(int field) const {
    std::vector<std::string> found;
    const auto [begin, end] = texts.equal_range(field);
    for (auto at = begin; at != end; ++at) found.push_back(at->second);
    return found;
  }
};

std::vector<float> Floats(const Message& tensor) {
  const std::string bytes = tensor.Texts(9).front();
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// What a runtime makes of it is in tests/python/test_pca_forms.py.
TEST(PcaToOnnx, HoldsTheProjection) {
  Moments moments(4);
  moments.Add(RandomRows(50, 4, 1));
  const Pca pca = *Pca::Fit(moments, {2, true, true}, {"digest", "name"});
  const Message model(PcaToOnnx(pca));
  EXPECT_EQ(model.numbers.find(1)->second, 7u);
  EXPECT_EQ(model.Inner(8).numbers.find(2)->second, 13u);
  EXPECT_EQ(model.Texts(14).size(), 2u);
  const Message graph = model.Inner(7);
  std::vector<std::string> operators;
  for (const std::string& node : graph.Texts(1)) operators.push_back(Message(node).Texts(4)[0]);
  EXPECT_EQ(operators, (std::vector<std::string>{"Sub", "MatMul"}));
  const std::vector<std::string> tensors = graph.Texts(5);
  ASSERT_EQ(tensors.size(), 2u);
  const std::vector<float> mean = Floats(Message(tensors[0]));
  const std::vector<float> components = Floats(Message(tensors[1]));
  ASSERT_EQ(mean.size(), 4u);
  ASSERT_EQ(components.size(), 8u);
  for (size_t d = 0; d < 4; ++d) {
    EXPECT_EQ(mean[d], static_cast<float>(pca.mean()[d]));
    for (size_t c = 0; c < 2; ++c) {
      EXPECT_EQ(components[d * 2 + c], static_cast<float>(pca.basis()[c * 4 + d] / pca.scale()[d]));
    }
  }
}

TEST(PcaToOnnx, TakesNoMeanOffWhereTheProjectionDoesNot) {
  Moments moments(3);
  moments.Add(RandomRows(20, 3, 2));
  const Message model(PcaToOnnx(*Pca::Fit(moments, {3, false, false})));
  EXPECT_TRUE(model.Texts(14).empty());
  const Message graph = model.Inner(7);
  EXPECT_EQ(graph.Texts(1).size(), 1u);
  EXPECT_EQ(graph.Texts(5).size(), 1u);
}

}  // namespace
}  // namespace pomona
