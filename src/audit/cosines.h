// Cosines of rows of features that lie on the disk.
#pragma once

#include <arrow/result.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels.h"
#include "pomona/cpu.h"
#include "row_file.h"
#include "short_vectors.h"
#include "tiles.h"

namespace pomona::audit {

// Never below 0, whatever the rounding.
inline double Distance(double cosine) { return std::max(0.0, 1 - cosine); }

// For ForEachNearest() by cosines, which `of` gives: Distance(product) of what it hands over is that of
// the cosine. Not the cosine itself, as what is at one distance has to come in the order of the rows.
inline ExactProduct ByCosine(decltype(ExactProduct::of) of) {
  const auto product = [of = std::move(of)](uint32_t a, uint32_t b,
                                            int thread) -> arrow::Result<double> {
    ARROW_ASSIGN_OR_RAISE(const double cosine, of(a, b, thread));
    return 1 - Distance(cosine);
  };
  return {product, kMargin};
}

// One thread's way to the cosine of two rows. `norms`: the squares of their lengths.
class Cosines {
 public:
  Cosines(std::span<const double> norms, const RowFile& features, Cpu cpu)
      : norms_(norms), first_(features), second_(features), width_(features.width()), cpu_(cpu) {}

  static std::vector<Cosines> OfThreads(int threads, std::span<const double> norms,
                                        const RowFile& features, Cpu cpu) {
    std::vector<Cosines> each;
    for (int i = 0; i < threads; ++i) each.emplace_back(norms, features, cpu);
    return each;
  }

  arrow::Result<double> Of(uint32_t a, uint32_t b) {
    ARROW_ASSIGN_OR_RAISE(const float* const first, first_.Read(a));
    return Of(first, norms_[a], b);
  }

  // `row`: features that lie in memory; `norm`: the square of their length.
  arrow::Result<double> Of(const float* row, double norm, uint32_t b) {
    ARROW_ASSIGN_OR_RAISE(const float* const second, second_.Read(b));
    return Cosine(row, second, width_, norm * norms_[b], cpu_);
  }

 private:
  const std::span<const double> norms_;
  RowFile::Reader first_, second_;  // each keeps its own, so that the one does not drop the other's
  const size_t width_;
  const Cpu cpu_;
};

}  // namespace pomona::audit
