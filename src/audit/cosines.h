// Cosines of rows of features that lie on the disk.
#pragma once

#include <arrow/result.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "kernels.h"
#include "pomona/cpu.h"
#include "row_file.h"

namespace pomona::audit {

// Never below 0, whatever the rounding. Where the cosine is not above 1, 1 - Distance(cosine) has the
// same order as the cosine, and its Distance() is this one again.
inline double Distance(double cosine) { return std::max(0.0, 1 - cosine); }

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
