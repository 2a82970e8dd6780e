// The layers of the network on a device, by the chain of docs/engine.md: acc = bias, then one fused
// multiply-add an input, in Keras' order. Written in what OpenCL C and CUDA C++ have in common and
// in the words that opencl.cl or cuda.cu, which stand before this text, define.
//
// Pictures are pixel, channel (NHWC), one behind the other. Weights of a layer are its biases and
// then Keras' kernel: a row of output channels for each input. An item computes one vector of output
// channels; neighbouring items compute neighbouring vectors, so that what they read is adjacent.
// There are some items too many, which do nothing.

#define WIDTH 8   // channels of a Vector; all numbers of channels are multiples of it
#define PIXELS 8  // that an item of `pointwise` computes, so that each weight it loads is used for all

// The probe of a device's arithmetic: out is x * y + z, x + z, and that cut to 0 and 6, one behind the
// other. n: a multiple of WIDTH.
KERNEL probe(GLOBAL const float* x, GLOBAL const float* y, GLOBAL const float* z,
             GLOBAL float* restrict out, int n) {
  const int at = ITEM * WIDTH;
  if (at >= n) return;
  const Vector sum = Add(Load(x + at), Load(z + at));
  Store(Fma(Load(x + at), Load(y + at), Load(z + at)), out + at);
  Store(sum, out + n + at);
  Store(Relu6(sum), out + 2 * n + at);
}

// The first convolution, 3x3 with a stride of 2 and ReLU6. scaled: what a byte becomes, 256 values a
// color. size: of the picture; pad: rows and columns of zeros in front.
KERNEL convolution(GLOBAL const float* weights, GLOBAL const float* scaled,
                   GLOBAL const uchar* pictures, GLOBAL float* restrict out, int n, int size,
                   int pad, int outputs) {
  const int vectors = outputs / WIDTH;
  const int channel = ITEM % vectors * WIDTH;
  const int pixel = ITEM / vectors;
  const int out_size = size / 2;
  const int picture = pixel / (out_size * out_size);
  if (picture >= n) return;
  const int top = pixel / out_size % out_size * 2 - pad;
  const int left = pixel % out_size * 2 - pad;
  GLOBAL const uchar* const bytes = pictures + picture * size * size * 3;
  Vector acc = Load(weights + channel);
  GLOBAL const float* weight = weights + outputs + channel;
  for (int y = top; y < top + 3; ++y) {
    for (int x = left; x < left + 3; ++x) {
      const int inside = y >= 0 && y < size && x >= 0 && x < size;
      for (int color = 0; color < 3; ++color, weight += outputs) {
        const float value = inside ? scaled[color * 256 + bytes[(y * size + x) * 3 + color]] : 0.0f;
        acc = Fma(Broadcast(value), Load(weight), acc);
      }
    }
  }
  Store(Relu6(acc), out + pixel * outputs + channel);
}

// A depthwise convolution, 3x3 with ReLU6. size: of the input.
KERNEL depthwise(GLOBAL const float* weights, GLOBAL const float* in, GLOBAL float* restrict out,
                 int n, int size, int pad, int stride, int channels) {
  const int vectors = channels / WIDTH;
  const int channel = ITEM % vectors * WIDTH;
  const int pixel = ITEM / vectors;
  const int out_size = size / stride;
  const int picture = pixel / (out_size * out_size);
  if (picture >= n) return;
  const int top = pixel / out_size % out_size * stride - pad;
  const int left = pixel % out_size * stride - pad;
  in += picture * size * size * channels + channel;
  Vector acc = Load(weights + channel);
  GLOBAL const float* weight = weights + channels + channel;
  for (int y = top; y < top + 3; ++y) {
    for (int x = left; x < left + 3; ++x, weight += channels) {
      const int inside = y >= 0 && y < size && x >= 0 && x < size;
      const Vector value = inside ? Load(in + (y * size + x) * channels) : Broadcast(0.0f);
      acc = Fma(value, Load(weight), acc);
    }
  }
  Store(Relu6(acc), out + pixel * channels + channel);
}

// A pointwise convolution of n pixels of however many pictures. relu6: after it; add: what `out`
// holds is added to the products' sum (a residual). Each value of `out` is read by the item that
// writes it, if at all.
KERNEL pointwise(GLOBAL const float* weights, GLOBAL const float* in, GLOBAL float* restrict out,
                 int n, int inputs, int outputs, int relu6, int add) {
  const int vectors = outputs / WIDTH;
  const int channel = ITEM % vectors * WIDTH;
  const int first = ITEM / vectors * PIXELS;
  if (first >= n) return;
  // Behind the last pixel it is computed again.
  int pixels[PIXELS];
  Vector acc[PIXELS];
#pragma unroll
  for (int p = 0; p < PIXELS; ++p) {
    pixels[p] = first + p < n ? first + p : n - 1;
    acc[p] = Load(weights + channel);
  }
  GLOBAL const float* weight = weights + outputs + channel;
  for (int input = 0; input < inputs; ++input, weight += outputs) {
    const Vector w = Load(weight);
#pragma unroll
    for (int p = 0; p < PIXELS; ++p) {
      acc[p] = Fma(Broadcast(in[pixels[p] * inputs + input]), w, acc[p]);
    }
  }
#pragma unroll
  for (int p = 0; p < PIXELS; ++p) {
    GLOBAL float* const to = out + pixels[p] * outputs + channel;
    if (add) acc[p] = Add(acc[p], Load(to));
    if (relu6) acc[p] = Relu6(acc[p]);
    if (first + p < n) Store(acc[p], to);
  }
}

// Adds each channel's values up, position after position, of n pictures.
KERNEL pool(GLOBAL const float* in, GLOBAL float* restrict out, int n, int positions,
            int channels) {
  const int vectors = channels / WIDTH;
  const int channel = ITEM % vectors * WIDTH;
  const int picture = ITEM / vectors;
  if (picture >= n) return;
  in += picture * positions * channels + channel;
  Vector sum = Broadcast(0.0f);
  for (int i = 0; i < positions; ++i) sum = Add(sum, Load(in + i * channels));
  Store(sum, out + picture * channels + channel);
}
