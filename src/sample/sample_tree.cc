#include "pomona/sample.h"

#include <arrow/io/file.h>
#include <arrow/result.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csetjmp>
#include <cstddef>
#include <cstdio>  // jpeglib.h takes FILE and size_t for granted
#include <cstdlib>
#include <filesystem>
#include <span>
#include <system_error>
#include <thread>
#include <vector>

#include <jpeglib.h>

#include "fruit.h"
#include "pomona/options.h"

namespace pomona {
namespace {

constexpr int kQuality = 92;  // gives files as large as those of Fruits-360, 3 to 5 kB
constexpr size_t kPixelBytes = size_t{kFruitSize} * kFruitSize * 3;
using JpegBuffer = std::array<uint8_t, 2 * kPixelBytes>;

struct JpegErrors {
  jpeg_error_mgr base;  // first, so that libjpeg's pointer to it is a pointer to the whole
  std::jmp_buf failed;
};

// The integer DCT gives the same bytes on every machine, with vector instructions or without.
arrow::Result<std::span<const uint8_t>> EncodeJpeg(std::span<const uint8_t> rgb,
                                                   JpegBuffer* buffer) {
  jpeg_compress_struct jpeg = {};
  JpegErrors errors;
  jpeg.err = jpeg_std_error(&errors.base);
  errors.base.output_message = [](j_common_ptr) {};
  errors.base.error_exit = [](j_common_ptr failing) {
    std::longjmp(reinterpret_cast<JpegErrors*>(failing->err)->failed, 1);
  };
  if (setjmp(errors.failed) != 0) {
    char message[JMSG_LENGTH_MAX];
    errors.base.format_message(reinterpret_cast<j_common_ptr>(&jpeg), message);
    jpeg_destroy_compress(&jpeg);
    return arrow::Status::UnknownError("libjpeg: ", message);
  }

  jpeg_create_compress(&jpeg);
  unsigned char* data = buffer->data();
  unsigned long size = buffer->size();
  jpeg_mem_dest(&jpeg, &data, &size);
  jpeg.image_width = kFruitSize;
  jpeg.image_height = kFruitSize;
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, kQuality, TRUE);
  jpeg.dct_method = JDCT_ISLOW;
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    const uint8_t* row = rgb.data() + size_t{3} * kFruitSize * jpeg.next_scanline;
    JSAMPROW rows[] = {const_cast<JSAMPROW>(row)};
    jpeg_write_scanlines(&jpeg, rows, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  if (data != buffer->data()) {  // libjpeg took a larger one
    std::free(data);
    return arrow::Status::CapacityError("a sample picture takes ", size, " bytes");
  }
  return std::span<const uint8_t>(data, size);
}

arrow::Status WriteFile(const std::string& path, std::span<const uint8_t> bytes) {
  ARROW_ASSIGN_OR_RAISE(const auto file, arrow::io::FileOutputStream::Open(path));
  ARROW_RETURN_NOT_OK(file->Write(bytes.data(), static_cast<int64_t>(bytes.size())));
  return file->Close();
}

std::string LabelFolder(const std::string& dir, int fruit) {
  return (std::filesystem::path(dir) / "Training" / FruitLabel(fruit)).string();
}

// Draws and writes pictures of the tree, in no particular order, until none is left.
arrow::Status WritePictures(const std::string& dir, int64_t images, std::atomic<int64_t>* next) {
  std::vector<uint8_t> rgb(kPixelBytes);
  JpegBuffer buffer;
  for (int64_t i; (i = next->fetch_add(1)) < images;) {
    const int fruit = static_cast<int>(i % kFruits);
    const int64_t number = i / kFruits;
    DrawFruit(fruit, number, rgb);
    ARROW_ASSIGN_OR_RAISE(const auto jpeg, EncodeJpeg(rgb, &buffer));
    const std::string name = std::to_string(number) + "_" + std::to_string(kFruitSize) + ".jpg";
    ARROW_RETURN_NOT_OK(WriteFile(LabelFolder(dir, fruit) + "/" + name, jpeg));
  }
  return arrow::Status::OK();
}

}  // namespace

arrow::Status WriteSampleTree(const std::string& dir, int64_t images, int threads) {
  if (images < 1) return arrow::Status::Invalid("a sample tree needs at least one image");
  if (threads < 0) return arrow::Status::Invalid("threads must not be negative");
  threads = ThreadCount(threads);

  for (int fruit = 0; fruit < std::min<int64_t>(kFruits, images); ++fruit) {
    const std::string folder = LabelFolder(dir, fruit);
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) {
      return arrow::Status::IOError("cannot create folder '", folder, "': ", error.message());
    }
  }

  std::atomic<int64_t> next = 0;
  std::vector<arrow::Status> statuses(threads);
  std::vector<std::thread> workers;
  for (arrow::Status& status : statuses) {
    workers.emplace_back([&] {
      status = WritePictures(dir, images, &next);
      if (!status.ok()) next = images;  // the others need not go on
    });
  }
  for (std::thread& worker : workers) worker.join();
  for (const arrow::Status& status : statuses) ARROW_RETURN_NOT_OK(status);
  return arrow::Status::OK();
}

}  // namespace pomona
