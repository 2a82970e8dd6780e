#include "fixtures.h"

#include <hdf5.h>
#include <zlib.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace pomona {
namespace {

void Check(bool ok) {
  if (!ok) throw std::runtime_error("HDF5 failed in a test's fixture");
}

hid_t Check(hid_t id) {
  Check(id >= 0);
  return id;
}

// Strings as an attribute: of variable length as Keras 3 writes them, or all of the same length.
void WriteStrings(hid_t object, const char* name, const std::vector<std::string>& strings,
                  bool variable, bool scalar = false) {
  size_t width = 1;
  for (const auto& text : strings) width = std::max(width, text.size());
  const hsize_t count = strings.size();
  const hid_t space =
      scalar ? Check(H5Screate(H5S_SCALAR)) : Check(H5Screate_simple(1, &count, nullptr));
  const hid_t type = Check(H5Tcopy(H5T_C_S1));
  Check(H5Tset_size(type, variable ? H5T_VARIABLE : width) >= 0);
  const hid_t attribute = Check(H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT));
  std::vector<const char*> pointers;
  std::string padded;
  for (const auto& text : strings) {
    pointers.push_back(text.c_str());
    padded += text + std::string(width - text.size(), '\0');
  }
  if (count > 0) {
    Check(H5Awrite(attribute, type,
                   variable ? static_cast<const void*>(pointers.data()) : padded.data()) >= 0);
  }
  H5Aclose(attribute);
  H5Tclose(type);
  H5Sclose(space);
}

// Groups on the way are made.
void WriteTensor(hid_t place, const std::string& path, const std::vector<int64_t>& shape,
                 const std::vector<float>& values) {
  const std::vector<hsize_t> extents(shape.begin(), shape.end());
  const hid_t space =
      Check(H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr));
  const hid_t links = Check(H5Pcreate(H5P_LINK_CREATE));
  Check(H5Pset_create_intermediate_group(links, 1) >= 0);
  const hid_t dataset = Check(
      H5Dcreate2(place, path.c_str(), H5T_IEEE_F32LE, space, links, H5P_DEFAULT, H5P_DEFAULT));
  if (!values.empty()) {
    Check(H5Dwrite(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) >= 0);
  }
  H5Dclose(dataset);
  H5Pclose(links);
  H5Sclose(space);
}

hid_t MakeGroup(hid_t place, const std::string& path) {
  return Check(H5Gcreate2(place, path.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
}

// A layer's group with the attribute weight_names; `names` and `indices` are in step.
void WriteLayer(hid_t root, const std::string& layer, const std::vector<std::string>& names,
                const std::vector<size_t>& indices, const KerasWeights& weights,
                const std::vector<KerasTensor>& tensors, bool variable) {
  const hid_t group = MakeGroup(root, layer);
  WriteStrings(group, "weight_names", names, variable);
  for (size_t i = 0; i < names.size(); ++i) {
    WriteTensor(group, names[i], tensors[indices[i]].shape, weights.values[indices[i]]);
  }
  H5Gclose(group);
}

void WriteByAttributes(hid_t file, const KerasWeights& weights, KerasLayout layout,
                       const std::string& skip) {
  const std::vector<KerasTensor> tensors = KerasTensors(weights.alpha);
  const bool keras3 = layout == KerasLayout::kKeras3;
  const hid_t root = layout == KerasLayout::kKeras2 ? Check(H5Gopen2(file, "/", H5P_DEFAULT))
                                                    : MakeGroup(file, "model_weights");
  // Layers without weights, and one that is not the network's, as a classifier has it.
  std::vector<std::string> layer_names = {"input_1", "Conv1_relu", "dense"};
  WriteLayer(root, "input_1", {}, {}, weights, tensors, keras3);
  WriteLayer(root, "Conv1_relu", {}, {}, weights, tensors, keras3);
  WriteLayer(root, "dense", {"dense/kernel:0"}, {1}, weights, tensors, keras3);

  const auto name_of = [&](const KerasTensor& tensor) -> std::string {
    if (keras3 && tensor.role == "depthwise_kernel") return tensor.layer + "/kernel";
    if (keras3) return tensor.name();
    return tensor.layer + (layout == KerasLayout::kRenamed ? "_5/" : "/") + tensor.role + ":0";
  };
  if (layout == KerasLayout::kNested) {
    layer_names.push_back("mobilenetv2_1.00_224");
    std::vector<std::string> names;
    std::vector<size_t> indices;
    for (const bool trainable : {true, false}) {
      for (size_t i = 0; i < tensors.size(); ++i) {
        if (tensors[i].role.starts_with("moving_") == trainable || tensors[i].name() == skip) {
          continue;
        }
        names.push_back(name_of(tensors[i]));
        indices.push_back(i);
      }
    }
    WriteLayer(root, layer_names.back(), names, indices, weights, tensors, keras3);
  } else {
    for (size_t i = 0; i < tensors.size();) {
      std::vector<std::string> names;
      std::vector<size_t> indices;
      const std::string layer = tensors[i].layer;
      for (; i < tensors.size() && tensors[i].layer == layer; ++i) {
        if (tensors[i].name() == skip) continue;
        names.push_back(name_of(tensors[i]));
        indices.push_back(i);
      }
      layer_names.push_back(layer);
      WriteLayer(root, layer, names, indices, weights, tensors, keras3);
    }
  }
  WriteStrings(root, "layer_names", layer_names, keras3);
  H5Gclose(root);
}

void WriteByVariables(hid_t file, const KerasWeights& weights, bool named,
                      const std::string& skip) {
  const std::vector<KerasTensor> tensors = KerasTensors(weights.alpha);
  std::string container = "layers/";
  if (!named) {
    WriteTensor(file, "layers/conv2d/vars/0", {2}, {1, 2});
    WriteTensor(file, "layers/dense/vars/0", {2}, {1, 2});
    container = "layers/functional/layers/";
  }
  std::map<std::string, int> count;  // layers of each class so far
  std::string group;
  int position = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const KerasTensor& tensor = tensors[i];
    if (i == 0 || tensors[i - 1].layer != tensor.layer) {
      const std::string layer_class = tensor.role == "kernel"             ? "conv2d"
                                      : tensor.role == "depthwise_kernel" ? "depthwise_conv2d"
                                                                          : "batch_normalization";
      const int number = count[layer_class]++;
      group = container + layer_class + (number > 0 ? "_" + std::to_string(number) : "") + "/vars";
      position = 0;
    }
    const std::string path = group + "/" + std::to_string(position++);
    if (tensor.name() == skip) continue;
    WriteTensor(file, path, tensor.shape, weights.values[i]);
    if (named && position == 1) {
      const hid_t vars = Check(H5Gopen2(file, group.c_str(), H5P_DEFAULT));
      WriteStrings(vars, "name", {tensor.layer}, /*variable=*/true, /*scalar=*/true);
      H5Gclose(vars);
    }
  }
}

}  // namespace

void WriteKerasHdf5(const std::string& path, const KerasWeights& weights, KerasLayout layout,
                    const std::string& skip) {
  const hid_t file = Check(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT));
  switch (layout) {
    case KerasLayout::kKeras2:
    case KerasLayout::kRenamed:
    case KerasLayout::kKeras3:
    case KerasLayout::kNested: WriteByAttributes(file, weights, layout, skip); break;
    case KerasLayout::kVariables: WriteByVariables(file, weights, /*named=*/true, skip); break;
    case KerasLayout::kUnnamedVariables:
      WriteByVariables(file, weights, /*named=*/false, skip);
      break;
  }
  Check(H5Fclose(file) >= 0);
}

std::string ZipOf(const std::vector<ZipMember>& members) {
  const auto number = [](size_t value, int bytes) {
    std::string text;
    for (; bytes > 0; --bytes, value >>= 8) text += static_cast<char>(value & 255);
    return text;
  };
  std::string file, directory;
  for (const ZipMember& member : members) {
    std::string data = member.bytes;
    const auto* bytes = reinterpret_cast<const Bytef*>(member.bytes.data());
    const uLong crc = crc32(0, bytes, static_cast<uInt>(member.bytes.size()));
    if (member.deflated) {
      z_stream stream = {};
      Check(deflateInit2(&stream, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
      data.resize(deflateBound(&stream, member.bytes.size()));
      stream.next_in = const_cast<Bytef*>(bytes);
      stream.avail_in = static_cast<uInt>(member.bytes.size());
      stream.next_out = reinterpret_cast<Bytef*>(data.data());
      stream.avail_out = static_cast<uInt>(data.size());
      Check(deflate(&stream, Z_FINISH) == Z_STREAM_END);
      data.resize(stream.total_out);
      deflateEnd(&stream);
    }
    // Version, flags, method, time, date, checksum, sizes, length of the name, of further fields.
    const std::string common = number(20, 2) + number(0, 2) + number(member.deflated ? 8 : 0, 2) +
                               number(0, 4) + number(crc, 4) + number(data.size(), 4) +
                               number(member.bytes.size(), 4) + number(member.name.size(), 2);
    directory +=
        "PK\1\2" + number(20, 2) + common + number(0, 12) + number(file.size(), 4) + member.name;
    // Keras' own have such a field in front of the member only.
    file +=
        "PK\3\4" + common + number(4, 2) + member.name + number(0x9999, 2) + number(0, 2) + data;
  }
  return file + directory + "PK\5\6" + number(0, 4) + number(members.size(), 2) +
         number(members.size(), 2) + number(directory.size(), 4) + number(file.size(), 4) +
         number(0, 2);
}

void WriteZip(const std::string& path, const std::vector<ZipMember>& members) {
  WriteFile(path, ZipOf(members));
}

namespace {

// A builder of models, layer by layer.
class Model {
 public:
  void Conv(const std::string& name, std::vector<int64_t> shape) {
    Add(name + ".weight", std::move(shape));
  }
  void Norm(const std::string& name, int64_t channels) {
    for (const char* role : {".weight", ".bias", ".running_mean", ".running_var"}) {
      Add(name + role, {channels});
    }
  }
  void Add(const std::string& name, std::vector<int64_t> shape) {
    int64_t count = 1;
    for (const int64_t extent : shape) count *= extent;
    std::vector<float> values;
    for (int64_t i = 0; i < count; ++i) {
      values.push_back(static_cast<float>(tensors.size()) + static_cast<float>(i % 1009) / 1024);
    }
    tensors.push_back({name, std::move(shape), std::move(values)});
  }

  std::vector<TorchTensor> tensors;
};

// As torchvision's _make_divisible() and timm's make_divisible() do.
int64_t Divisible(double channels) {
  const int64_t rounded = std::max<int64_t>(8, static_cast<int64_t>(channels + 4) / 8 * 8);
  return static_cast<double>(rounded) < 0.9 * channels ? rounded + 8 : rounded;
}

// Calls first(channels), block(stage, place, in, hidden, out) and last(in, channels).
template <typename First, typename Block, typename Last>
void Walk(double alpha, First first, Block block, Last last) {
  constexpr int kSettings[][3] = {
      // expansion, channels, repeats: as in the paper
      {1, 16, 1}, {6, 24, 2}, {6, 32, 3}, {6, 64, 4}, {6, 96, 3}, {6, 160, 3}, {6, 320, 1}};
  int64_t channels = Divisible(32 * alpha);
  first(channels);
  int stage = 0;
  for (const auto& [expansion, wanted, repeats] : kSettings) {
    const int64_t out = Divisible(wanted * alpha);
    for (int place = 0; place < repeats; ++place) {
      block(stage, place, channels, channels * expansion, out);
      channels = out;
    }
    ++stage;
  }
  last(channels, Divisible(1280 * std::max(1.0, alpha)));
}

std::string LittleEndian(uint64_t number, int bytes) {
  std::string text;
  for (; bytes > 0; --bytes, number >>= 8) text += static_cast<char>(number & 255);
  return text;
}

std::string Bytes(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

}  // namespace

std::vector<TorchTensor> TorchvisionModel(double alpha) {
  Model model;
  int number = 1;
  Walk(
      alpha,
      [&](int64_t channels) {
        model.Conv("features.0.0", {channels, 3, 3, 3});
        model.Norm("features.0.1", channels);
      },
      [&](int, int, int64_t in, int64_t hidden, int64_t out) {
        const std::string name = "features." + std::to_string(number++) + ".conv.";
        const bool expands = in != hidden;
        if (expands) {
          model.Conv(name + "0.0", {hidden, in, 1, 1});
          model.Norm(name + "0.1", hidden);
        }
        model.Conv(name + (expands ? "1.0" : "0.0"), {hidden, 1, 3, 3});
        model.Norm(name + (expands ? "1.1" : "0.1"), hidden);
        model.Conv(name + (expands ? "2" : "1"), {out, hidden, 1, 1});
        model.Norm(name + (expands ? "3" : "2"), out);
      },
      [&](int64_t in, int64_t channels) {
        model.Conv("features.18.0", {channels, in, 1, 1});
        model.Norm("features.18.1", channels);
        model.Add("classifier.1.weight", {10, channels});
      });
  return model.tensors;
}

std::vector<TorchTensor> TimmModel(double alpha) {
  Model model;
  Walk(
      alpha,
      [&](int64_t channels) {
        model.Conv("conv_stem", {channels, 3, 3, 3});
        model.Norm("bn1", channels);
      },
      [&](int stage, int place, int64_t in, int64_t hidden, int64_t out) {
        const std::string name =
            "blocks." + std::to_string(stage) + "." + std::to_string(place) + ".";
        if (in != hidden) {
          model.Conv(name + "conv_pw", {hidden, in, 1, 1});
          model.Norm(name + "bn1", hidden);
          model.Conv(name + "conv_dw", {hidden, 1, 3, 3});
          model.Norm(name + "bn2", hidden);
          model.Conv(name + "conv_pwl", {out, hidden, 1, 1});
          model.Norm(name + "bn3", out);
        } else {
          model.Conv(name + "conv_dw", {hidden, 1, 3, 3});
          model.Norm(name + "bn1", hidden);
          model.Conv(name + "conv_pw", {out, hidden, 1, 1});
          model.Norm(name + "bn2", out);
        }
      },
      [&](int64_t in, int64_t channels) {
        model.Conv("conv_head", {channels, in, 1, 1});
        model.Norm("bn2", channels);
        model.Add("classifier.weight", {10, channels});
      });
  return model.tensors;
}

std::string PickleOf(const std::vector<TorchTensor>& tensors) {
  const auto text = [](const std::string& value) {
    return "X" + LittleEndian(value.size(), 4) + value;
  };
  const auto integer = [](int64_t value) {
    return "J" + LittleEndian(static_cast<uint64_t>(value), 4);
  };
  const auto tuple = [&](const std::vector<int64_t>& values) {
    std::string parts = "(";
    for (const int64_t value : values) parts += integer(value);
    return parts + "t";
  };
  const std::string ordered = "ccollections\nOrderedDict\n)R";
  std::string pickle = "\x80\x02" + ordered + "(";
  for (size_t i = 0; i < tensors.size(); ++i) {
    std::vector<int64_t> strides(tensors[i].shape.size(), 1);
    for (size_t d = strides.size(); d-- > 1;) strides[d - 1] = strides[d] * tensors[i].shape[d];
    pickle += text(tensors[i].name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") +
              "ctorch\nFloatStorage\n" + text(std::to_string(i)) + text("cpu") +
              integer(std::ssize(tensors[i].values)) + "tQ" + integer(0) + tuple(tensors[i].shape) +
              tuple(strides) + "\x89" + ordered + "tR";
  }
  return pickle + "u}" + text("_metadata") + ordered + "sb.";
}

void WriteTorch(const std::string& path, const std::vector<TorchTensor>& tensors, bool old) {
  if (!old) {
    std::vector<ZipMember> members = {{"archive/data.pkl", PickleOf(tensors)},
                                      {"archive/byteorder", "little"}};
    for (size_t i = 0; i < tensors.size(); ++i) {
      members.push_back({"archive/data/" + std::to_string(i), Bytes(tensors[i].values)});
    }
    return WriteZip(path, members);
  }
  std::string file = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M" +
                     LittleEndian(1001, 2) + ".\x80\x02}X" + LittleEndian(13, 4) +
                     "little_endian\x88s." + PickleOf(tensors) + "\x80\x02](";
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::string key = std::to_string(i);
    file += "X" + LittleEndian(key.size(), 4) + key;
  }
  file += "e.";
  for (const TorchTensor& tensor : tensors) {
    file += LittleEndian(tensor.values.size(), 8) + Bytes(tensor.values);
  }
  WriteFile(path, file);
}

}  // namespace pomona
