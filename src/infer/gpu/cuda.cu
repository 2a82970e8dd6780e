// The words of kernels.cl in CUDA C++. Each operation is named with its rounding, so that nothing is
// contracted into another.
#define KERNEL extern "C" __global__ void
#define GLOBAL
#define restrict __restrict__
#define ITEM ((int)(blockIdx.x * blockDim.x + threadIdx.x))

typedef unsigned char uchar;

struct Vector {
  float lane[8];
};

#define LANES(expression)       \
  Vector result;                \
  _Pragma("unroll")             \
  for (int i = 0; i < 8; ++i) { \
    result.lane[i] = expression; \
  }                             \
  return result;

__device__ Vector Fma(Vector x, Vector w, Vector acc) {
  LANES(__fmaf_rn(x.lane[i], w.lane[i], acc.lane[i]))
}
__device__ Vector Broadcast(float x) { LANES(x) }
__device__ Vector Add(Vector a, Vector b) { LANES(__fadd_rn(a.lane[i], b.lane[i])) }
__device__ Vector Relu6(Vector x) { LANES(fminf(fmaxf(x.lane[i], 0.0f), 6.0f)) }

// Addresses are multiples of 32 bytes, so a vector is two loads of 16.
__device__ Vector Load(const float* p) {
  const float4 low = ((const float4*)p)[0];
  const float4 high = ((const float4*)p)[1];
  return {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
}
__device__ void Store(Vector x, float* p) {
  ((float4*)p)[0] = make_float4(x.lane[0], x.lane[1], x.lane[2], x.lane[3]);
  ((float4*)p)[1] = make_float4(x.lane[4], x.lane[5], x.lane[6], x.lane[7]);
}
