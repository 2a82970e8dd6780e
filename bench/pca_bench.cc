// Moments, fit and projection of 67,692 x 1280 rows (the original's whole data set), in memory.
//
// | case    | what it does                                                                 |
// | ------- | ---------------------------------------------------------------------------- |
// | add     | co-moments of each fragment of 4,096 rows, by as many threads as it says     |
// | merge   | the fragments' moments joined in order, by one thread                        |
// | fit     | the 50 largest eigenpairs of the covariance, by as many threads as it says   |
// | project | X.V of each fragment, by as many threads as it says                          |
// | total   | the four together; the target is 3 s on two cores                            |
//
// Each line: median seconds of five runs and the arithmetic's rate, where n (n + 1) flops a row are
// counted for `add` (a triangle of multiply-adds) and 2 n k for `project`.
//
// `pca_bench fit` times only the fit, of moments of a fragment and of 300 rows, of which it says the
// CPU seconds as well.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <optional>
#include <random>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "pomona/pca.h"

namespace {

using pomona::Moments;
using pomona::Pca;

constexpr size_t kRows = 67'692;
constexpr size_t kFeatures = 1280;
constexpr size_t kComponents = 50;
constexpr size_t kFragmentRows = 4096;
constexpr size_t kFragments = (kRows + kFragmentRows - 1) / kFragmentRows;
constexpr size_t kFewRows = 300;  // as of a run in mini mode
constexpr int kRuns = 5;

// Non-negative and often zero, as features after a ReLU are, each column with a spread of its own.
std::vector<float> MakeRows(size_t count) {
  std::vector<float> spread(kFeatures);
  for (size_t j = 0; j < kFeatures; ++j) spread[j] = std::exp(-0.005f * static_cast<float>(j));
  std::minstd_rand random(1);
  std::vector<float> rows(count * kFeatures);
  for (size_t i = 0; i < rows.size(); ++i) {
    const float uniform = static_cast<float>(random()) * 0x1p-31f;
    rows[i] = std::max(0.0f, uniform - 0.3f) * spread[i % kFeatures];
  }
  return rows;
}

double Seconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Calls work(fragment) for every fragment.
void ForEachFragment(int threads, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next = 0;
  std::vector<std::jthread> workers;
  for (int t = 0; t < threads; ++t) {
    workers.emplace_back([&] {
      for (size_t fragment = next++; fragment < kFragments; fragment = next++) work(fragment);
    });
  }
}

std::array<double, 4> RunOnce(const std::vector<float>& rows, int threads) {
  const auto fragment_rows = [&](size_t fragment) {
    const size_t first = fragment * kFragmentRows;
    return std::span(rows).subspan(first * kFeatures,
                                   std::min(kFragmentRows, kRows - first) * kFeatures);
  };
  std::vector<Moments> fragments(kFragments, Moments(kFeatures));
  Moments all(kFeatures);
  std::optional<Pca> pca;
  std::vector<double> projected(kRows * kComponents);
  return {
      Seconds(
          [&] { ForEachFragment(threads, [&](size_t f) { fragments[f].Add(fragment_rows(f)); }); }),
      Seconds([&] {
        for (const Moments& fragment : fragments) all.Merge(fragment);
      }),
      Seconds([&] { pca = Pca::Fit(all, {.components = kComponents}, {}, threads).ValueOrDie(); }),
      Seconds([&] {
        ForEachFragment(threads, [&](size_t f) {
          const std::span<const float> some = fragment_rows(f);
          pca->Project(some, std::span(projected).subspan(f * kFragmentRows * kComponents,
                                                          some.size() / kFeatures * kComponents));
        });
      }),
  };
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void Print(const char* name, int threads, double seconds, double flops) {
  std::printf("%-8s %d %s %7.3f s", name, threads, threads == 1 ? "thread " : "threads", seconds);
  if (flops > 0) std::printf(" %7.1f GFLOP/s", flops / seconds * 1e-9);
  std::printf("\n");
}

void TimeFits() {
  const std::vector<float> rows = MakeRows(kFragmentRows);
  for (const size_t count : {kFragmentRows, kFewRows}) {
    Moments moments(kFeatures);
    moments.Add(std::span(rows).first(count * kFeatures));
    for (const int threads : {1, 2}) {
      std::vector<double> seconds, cpu_seconds;
      for (int run = 0; run < kRuns; ++run) {
        const std::clock_t start = std::clock();
        seconds.push_back(Seconds([&] {
          (void)Pca::Fit(moments, {.components = kComponents}, {}, threads).ValueOrDie();
        }));
        cpu_seconds.push_back(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
      }
      std::printf("fit of %4zu rows, threads: %d %7.3f s, %7.3f s of CPU\n", count, threads,
                  Median(seconds), Median(cpu_seconds));
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "fit") {
    TimeFits();
    return 0;
  }
  const std::vector<float> rows = MakeRows(kRows);
  for (const int threads : {1, 2}) {
    std::array<std::vector<double>, 5> seconds;
    for (int run = 0; run < kRuns; ++run) {
      const std::array<double, 4> parts = RunOnce(rows, threads);
      for (size_t i = 0; i < parts.size(); ++i) seconds[i].push_back(parts[i]);
      seconds[4].push_back(parts[0] + parts[1] + parts[2] + parts[3]);
    }
    Print("add", threads, Median(seconds[0]), double{kRows} * kFeatures * (kFeatures + 1));
    Print("merge", 1, Median(seconds[1]), 0);
    Print("fit", threads, Median(seconds[2]), 0);
    Print("project", threads, Median(seconds[3]), 2.0 * kRows * kFeatures * kComponents);
    Print("total", threads, Median(seconds[4]), 0);
  }
}
