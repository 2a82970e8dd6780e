// Keras writes HDF5, by itself or as the member model.weights.h5 of a zip archive (model.save of
// "x.keras"), in two layouts.
//
// By attributes (model.save("x.h5"), Keras' own downloads): the root, or its group "model_weights",
// lists its layers in the attribute layer_names, and each layer's group lists its tensors in
// weight_names, "Conv1/kernel:0". A model nested in another is one layer that lists all its
// tensors.
//
// By variables (model.save_weights("x.weights.h5")): a layer's tensors are ".../LAYER/vars/0", "1"
// and so on, where LAYER is named by class and number, "conv2d_12"; newer versions give the
// layer's real name as the attribute "name" of vars.
//
// Both end as a list of tensors, each with its layer's name and what it is there, as far as known.

#include <hdf5.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "keras_tensors.h"
#include "mapped_file.h"
#include "state_dict.h"
#include "zip_archive.h"

namespace pomona {
namespace {

// An HDF5 identifier and the function that closes it.
class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  Handle& operator=(Handle&&) = delete;
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }

  operator hid_t() const { return id_; }
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

// A tensor of the file that may be one of the network's.
struct StoredTensor {
  std::string layer;    // as Keras named it, "block_1_expand_BN" or "block_1_expand_BN_3"
  std::string role;     // "kernel", "gamma", ...; of no use where Keras only numbers the tensors
  size_t position = 0;  // among the tensors of its layer
  std::string dataset;  // its path in the file
};

// What a file may make us hold: far more than any Keras writes.
constexpr size_t kMaxAttributeBytes = 16 << 20;
constexpr size_t kMaxTensors = 100'000;

// Three copies of it fit into what InChild() allows.
constexpr size_t kMaxMemberBytes = 256 << 20;

// What HDF5 says was wrong in the call that just failed, on one line.
std::string LastError() {
  std::string text;
  const auto keep_first = [](unsigned n, const H5E_error2_t* error, void* out) -> herr_t {
    if (n == 0) *static_cast<std::string*>(out) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &text);
  std::ranges::replace_if(text, [](char c) { return c >= 0 && c < ' '; }, ' ');
  return text.empty() ? "" : " (" + text + ")";
}

// The strings of an attribute, of fixed or of variable length, a scalar or a list; nothing where
// there is no such attribute.
std::optional<std::vector<std::string>> ReadStrings(hid_t object, const char* name) {
  if (H5Aexists(object, name) <= 0) return std::nullopt;
  const Handle attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
  if (!attribute.ok()) return std::nullopt;
  const Handle type(H5Aget_type(attribute), H5Tclose);
  const Handle space(H5Aget_space(attribute), H5Sclose);
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  // Keras writes the empty list as an array of no numbers.
  std::vector<std::string> strings;
  if (count <= 0) return strings;
  if (H5Tget_class(type) != H5T_STRING) return std::nullopt;
  const size_t width = H5Tget_size(type);
  if (width == 0 || static_cast<size_t>(count) > kMaxAttributeBytes / width) return std::nullopt;

  if (H5Tis_variable_str(type) > 0) {
    std::vector<char*> values(count, nullptr);
    if (H5Aread(attribute, type, values.data()) < 0) return std::nullopt;
    for (const char* value : values) strings.emplace_back(value == nullptr ? "" : value);
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, values.data());
    return strings;
  }
  std::string values(width * count, '\0');
  if (H5Aread(attribute, type, values.data()) < 0) return std::nullopt;
  for (hssize_t i = 0; i < count; ++i) {
    const std::string_view value = std::string_view(values).substr(i * width, width);
    strings.emplace_back(value.substr(0, value.find('\0')));
  }
  return strings;
}

// The same for an attribute that Keras may have split into NAME0, NAME1, ... for its length.
std::optional<std::vector<std::string>> ReadSplitStrings(hid_t object, const std::string& name) {
  auto strings = ReadStrings(object, name.c_str());
  for (int chunk = 0;; ++chunk) {
    const auto part = ReadStrings(object, (name + std::to_string(chunk)).c_str());
    if (!part) return strings;
    if (!strings) strings.emplace();
    strings->insert(strings->end(), part->begin(), part->end());
  }
}

std::vector<std::string_view> SplitPath(std::string_view path) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t slash = path.find('/');
    parts.push_back(path.substr(0, slash));
    if (slash == path.npos) return parts;
    path.remove_prefix(slash + 1);
  }
}

// "block_1_expand_3" -> "block_1_expand" and 3; without a number at the end, 0.
std::pair<std::string_view, size_t> SplitNumber(std::string_view name) {
  const size_t underscore = name.rfind('_');
  size_t number = 0;
  if (underscore == name.npos) return {name, 0};
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + underscore + 1, end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return {name, 0};
  return {name.substr(0, underscore), number};
}

// The first layout; `root` is where the attribute layer_names stands.
arrow::Result<std::vector<StoredTensor>> ListByAttributes(
    hid_t root, const std::string& prefix, const std::vector<std::string>& layer_names) {
  std::vector<StoredTensor> tensors;
  for (const std::string& group_name : layer_names) {
    const Handle group(H5Gopen2(root, group_name.c_str(), H5P_DEFAULT), H5Gclose);
    const auto weight_names = group.ok() ? ReadSplitStrings(group, "weight_names") : std::nullopt;
    if (!weight_names) {
      return arrow::Status::Invalid("layer '", group_name, "' cannot be read", LastError());
    }
    if (tensors.size() + weight_names->size() > kMaxTensors) {
      return arrow::Status::Invalid("lists more than ", kMaxTensors, " tensors");
    }
    std::map<std::string_view, size_t> seen;  // tensors of a layer so far
    for (const std::string& weight_name : *weight_names) {
      const std::vector<std::string_view> parts = SplitPath(weight_name);
      const std::string_view layer =
          parts.size() > 1 ? parts[parts.size() - 2] : std::string_view(group_name);
      const std::string_view role = parts.back().substr(0, parts.back().find(':'));
      // Keras 3 calls the tensors of some layers "vars/0"; the group then has the name.
      tensors.push_back({layer == "vars" ? group_name : std::string(layer), std::string(role),
                         seen[layer]++, prefix + group_name + "/" + weight_name});
    }
  }
  return tensors;
}

// The second layout.
std::vector<StoredTensor> ListByVariables(hid_t file) {
  std::vector<std::string> datasets;
  const auto collect = [](hid_t, const char* name, const H5O_info_t* info, void* out) -> herr_t {
    if (info->type == H5O_TYPE_DATASET) {
      static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    }
    return 0;
  };
  H5Ovisit2(file, H5_INDEX_NAME, H5_ITER_INC, collect, &datasets, H5O_INFO_BASIC);

  // The n-th layer of each class, for files that do not tell the names.
  std::map<std::string_view, std::vector<std::string>> layers_of_class;
  for (const ConvLayer& layer : MobileNetV2Layers(1.0)) {
    const bool depthwise = layer.kind == ConvLayer::Kind::kDepthwise3x3;
    layers_of_class[depthwise ? "depthwise_conv2d" : "conv2d"].push_back(layer.conv);
    layers_of_class["batch_normalization"].push_back(layer.norm);
  }

  std::vector<StoredTensor> tensors;
  for (const std::string& dataset : datasets) {
    const std::vector<std::string_view> parts = SplitPath(dataset);
    if (parts.size() < 4 || parts[parts.size() - 2] != "vars") continue;
    size_t position = 0;
    const std::string_view last = parts.back();
    std::from_chars(last.data(), last.data() + last.size(), position);

    const std::string vars = dataset.substr(0, dataset.rfind('/'));
    const Handle group(H5Gopen2(file, vars.c_str(), H5P_DEFAULT), H5Gclose);
    const auto name = ReadStrings(group, "name");
    if (name && !name->empty()) {
      tensors.push_back({name->front(), "", position, dataset});
      continue;
    }
    // Another model around the network may have convolutions too; only the network has this many
    // depthwise ones.
    const std::string_view class_and_number = parts[parts.size() - 3];
    const std::string siblings = dataset.substr(0, class_and_number.data() - dataset.data());
    if (H5Lexists(file, (siblings + "depthwise_conv2d_16").c_str(), H5P_DEFAULT) <= 0) continue;
    const auto [layer_class, number] = SplitNumber(class_and_number);
    const auto layers = layers_of_class.find(layer_class);
    if (layers == layers_of_class.end() || number >= layers->second.size()) continue;
    tensors.push_back({layers->second[number], "", position, dataset});
  }
  return tensors;
}

// The place of each tensor of MobileNetV2: by its layer and by what it is there.
class Slots {
 public:
  Slots() : tensors_(KerasTensors(1.0)) {
    for (size_t i = 0; i < tensors_.size(); ++i) layers_[tensors_[i].layer].push_back(i);
  }

  size_t size() const { return tensors_.size(); }

  // Nothing for tensors of layers that are not the network's; an index or an error for the others.
  arrow::Result<std::optional<size_t>> Find(const StoredTensor& stored) const {
    auto layer = layers_.find(stored.layer);
    // Keras appends a number where a name is taken.
    if (layer == layers_.end()) layer = layers_.find(std::string(SplitNumber(stored.layer).first));
    if (layer == layers_.end()) return std::nullopt;
    const std::vector<size_t>& slots = layer->second;
    // Keras 3 says "kernel" for depthwise_kernel.
    const auto named = std::ranges::find_if(slots, [&](size_t slot) {
      return tensors_[slot].role == stored.role ||
             (stored.role == "kernel" && tensors_[slot].role == "depthwise_kernel");
    });
    if (named != slots.end()) return *named;
    const bool only_numbered = stored.role.find_first_not_of("0123456789") == stored.role.npos;
    if (only_numbered && stored.position < slots.size()) return slots[stored.position];
    return arrow::Status::Invalid("layer '", stored.layer, "' has a tensor '", stored.dataset,
                                  "', which MobileNetV2 has not");
  }

 private:
  std::vector<KerasTensor> tensors_;
  std::map<std::string, std::vector<size_t>> layers_;
};

arrow::Result<std::vector<int64_t>> ReadShape(hid_t dataset) {
  const Handle space(H5Dget_space(dataset), H5Sclose);
  hsize_t extents[H5S_MAX_RANK];
  const int rank = H5Sget_simple_extent_dims(space, extents, nullptr);
  if (rank < 0) return arrow::Status::Invalid("has no shape");
  return std::vector<int64_t>(extents, extents + rank);
}

// h5py has no such numbers: Keras writes two opaque bytes each, and an attribute that says so.
bool IsBfloat16(hid_t dataset, hid_t type) {
  if (H5Tget_class(type) != H5T_OPAQUE || H5Tget_size(type) != sizeof(uint16_t)) return false;
  const auto dtype = ReadStrings(dataset, "dtype");
  return dtype && dtype->size() == 1 && dtype->front() == "bfloat16";
}

arrow::Result<std::vector<float>> ReadValues(hid_t dataset, const std::vector<int64_t>& shape) {
  const Handle type(H5Dget_type(dataset), H5Tclose);
  const bool bfloat16 = IsBfloat16(dataset, type);
  if (!bfloat16 && H5Tget_class(type) == H5T_OPAQUE) {
    return arrow::Status::Invalid(
        "holds numbers of a type without a name, as Keras writes bfloat16 into .h5; save the "
        "model as .keras");
  }
  if (!bfloat16 && H5Tget_class(type) != H5T_FLOAT) {
    return arrow::Status::Invalid("holds no float numbers");
  }
  ARROW_ASSIGN_OR_RAISE(const std::vector<int64_t> found, ReadShape(dataset));
  if (found != shape) {
    return arrow::Status::Invalid("has the shape ", ShapeText(found), ", not ", ShapeText(shape));
  }
  size_t count = 1;
  for (int64_t extent : shape) count *= extent;
  std::vector<float> values(count);
  if (bfloat16) {
    // The upper halves of float32.
    std::vector<uint16_t> halves(count);
    if (H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, halves.data()) < 0) {
      return arrow::Status::Invalid("cannot be read", LastError());
    }
    std::ranges::transform(halves, values.begin(), [](uint16_t half) {
      return std::bit_cast<float>(uint32_t{half} << 16);
    });
    return values;
  }
  if (H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    return arrow::Status::Invalid("cannot be read", LastError());
  }
  return values;
}

// The last convolution takes 320 channels times alpha, a number of its own for each known alpha.
arrow::Result<double> InferAlpha(const std::vector<int64_t>& last_kernel) {
  for (double alpha : kAlphas) {
    const std::vector<int> kernel = MobileNetV2Layers(alpha).back().KernelShape();
    if (std::ranges::equal(kernel, last_kernel)) return alpha;
  }
  return arrow::Status::Invalid("has the shape ", ShapeText(last_kernel),
                                ", as in no MobileNetV2 of Keras");
}

arrow::Result<std::vector<StoredTensor>> ListTensors(hid_t file) {
  for (const char* prefix : {"/", "/model_weights/"}) {
    const Handle root(H5Gopen2(file, prefix, H5P_DEFAULT), H5Gclose);
    if (!root.ok()) continue;
    const auto layer_names = ReadSplitStrings(root, "layer_names");
    if (layer_names) return ListByAttributes(root, prefix, *layer_names);
  }
  return ListByVariables(file);
}

arrow::Result<KerasWeights> ReadNetwork(hid_t file) {
  ARROW_ASSIGN_OR_RAISE(const std::vector<StoredTensor> stored, ListTensors(file));
  const Slots slots;
  std::vector<std::string> datasets(slots.size());
  for (const StoredTensor& tensor : stored) {
    ARROW_ASSIGN_OR_RAISE(const std::optional<size_t> slot, slots.Find(tensor));
    if (!slot) continue;
    std::string& dataset = datasets[*slot];
    if (!dataset.empty()) {
      return arrow::Status::Invalid("'", dataset, "' and '", tensor.dataset,
                                    "' are the same tensor of MobileNetV2");
    }
    dataset = tensor.dataset;
  }
  if (std::ranges::all_of(datasets, &std::string::empty)) {
    return arrow::Status::Invalid("no layer of MobileNetV2 is in it");
  }

  KerasWeights weights;
  std::vector<Handle> handles;
  std::vector<KerasTensor> tensors = KerasTensors(weights.alpha);
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (datasets[i].empty()) {
      return arrow::Status::Invalid("tensor '", tensors[i].name(), "' is missing");
    }
    handles.emplace_back(H5Dopen2(file, datasets[i].c_str(), H5P_DEFAULT), H5Dclose);
    if (!handles.back().ok()) {
      return arrow::Status::Invalid("tensor '", datasets[i], "' cannot be read", LastError());
    }
  }

  const auto at = [&](size_t i, const arrow::Status& status) {
    return status.WithMessage("tensor '", datasets[i], "' ", status.message());
  };
  const size_t last_kernel = tensors.size() - 5;  // four of its normalisation follow
  const auto last_shape = ReadShape(handles[last_kernel]);
  if (!last_shape.ok()) return at(last_kernel, last_shape.status());
  const auto alpha = InferAlpha(*last_shape);
  if (!alpha.ok()) return at(last_kernel, alpha.status());
  weights.alpha = *alpha;
  tensors = KerasTensors(weights.alpha);
  for (size_t i = 0; i < tensors.size(); ++i) {
    auto values = ReadValues(handles[i], tensors[i].shape);
    if (!values.ok()) return at(i, values.status());
    weights.values.push_back(*std::move(values));
  }
  return weights;
}

// Keras splits weights into NAME_00000.weights.h5, NAME_00001.weights.h5 and so on, listed in
// NAME.weights.json.
bool IsShard(const std::string& path) {
  constexpr std::string_view kEnd = ".weights.h5";
  constexpr size_t kDigits = 5;
  if (!path.ends_with(kEnd) || path.size() <= kEnd.size() + kDigits) return false;
  const std::string_view name = std::string_view(path).substr(0, path.size() - kEnd.size());
  const std::string_view number = name.substr(name.size() - kDigits);
  return name[name.size() - kDigits - 1] == '_' &&
         number.find_first_not_of("0123456789") == number.npos;
}

constexpr char kSaveWhole[] = "save them as one file: model.save(\"model.keras\")";

// The HDF5 of a file that Keras saved.
arrow::Result<Handle> OpenSaved(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return arrow::Status::Invalid("is a folder; name a file that Keras saved (.keras or .h5)");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) return arrow::Status::Invalid("cannot open: ", std::strerror(errno));
  char first[4] = {};
  file.read(first, sizeof first);
  if (first[0] == '{') {
    return arrow::Status::Invalid("is JSON, not weights; where the weights are in several files, ",
                                  kSaveWhole);
  }
  const Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  std::string name = path;
  if (std::string_view(first, sizeof first) == "PK\3\4") {
    ARROW_ASSIGN_OR_RAISE(const auto mapped, MapFile(path));
    ARROW_ASSIGN_OR_RAISE(const ZipArchive archive, ZipArchive::Open(std::string_view(*mapped)));
    auto member = archive.Read(kKerasMember, kMaxMemberBytes);
    if (member.status().IsKeyError()) {
      return arrow::Status::Invalid("is a zip archive without ", kKerasMember, " or ",
                                    kPickleMember, ": neither Keras nor PyTorch wrote it");
    }
    if (member.status().IsCapacityError()) {
      return member.status().WithMessage(member.status().message(), "; import what `unzip ", path,
                                         ' ', kKerasMember, "` gives");
    }
    ARROW_RETURN_NOT_OK(member);
    H5Pset_fapl_core(access, /*increment=*/1 << 20, /*backing_store=*/false);
    H5Pset_file_image(access, member->data(), member->size());
    name += std::string("/") + kKerasMember;  // must be no file
  }
  Handle opened(H5Fopen(name.c_str(), H5F_ACC_RDONLY, access), H5Fclose);
  if (!opened.ok()) {
    return arrow::Status::Invalid("cannot be read as HDF5", LastError(),
                                  "; expected what Keras' model.save or save_weights wrote");
  }
  return opened;
}

}  // namespace

arrow::Result<KerasWeights> ReadKerasFile(const std::string& path) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // it would print
  const auto read = [&]() -> arrow::Result<KerasWeights> {
    ARROW_ASSIGN_OR_RAISE(const Handle file, OpenSaved(path));
    return ReadNetwork(file);
  };
  auto weights = read();
  if (weights.ok()) return weights;
  std::string why = weights.status().message();
  if (IsShard(path)) why += std::string("; it is one of several files of weights: ") + kSaveWhole;
  return weights.status().WithMessage(path, ": ", why);
}

}  // namespace pomona
