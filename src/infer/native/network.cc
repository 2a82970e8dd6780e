#include "infer/native/network.h"

#include <algorithm>

namespace pomona::native {
namespace {

using Kind = ConvLayer::Kind;

// What a group's rows of the expanded picture may take of the L1 cache.
constexpr size_t kRingBytes = 36 * 1024;
constexpr int kMaxRingRows = 32;

}  // namespace

arrow::Result<std::unique_ptr<const Network>> Network::Make(std::span<const FoldedLayer> layers,
                                                            int input_size, const Kernels& kernels,
                                                            const Preprocessing& preprocessing) {
  if (input_size < 32 || input_size % 32 != 0) {
    return arrow::Status::Invalid("input size ", input_size, " is not a multiple of 32");
  }
  // The first convolution or an expansion, a depthwise convolution, a projection; and again; and
  // one more convolution.
  if (layers.size() < 4 || layers.size() % 3 != 1) {
    return arrow::Status::Invalid("not the layers of a MobileNetV2");
  }
  std::unique_ptr<Network> network(new Network);
  network->input_size_ = input_size;
  network->kernels_ = &kernels;
  network->pad_ = layers[0].layer.pad;
  network->scaled_ = ScaleBytes(preprocessing);
  int size = input_size / 2;
  for (; layers.size() > 1; layers = layers.subspan(3)) {
    const ConvLayer& depthwise = layers[1].layer;
    const Kind first = network->blocks_.empty() ? Kind::kConv3x3 : Kind::kPointwise;
    if (layers[0].layer.kind != first || depthwise.kind != Kind::kDepthwise3x3 ||
        layers[2].layer.kind != Kind::kPointwise) {
      return arrow::Status::Invalid("layer ", depthwise.conv, ": not a block of a MobileNetV2");
    }
    Block block;
    block.expand = PackMatrix(layers[0], kernels.lanes);
    block.depthwise = PackDepthwise(layers[1], kernels.lanes);
    block.project = PackMatrix(layers[2], kernels.lanes);
    block.size = size;
    block.stride = depthwise.stride;
    block.pad = depthwise.pad;
    block.residual = layers[2].layer.add_residual;
    if (!block.expand.panels || !block.depthwise.vectors || !block.project.panels) {
      return arrow::Status::OutOfMemory("no memory for the network's weights");
    }
    size = block.out_size();
    network->blocks_.push_back(std::move(block));
  }
  network->last_ = PackMatrix(layers[0], kernels.lanes);
  if (!network->last_.panels) {
    return arrow::Status::OutOfMemory("no memory for the network's weights");
  }
  network->PlanStrips();
  network->PlanScratch();
  return network;
}

void Network::PlanStrips() {
  for (Block& block : blocks_) {
    int best = 1;
    for (int rows = 1; rows <= block.out_size(); ++rows) {
      block.strip_rows = rows;
      if (block.out_size() % rows == 0 && block.ring_rows() <= kMaxRingRows &&
          block.ring() * sizeof(float) <= kRingBytes) {
        best = rows;
      }
    }
    block.strip_rows = best;
  }
}

void Network::PlanScratch() {
  size_t rings = 0, zeros = 0, filtered = 0;
  size_t activations[2] = {0, 0};
  int out = 0;
  for (const Block& block : blocks_) {
    const size_t groups = block.groups();
    rings = std::max(rings, block.ring() * (block.one_strip() ? 1 : groups));
    zeros = std::max<size_t>(zeros, block.ring_row());
    filtered = std::max(filtered, block.filtered_group() * groups);
    if (!block.residual) out ^= 1;  // as in Run()
    const size_t out_size = block.out_size();
    activations[out] = std::max(activations[out], out_size * out_size * block.project.columns);
  }

  const auto place = [this](size_t floats) {
    const size_t at = layout_.total;
    layout_.total += (floats + 15) / 16 * 16;
    return at;
  };
  layout_.picture = place((2 * blocks_[0].ring_rows() + 1) * ScaledRow());
  layout_.rings = place(rings);
  layout_.zeros = place(zeros);
  layout_.filtered = place(filtered);
  layout_.activations[0] = place(activations[0]);
  layout_.activations[1] = place(activations[1]);
}

arrow::Result<Scratch> Network::NewScratch() const {
  Scratch scratch{hwy::AllocateAligned<float>(layout_.total), layout_.total * sizeof(float)};
  if (!scratch.memory) return arrow::Status::OutOfMemory("no memory for a worker's activations");
  // The padding above and below pictures stays as it is made here.
  std::fill_n(scratch.memory.get(), layout_.total, 0.0f);
  return scratch;
}

void Network::ScaleRows(const uint8_t* picture, int begin, int end, float* scaled) const {
  const ptrdiff_t row_bytes = ptrdiff_t{3} * input_size_;
  for (int y = begin; y < end; ++y, scaled += ScaledRow()) {
    if (y < 0 || y >= input_size_) {
      std::fill_n(scaled, ScaledRow(), 0.0f);
      continue;
    }
    const uint8_t* const row = picture + y * row_bytes;
    float* const out = scaled + ptrdiff_t{3} * pad_;
    for (ptrdiff_t i = 0; i < row_bytes; i += 3) {
      for (ptrdiff_t c = 0; c < 3; ++c) out[i + c] = scaled_[c][row[i + c]];
    }
    std::fill_n(pad_ ? scaled : scaled + row_bytes, 3, 0.0f);
  }
}

void Network::ExpandRows(const Block& block, int group, int begin, int end, const float* in,
                         float* ring) const {
  MatMulArgs args{.weights = &block.expand,
                  .first_column = group * kGroup,
                  .columns = std::min(kGroup, block.expanded() - group * kGroup),
                  .in = in,
                  .pixels = block.size,
                  .pixel_stride = block.expand.rows,
                  .segment_length = block.expand.rows,
                  .then = Then::kRelu6,
                  .out = ring,
                  .out_stride = kGroup,
                  .row_pixels = block.size,
                  .row_gap = 2 * kGroup};
  ptrdiff_t row_inputs = static_cast<ptrdiff_t>(block.size) * args.pixel_stride;
  int most_rows = block.ring_rows();  // in one call
  if (&block == &blocks_[0]) {
    // Windows of 3 rows of 3 pixels of 3 channels, with a stride of 2.
    args.pixel_stride = 6;
    args.segment_length = 9;
    args.segment_stride = ScaledRow();
    row_inputs = 2 * ScaledRow();
    most_rows = 1;
  }
  while (begin < end) {
    // Up to where the ring begins again.
    const int at = begin % block.ring_rows();
    const int rows = std::min({end - begin, block.ring_rows() - at, most_rows});
    args.pixels = rows * block.size;
    args.out = ring + at * block.ring_row() + kGroup;
    kernels_->matmul(args);
    args.in += rows * row_inputs;
    begin += rows;
  }
}

void Network::RunBlock(const Block& block, const uint8_t* picture, const float* in, float* out,
                       float* memory) const {
  float* const rings = memory + layout_.rings;
  float* const filtered = memory + layout_.filtered;
  const float* const zeros = memory + layout_.zeros;
  const ptrdiff_t next_ring = block.one_strip() ? 0 : block.ring();
  const int out_size = block.out_size();
  const int pad = block.pad;

  const int ring_rows = block.ring_rows() * (block.one_strip() ? 1 : block.groups());
  for (int row = 0; row < ring_rows; ++row) {
    float* const begin = rings + row * block.ring_row();
    std::fill_n(begin, kGroup, 0.0f);
    std::fill_n(begin + block.ring_row() - kGroup, kGroup, 0.0f);
  }

  int expanded = 0;  // rows of the expanded picture computed so far
  for (int begin = 0; begin < out_size; begin += block.strip_rows) {
    const int end = begin + block.strip_rows;
    const int needed = std::min((end - 1) * block.stride - pad + 3, block.size);
    const float* strip_in = in + static_cast<ptrdiff_t>(expanded) * block.size * block.expand.rows;
    if (&block == &blocks_[0]) {
      float* const scaled = memory + layout_.picture;
      ScaleRows(picture, 2 * expanded - pad_, 2 * needed + 1 - pad_, scaled);
      strip_in = scaled;
    }

    for (int group = 0; group < block.groups(); ++group) {
      float* const ring = rings + group * next_ring;
      ExpandRows(block, group, expanded, needed, strip_in, ring);

      const float* window_rows[kMaxRingRows];
      for (int row = 0; row < block.ring_rows(); ++row) {
        const int y = begin * block.stride - pad + row;
        const bool inside = y >= 0 && y < block.size;
        window_rows[row] =
            (1 - pad) * kGroup + (inside ? ring + y % block.ring_rows() * block.ring_row() : zeros);
      }
      kernels_->depthwise({.weights = &block.depthwise,
                           .first_channel = group * kGroup,
                           .channels = std::min(kGroup, block.expanded() - group * kGroup),
                           .in = window_rows,
                           .stride = block.stride,
                           .rows = block.strip_rows,
                           .pixels = out_size,
                           .out = filtered + group * block.filtered_group()});
    }
    expanded = needed;

    const int columns = block.project.columns;
    const int pixels = block.strip_rows * out_size;
    kernels_->matmul({.weights = &block.project,
                      .first_column = 0,
                      .columns = columns,
                      .in = filtered,
                      .pixels = pixels,
                      .pixel_stride = kGroup,
                      .segment_length = kGroup,
                      .segment_stride = block.filtered_group(),
                      .then = block.residual ? Then::kAdd : Then::kStore,
                      .out = out + static_cast<ptrdiff_t>(begin) * out_size * columns,
                      .out_stride = columns,
                      .row_pixels = pixels});
  }
}

void Network::Run(const uint8_t* picture, Scratch& scratch, float* features) const {
  float* const memory = scratch.memory.get();
  float* const activations[2] = {memory + layout_.activations[0], memory + layout_.activations[1]};
  int in = 0;
  for (const Block& block : blocks_) {
    // A residual is added in place: a strip's input is last read before its output is written.
    const int out = block.residual ? in : in ^ 1;
    RunBlock(block, picture, activations[in], activations[out], memory);
    in = out;
  }

  const int positions = blocks_.back().out_size() * blocks_.back().out_size();
  std::fill_n(features, last_.columns, 0.0f);
  kernels_->matmul({.weights = &last_,
                    .first_column = 0,
                    .columns = last_.columns,
                    .in = activations[in],
                    .pixels = positions,
                    .pixel_stride = last_.rows,
                    .segment_length = last_.rows,
                    .then = Then::kRelu6Pool,
                    .out = features,
                    .out_stride = 0,
                    .row_pixels = positions});
  for (int i = 0; i < last_.columns; ++i) features[i] /= static_cast<float>(positions);
}

}  // namespace pomona::native
