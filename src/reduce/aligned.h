// Arrays as the kernels' vectors are loaded from.
#pragma once

#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <cstddef>
#include <new>

namespace pomona::reduce {

using AlignedDoubles = hwy::AlignedFreeUniquePtr<double[]>;

// Throws std::bad_alloc, which the allocator does not.
inline AlignedDoubles AllocateDoubles(size_t count) {
  AlignedDoubles memory = hwy::AllocateAligned<double>(count);
  if (!memory) throw std::bad_alloc();
  return memory;
}

inline AlignedDoubles AllocateZeros(size_t count) {
  AlignedDoubles memory = AllocateDoubles(count);
  std::fill_n(memory.get(), count, 0.0);
  return memory;
}

}  // namespace pomona::reduce
