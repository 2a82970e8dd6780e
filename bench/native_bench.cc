// The native engine's network on random weights.
//
//   limit     fused multiply-adds of one core, from a loop without memory
//   network   ms an image on one thread, and with a worker on each of two threads
//   layers    each layer inside the running network: FLOPs, µs, share of the limit
//   load      packing the weights; scratch memory of a worker
//
// Usage: native_bench [avx512|avx2|neon|scalar]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "bench/fma_limit.h"
#include "infer/native/network.h"
#include "tests/infer/native_reference.h"

namespace pomona::native {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Quantile(std::vector<double> values, double q) {
  const auto at = values.begin() + static_cast<ptrdiff_t>(q * static_cast<double>(values.size()));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

double Median(std::vector<double> values) { return Quantile(std::move(values), 0.5); }

// Of each layer, two for a multiply-add.
std::vector<double> Flops(const std::vector<FoldedLayer>& layers) {
  std::vector<double> flops;
  int size = kInputSize;
  for (const FoldedLayer& folded : layers) {
    size /= folded.layer.stride;
    flops.push_back(2.0 * size * size * static_cast<double>(folded.kernel.size()));
  }
  return flops;
}

// CPU time of this thread: what other programs take of the core does not count.
double ThreadSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Seconds an image of each run.
std::vector<double> TimeNetwork(const Network& network, int runs) {
  Scratch scratch = network.NewScratch().ValueOrDie();
  const std::vector<uint8_t> picture = RandomPicture(network.input_size(), 1);
  std::vector<float> features(network.features());
  std::vector<double> times;
  for (int run = 0; run < runs; ++run) {
    const double start = ThreadSeconds();
    network.Run(picture.data(), scratch, features.data());
    times.push_back(ThreadSeconds() - start);
  }
  return times;
}

// Kernels that add up the time spent for each layer's weights.
const Kernels* timed;
std::map<const void*, double> layer_seconds;
std::vector<const void*> layer_order;

template <class Args>
void Timed(void (*kernel)(const Args&), const Args& args) {
  const auto start = Clock::now();
  kernel(args);
  const double seconds = Seconds(start);
  const auto [entry, is_new] = layer_seconds.insert({args.weights, 0});
  if (is_new) layer_order.push_back(args.weights);
  entry->second += seconds;
}

void PrintLayers(const std::vector<FoldedLayer>& layers, const Kernels& kernels, double limit) {
  timed = &kernels;
  const Kernels wrapped = {
      .name = kernels.name,
      .lanes = kernels.lanes,
      .matmul = [](const MatMulArgs& args) { Timed(timed->matmul, args); },
      .depthwise = [](const DepthwiseArgs& args) { Timed(timed->depthwise, args); }};
  const auto network = Network::Make(layers, kInputSize, wrapped).ValueOrDie();
  TimeNetwork(*network, 1);
  std::map<const void*, std::vector<double>> times;
  std::vector<double> whole;
  for (int run = 0; run < 200; ++run) {
    layer_seconds.clear();
    whole.push_back(TimeNetwork(*network, 1)[0]);
    for (const auto& [layer, seconds] : layer_seconds) times[layer].push_back(seconds);
  }
  const auto seconds = [&](size_t layer) { return Quantile(times[layer_order[layer]], 0.1); };
  const std::vector<double> flops = Flops(layers);
  std::printf("\n| block | channels | output | MFLOP | expand | depthwise | project |\n");
  std::printf("| --- | --- | --- | --- | --- | --- | --- |\n");
  int size = kInputSize;
  double sum = 0;
  // Three layers a row, and the last one alone.
  for (size_t begin = 0; begin < layers.size(); begin += 3) {
    std::string channels = std::to_string(layers[begin].layer.in_channels);
    std::string columns;
    double block_flops = 0;
    for (size_t i = begin; i < std::min(begin + 3, layers.size()); ++i) {
      const ConvLayer& layer = layers[i].layer;
      size /= layer.stride;
      if (layer.kind != ConvLayer::Kind::kDepthwise3x3) {
        channels += ", " + std::to_string(layer.out_channels);
      }
      block_flops += flops[i];
      sum += seconds(i);
      char column[64];
      std::snprintf(column, sizeof column, " %.0f (%.2f) |", seconds(i) * 1e6,
                    flops[i] / seconds(i) / limit);
      columns += column;
    }
    const std::string& name = layers[begin].layer.conv;
    std::printf("| %s | %s | %dx%d | %.1f |%s\n", name.substr(0, name.rfind("_expand")).c_str(),
                channels.c_str(), size, size, block_flops / 1e6, columns.c_str());
  }
  const double all_flops = std::accumulate(flops.begin(), flops.end(), 0.0);
  std::printf("\nin µs (share of the limit)\n");
  std::printf("all layers           %.0f µs, %.2f of the limit\n", sum * 1e6,
              all_flops / sum / limit);
  std::printf("the rest, timers too %.0f µs\n", (Quantile(whole, 0.1) - sum) * 1e6);
}

int Main(int argc, char** argv) {
  const std::map<std::string, Cpu> cpus = {{"avx512", Cpu::kAvx512},
                                           {"avx2", Cpu::kAvx2},
                                           {"neon", Cpu::kNeon},
                                           {"scalar", Cpu::kScalar}};
  const auto found = argc > 1 ? cpus.find(argv[1]) : cpus.end();
  const Cpu cpu = found == cpus.end() ? Cpu::kBest : found->second;
  const Kernels* kernels = KernelsFor(cpu);
  if (kernels == nullptr) {
    std::fprintf(stderr, "this machine lacks these instructions\n");
    return 1;
  }
  const std::vector<FoldedLayer> layers = RandomLayers(1.0, 1);
  const std::vector<double> layer_flops = Flops(layers);
  const double flops = std::accumulate(layer_flops.begin(), layer_flops.end(), 0.0);

  const auto start = Clock::now();
  const auto network = Network::Make(layers, kInputSize, *kernels).ValueOrDie();
  const double load = Seconds(start);
  double limit = bench::FmaLimit(cpu);
  std::vector<double> one = TimeNetwork(*network, 300);
  limit = std::max(limit, bench::FmaLimit(cpu));

  std::vector<double> two[2];
  std::thread other([&] { two[1] = TimeNetwork(*network, 300); });
  two[0] = TimeNetwork(*network, 300);
  other.join();

  std::printf("kernels              %s\n", kernels->name);
  std::printf("limit of one core    %.1f GFLOP/s\n", limit / 1e9);
  std::printf("network              %.1f MFLOP\n", flops / 1e6);
  std::printf("one thread           %.3f ms an image (best %.3f), %.2f of the limit\n",
              Median(one) * 1e3, *std::min_element(one.begin(), one.end()) * 1e3,
              flops / Median(one) / limit);
  std::printf("two threads          %.3f ms an image and thread, %.0f images/s\n",
              (Median(two[0]) + Median(two[1])) / 2 * 1e3, 1 / Median(two[0]) + 1 / Median(two[1]));
  std::printf("load                 %.2f ms\n", load * 1e3);
  std::printf("scratch of a worker  %.2f MiB\n",
              static_cast<double>(network->NewScratch()->bytes) / (1 << 20));
  PrintLayers(layers, *kernels, limit);
  return 0;
}

}  // namespace
}  // namespace pomona::native

int main(int argc, char** argv) { return pomona::native::Main(argc, argv); }
