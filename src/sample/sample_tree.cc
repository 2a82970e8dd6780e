#include "pomona/sample.h"

#include <arrow/io/file.h>
#include <arrow/result.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <compare>
#include <csetjmp>
#include <cstddef>
#include <cstdio>  // jpeglib.h takes FILE and size_t for granted
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <vector>

#include <jpeglib.h>

#include "fruit.h"
#include "pomona/options.h"
#include "tasks.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

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

// The picture `number` of a label.
struct Picture {
  int fruit = 0;
  int64_t number = 0;
  auto operator<=>(const Picture&) const = default;
};

constexpr char kNameEnd[] = "_100.jpg";
static_assert(kFruitSize == 100);

std::string LabelFolder(const std::string& dir, int fruit) {
  return (fs::path(dir) / "Training" / FruitLabel(fruit)).string();
}

std::string PicturePath(const std::string& dir, const Picture& picture) {
  return LabelFolder(dir, picture.fruit) + "/" + std::to_string(picture.number) + kNameEnd;
}

arrow::Status Foreign(const std::string& dir, const std::string& path) {
  return arrow::Status::Invalid(dir, " holds ", path,
                                ", which `pomona sample` did not write; name a new folder");
}

// The entries of a folder; none where there is no folder.
arrow::Result<std::vector<fs::directory_entry>> Entries(const std::string& folder) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  if (!fs::is_directory(folder, error)) return entries;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    entries.push_back(*entry);
  }
  if (error) return arrow::Status::IOError("cannot list ", folder, ": ", error.message());
  return entries;
}

bool IsFolder(const fs::directory_entry& entry) {
  std::error_code error;
  return entry.symlink_status(error).type() == fs::file_type::directory;
}

// The pictures that the tree has, by their names. Invalid where it has anything else.
arrow::Result<std::vector<Picture>> ListPictures(const std::string& dir) {
  ARROW_ASSIGN_OR_RAISE(const auto roots, Entries(dir));
  for (const auto& entry : roots) {
    if (entry.path().filename() != "Training" || !IsFolder(entry)) {
      return Foreign(dir, entry.path());
    }
  }
  std::map<std::string, int> fruits;
  for (int fruit = 0; fruit < kFruits; ++fruit) fruits[LabelFolder(dir, fruit)] = fruit;
  std::vector<Picture> pictures;
  ARROW_ASSIGN_OR_RAISE(const auto labels, Entries((fs::path(dir) / "Training").string()));
  for (const auto& label : labels) {
    const auto fruit = fruits.find(label.path());
    if (fruit == fruits.end() || !IsFolder(label)) return Foreign(dir, label.path());
    ARROW_ASSIGN_OR_RAISE(const auto files, Entries(label.path()));
    for (const auto& file : files) {
      Picture picture{fruit->second, 0};
      const std::string name = file.path().filename();
      std::from_chars(name.data(), name.data() + name.size(), picture.number);
      std::error_code error;
      if (picture.number < 0 || file.path() != PicturePath(dir, picture) ||
          file.symlink_status(error).type() != fs::file_type::regular) {
        return Foreign(dir, file.path());
      }
      pictures.push_back(picture);
    }
  }
  return pictures;
}

// Draws each picture and hands its JPEG to `use`, in no particular order, on several threads at
// once.
using UseJpeg = std::function<arrow::Status(size_t index, std::span<const uint8_t> jpeg)>;
arrow::Status DrawAll(const std::vector<Picture>& pictures, int threads, const UseJpeg& use) {
  struct Canvas {
    std::vector<uint8_t> rgb = std::vector<uint8_t>(kPixelBytes);
    JpegBuffer buffer;
  };
  std::vector<Canvas> canvases(threads);
  return ParallelFor(pictures.size(), threads, {}, [&](size_t i, int thread) -> arrow::Status {
    Canvas& canvas = canvases[thread];
    DrawFruit(pictures[i].fruit, pictures[i].number, canvas.rgb);
    ARROW_ASSIGN_OR_RAISE(const auto jpeg, EncodeJpeg(canvas.rgb, &canvas.buffer));
    return use(i, jpeg);
  });
}

// How a file's content compares with the picture that belongs there.
enum class Content { kWhole, kBegun, kOther };

Content Compare(const std::string& path, std::span<const uint8_t> jpeg) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes(jpeg.size() + 1);
  file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.eof() || file.bad()) return Content::kOther;  // longer, or not to be read
  bytes.resize(static_cast<size_t>(file.gcount()));
  if (std::memcmp(bytes.data(), jpeg.data(), bytes.size()) != 0) return Content::kOther;
  return bytes.size() == jpeg.size() ? Content::kWhole : Content::kBegun;
}

}  // namespace

arrow::Result<int64_t> WriteSampleTree(const std::string& dir, int64_t images, int threads) {
  if (images < 1) return arrow::Status::Invalid("a sample tree needs at least one image");
  if (threads < 0) return arrow::Status::Invalid("threads must not be negative");
  threads = ThreadCount(threads);

  // Nothing is written before all that is there is known to be ours. What an interrupted call
  // left begins as the picture does: nothing is lost by writing it again.
  ARROW_ASSIGN_OR_RAISE(const std::vector<Picture> found, ListPictures(dir));
  std::vector<Content> contents(found.size());
  ARROW_RETURN_NOT_OK(DrawAll(found, threads, [&](size_t i, std::span<const uint8_t> jpeg) {
    const std::string path = PicturePath(dir, found[i]);
    contents[i] = Compare(path, jpeg);
    return contents[i] == Content::kOther ? Foreign(dir, path) : arrow::Status::OK();
  }));
  std::set<Picture> missing;
  int64_t earlier = 0;  // that this call would not have made
  for (int64_t i = 0; i < images; ++i) {
    missing.insert({static_cast<int>(i % kFruits), i / kFruits});
  }
  for (size_t i = 0; i < found.size(); ++i) {
    earlier += !missing.contains(found[i]);
    if (contents[i] == Content::kWhole) {
      missing.erase(found[i]);
    } else {
      missing.insert(found[i]);
    }
  }

  for (int fruit = 0; fruit < std::min<int64_t>(kFruits, images); ++fruit) {
    const std::string folder = LabelFolder(dir, fruit);
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) {
      return arrow::Status::IOError("cannot create folder '", folder, "': ", error.message());
    }
  }
  const std::vector<Picture> pictures(missing.begin(), missing.end());
  ARROW_RETURN_NOT_OK(DrawAll(pictures, threads, [&](size_t i, std::span<const uint8_t> jpeg) {
    return WriteFile(PicturePath(dir, pictures[i]), jpeg);
  }));
  return images + earlier;
}

}  // namespace pomona
