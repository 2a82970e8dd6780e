#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/pca_forms.h"
#include "pomona/version.h"

namespace pomona {
namespace {

// A message of Protocol Buffers in the making. Numbers and fields are those of onnx.proto.
class Message {
 public:
  Message& Add(int field, int64_t number) {
    Key(field, 0);
    Varint(static_cast<uint64_t>(number));
    return *this;
  }
  Message& Add(int field, std::string_view text) {
    Key(field, 2);
    Varint(text.size());
    bytes_.append(text);
    return *this;
  }
  Message& Add(int field, const Message& message) { return Add(field, message.bytes_); }

  const std::string& bytes() const { return bytes_; }

 private:
  void Key(int field, uint64_t type) { Varint(static_cast<uint64_t>(field) << 3 | type); }
  void Varint(uint64_t number) {
    for (; number >= 0x80; number >>= 7) bytes_ += static_cast<char>(number | 0x80);
    bytes_ += static_cast<char>(number);
  }

  std::string bytes_;
};

constexpr int64_t kFloat = 1;  // TensorProto.DataType

// The least that has all that is needed: MatMul, Sub of any shapes. Every later one reads it.
constexpr int64_t kIrVersion = 7, kOpset = 13;

// TensorProto, as an initializer.
Message Tensor(std::string_view name, const std::vector<int64_t>& shape,
               const std::vector<float>& values) {
  Message tensor;
  for (const int64_t extent : shape) tensor.Add(1, extent);
  tensor.Add(2, kFloat).Add(8, name);
  return tensor.Add(9, std::string_view(reinterpret_cast<const char*>(values.data()),
                                        values.size() * sizeof(float)));
}

// ValueInfoProto of any number of vectors.
Message Vectors(std::string_view name, int64_t dimensions) {
  const Message shape =
      Message().Add(1, Message().Add(2, "N")).Add(1, Message().Add(1, dimensions));
  const Message tensor = Message().Add(1, kFloat).Add(2, shape);
  return Message().Add(1, name).Add(2, Message().Add(1, tensor));
}

// NodeProto.
Message Node(std::string_view type, std::string_view left, std::string_view right,
             std::string_view out) {
  return Message().Add(1, left).Add(1, right).Add(2, out).Add(3, out).Add(4, type);
}

// StringStringEntryProto.
Message Entry(std::string_view key, std::string_view value) {
  return Message().Add(1, key).Add(2, value);
}

}  // namespace

std::string PcaToOnnx(const Pca& pca) {
  const int dimensions = pca.dimensions(), components = pca.components();
  std::vector<float> matrix;  // dimensions x components
  matrix.reserve(pca.basis().size());
  for (int d = 0; d < dimensions; ++d) {
    const double scale = pca.scale().empty() ? 1.0 : pca.scale()[d];
    for (int c = 0; c < components; ++c) {
      matrix.push_back(static_cast<float>(pca.basis()[size_t(c) * dimensions + d] / scale));
    }
  }
  Message graph;
  std::string_view input = "features";
  if (pca.options().center) {
    graph.Add(1, Node("Sub", input, "mean", "centered"));
    input = "centered";
  }
  graph.Add(1, Node("MatMul", input, "components", "pca_features")).Add(2, "pca");
  if (pca.options().center) {
    graph.Add(5, Tensor("mean", {dimensions}, {pca.mean().begin(), pca.mean().end()}));
  }
  graph.Add(5, Tensor("components", {dimensions, components}, matrix))
      .Add(11, Vectors("features", dimensions))
      .Add(12, Vectors("pca_features", components));

  Message model;
  model.Add(1, kIrVersion).Add(2, "pomona").Add(3, kVersion).Add(7, graph);
  model.Add(8, Message().Add(1, "").Add(2, kOpset));
  const FeatureOrigin& origin = pca.origin();
  if (!origin.weights_digest.empty()) model.Add(14, Entry("weights_digest", origin.weights_digest));
  if (!origin.preprocessing.empty()) model.Add(14, Entry("preprocessing", origin.preprocessing));
  return model.bytes();
}

}  // namespace pomona
