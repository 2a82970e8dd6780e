// Time for one picture on one core, from the bytes of its file to the network's input.
//
//   DecodeJpeg/W/H   decodes and resizes a baseline JPEG (4:2:0, quality 90) of W x H pixels
//   OnlyJpeg/W/H     decodes it
//   Libjpeg/W/H      decodes it by libjpeg, row by row
//   DecodePng/W/H    decodes and resizes an 8-bit RGB PNG of W x H pixels
//   Resize/W/H       resamples W x H pixels to 224 x 224
//   FILE             the same as a run does with it, for each FILE among the arguments;
//   scaled/FILE      likewise with --decode scaled
//
// 100 x 100 is the size of Fruits-360, 640 x 480 that of common data sets, 4000 x 3000 that of a
// camera. The pictures are smooth with some noise, and compress much like photographs.
#include <benchmark/benchmark.h>
#include <png.h>

#include <cstdio>  // jpeglib.h needs it first

#include <jpeglib.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "infer/resize.h"
#include "pomona/decode.h"
#include "pomona/engine.h"
#include "pomona/row_sink.h"

namespace {

using Bytes = std::vector<uint8_t>;

Bytes MakePixels(int width, int height) {
  std::mt19937 random(1);
  Bytes rgb;
  rgb.reserve(size_t{3} * width * height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const double wave = std::sin(x * 0.05 + c) * std::cos(y * 0.03 - c);
        rgb.push_back(static_cast<uint8_t>(124 + 110 * wave + random() % 8));
      }
    }
  }
  return rgb;
}

Bytes MakeJpeg(int width, int height) {
  const Bytes rgb = MakePixels(width, height);
  jpeg_compress_struct cinfo;
  jpeg_error_mgr errors;
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_compress(&cinfo);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&cinfo, &buffer, &size);
  cinfo.image_width = width;
  cinfo.image_height = height;
  cinfo.input_components = 3;
  cinfo.in_color_space = JCS_RGB;
  jpeg_set_defaults(&cinfo);
  jpeg_set_quality(&cinfo, 90, TRUE);
  jpeg_start_compress(&cinfo, TRUE);
  while (cinfo.next_scanline < cinfo.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(&rgb[size_t{3} * width * cinfo.next_scanline]);
    jpeg_write_scanlines(&cinfo, &row, 1);
  }
  jpeg_finish_compress(&cinfo);
  jpeg_destroy_compress(&cinfo);
  Bytes file(buffer, buffer + size);
  std::free(buffer);
  return file;
}

Bytes MakePng(int width, int height) {
  const Bytes rgb = MakePixels(width, height);
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = PNG_FORMAT_RGB;
  Bytes file(PNG_IMAGE_PNG_SIZE_MAX(image));
  png_alloc_size_t size = file.size();
  png_image_write_to_memory(&image, file.data(), &size, 0, rgb.data(), 0, nullptr);
  file.resize(size);
  return file;
}

void DecodeFile(benchmark::State& state, const Bytes& file, int scaled_side) {
  pomona::Decoder decoder({}, nullptr, scaled_side);
  pomona::Resizer resizer(pomona::kKerasPreprocessing);
  for (auto _ : state) {
    const auto result = decoder.Decode(file, &resizer);
    if (!std::holds_alternative<pomona::PictureInfo>(result)) state.SkipWithError("rejected");
    benchmark::DoNotOptimize(result);
  }
}

void Decode(benchmark::State& state, Bytes (*make)(int, int)) {
  DecodeFile(state, make(static_cast<int>(state.range(0)), static_cast<int>(state.range(1))), 0);
}

class NoRows : public pomona::RowSink {
 public:
  void Begin(int, int) override {}
  void Add(const uint8_t*, int) noexcept override {}
};

void OnlyJpeg(benchmark::State& state) {
  const Bytes file = MakeJpeg(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  pomona::Decoder decoder;
  NoRows rows;
  for (auto _ : state) benchmark::DoNotOptimize(decoder.Decode(file, &rows));
}

void Libjpeg(benchmark::State& state) {
  const Bytes file = MakeJpeg(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  Bytes row(size_t{3} * static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    jpeg_decompress_struct cinfo;
    jpeg_error_mgr errors;
    cinfo.err = jpeg_std_error(&errors);
    jpeg_create_decompress(&cinfo);
    jpeg_mem_src(&cinfo, file.data(), file.size());
    jpeg_read_header(&cinfo, TRUE);
    jpeg_start_decompress(&cinfo);
    JSAMPROW target = row.data();
    while (cinfo.output_scanline < cinfo.output_height) jpeg_read_scanlines(&cinfo, &target, 1);
    jpeg_finish_decompress(&cinfo);
    jpeg_destroy_decompress(&cinfo);
    benchmark::ClobberMemory();
  }
}

void Resize(benchmark::State& state) {
  const int width = static_cast<int>(state.range(0));
  const int height = static_cast<int>(state.range(1));
  const Bytes rgb = MakePixels(width, height);
  Bytes out(pomona::kPictureBytes);
  pomona::Resizer resizer(pomona::kKerasPreprocessing);
  for (auto _ : state) {
    resizer.Resize(width, height, rgb, out);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
}

void Sizes(benchmark::internal::Benchmark* bench) {
  bench->Args({100, 100})->Args({640, 480})->Args({4000, 3000})->Unit(benchmark::kMicrosecond);
}

BENCHMARK_CAPTURE(Decode, Jpeg, MakeJpeg)->Name("DecodeJpeg")->Apply(Sizes);
BENCHMARK(OnlyJpeg)->Apply(Sizes);
BENCHMARK(Libjpeg)->Apply(Sizes);
BENCHMARK_CAPTURE(Decode, Png, MakePng)->Name("DecodePng")->Apply(Sizes);
BENCHMARK(Resize)->Apply(Sizes);

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  for (int i = 1; i < argc; ++i) {
    std::ifstream stream(argv[i], std::ios::binary);
    const Bytes file{std::istreambuf_iterator<char>(stream), {}};
    for (const int side : {0, pomona::kKerasPreprocessing.scaled_side()}) {
      benchmark::RegisterBenchmark(
          (std::string(side ? "scaled/" : "") + argv[i]).c_str(),
          [file, side](benchmark::State& state) { DecodeFile(state, file, side); })
          ->Unit(benchmark::kMicrosecond);
    }
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
