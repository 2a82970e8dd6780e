// The words of kernels.cl in OpenCL C 1.2. Its fma() is rounded once, on every device.
#pragma OPENCL FP_CONTRACT OFF

#define KERNEL kernel void
#define GLOBAL global
#define ITEM ((int)get_global_id(0))

typedef float8 Vector;

Vector Fma(Vector x, Vector w, Vector acc) { return fma(x, w, acc); }
Vector Broadcast(float x) { return (Vector)(x); }
Vector Add(Vector a, Vector b) { return a + b; }
Vector Relu6(Vector x) { return fmin(fmax(x, 0.0f), 6.0f); }
Vector Load(global const float* p) { return vload8(0, p); }
void Store(Vector x, global float* p) { vstore8(x, 0, p); }
