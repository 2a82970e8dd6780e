// A layer between an OpenCL loader and its drivers (OPENCL_LAYERS=this file) that makes a device fail
// as the environment says:
//   POMONA_FAULT_CALL=NAME    this call fails,
//   POMONA_FAULT_CODE=N         with this code (-5: out of resources),
//   POMONA_FAULT_AFTER=N        after so many that did not, and ever after;
//   POMONA_FAULT_BYTES=N      larger buffers are refused;
//   POMONA_FAULT_ITEMS=N      launches of more items are;
//   POMONA_FAULT_FLUSHES=1    its multiply-adds lose denormals,
//   POMONA_FAULT_TWICE=1        or are rounded twice.
#define CL_TARGET_OPENCL_VERSION 300
#include <CL/cl_layer.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

const cl_icd_dispatch* driver;
cl_icd_dispatch layer;

long long Number(const char* name, long long otherwise) {
  const char* const text = std::getenv(name);
  return text ? std::atoll(text) : otherwise;
}

// The code with which this call of `name` is to fail.
cl_int Fault(const char* name) {
  static std::atomic<long long> calls = 0;
  const char* const failing = std::getenv("POMONA_FAULT_CALL");
  if (!failing || std::strcmp(failing, name) != 0) return CL_SUCCESS;
  if (calls++ < Number("POMONA_FAULT_AFTER", 0)) return CL_SUCCESS;
  return static_cast<cl_int>(Number("POMONA_FAULT_CODE", CL_OUT_OF_RESOURCES));
}

cl_mem CL_API_CALL CreateBuffer(cl_context context, cl_mem_flags flags, size_t bytes, void* host,
                                cl_int* code) {
  if (static_cast<long long>(bytes) > Number("POMONA_FAULT_BYTES", 1LL << 62)) {
    if (code) *code = CL_MEM_OBJECT_ALLOCATION_FAILURE;
    return nullptr;
  }
  return driver->clCreateBuffer(context, flags, bytes, host, code);
}

cl_program CL_API_CALL CreateProgram(cl_context context, cl_uint count, const char** texts,
                                     const size_t* lengths, cl_int* code) {
  std::string text;
  for (cl_uint i = 0; i < count; ++i) {
    text += lengths && lengths[i] ? std::string(texts[i], lengths[i]) : texts[i];
  }
  const auto replace = [&](const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
  };
  const std::string fused = "return fma(x, w, acc);";
  if (std::getenv("POMONA_FAULT_TWICE")) replace(fused, "return x * w + acc;");
  if (std::getenv("POMONA_FAULT_FLUSHES")) {
    replace(fused, "acc = fma(x, w, acc); return select(acc, 0.0f * acc, fabs(acc) < 0x1p-126f);");
  }
  const char* one = text.c_str();
  return driver->clCreateProgramWithSource(context, 1, &one, nullptr, code);
}

cl_int CL_API_CALL Launch(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                          const size_t* offset, const size_t* global, const size_t* local,
                          cl_uint waits, const cl_event* events, cl_event* event) {
  const cl_int fault = Fault("clEnqueueNDRangeKernel");
  if (fault != CL_SUCCESS) return fault;
  if (static_cast<long long>(*global) > Number("POMONA_FAULT_ITEMS", 1LL << 62)) {
    return CL_OUT_OF_RESOURCES;
  }
  return driver->clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, global, local, waits,
                                        events, event);
}

cl_int CL_API_CALL Read(cl_command_queue queue, cl_mem buffer, cl_bool blocking, size_t offset,
                        size_t bytes, void* to, cl_uint waits, const cl_event* events,
                        cl_event* event) {
  const cl_int fault = Fault("clEnqueueReadBuffer");
  if (fault != CL_SUCCESS) return fault;
  return driver->clEnqueueReadBuffer(queue, buffer, blocking, offset, bytes, to, waits, events,
                                     event);
}

}  // namespace

extern "C" {

CL_API_ENTRY cl_int CL_API_CALL clGetLayerInfo(cl_layer_info what, size_t bytes, void* value,
                                               size_t* needed) {
  if (what != CL_LAYER_API_VERSION) return CL_INVALID_VALUE;
  const cl_layer_api_version version = CL_LAYER_API_VERSION_100;
  if (needed) *needed = sizeof version;
  if (value && bytes >= sizeof version) std::memcpy(value, &version, sizeof version);
  return CL_SUCCESS;
}

CL_API_ENTRY cl_int CL_API_CALL clInitLayer(cl_uint count, const cl_icd_dispatch* target,
                                            cl_uint* layer_count, const cl_icd_dispatch** made) {
  const cl_uint all = sizeof layer / sizeof layer.clGetPlatformIDs;
  if (count < all) return CL_INVALID_VALUE;
  driver = target;
  layer = *target;
  layer.clCreateBuffer = &CreateBuffer;
  layer.clCreateProgramWithSource = &CreateProgram;
  layer.clEnqueueNDRangeKernel = &Launch;
  layer.clEnqueueReadBuffer = &Read;
  *layer_count = all;
  *made = &layer;
  return CL_SUCCESS;
}
}
