#include <gtest/gtest.h>

#include <optional>
#include <span>
#include <string_view>
#include <variant>

#include "infer/resize.h"
#include "pictures.h"

namespace pomona {
namespace {

TEST(SniffTest, Formats) {
  const auto sniff = [](std::string_view text) { return SniffFormat(ToBytes(text)); };
  EXPECT_EQ(sniff("\xff\xd8\xff\xe0"), ImageFormat::kJpeg);
  EXPECT_EQ(sniff("\x89PNG\r\n\x1a\n"), ImageFormat::kPng);
  EXPECT_EQ(sniff("GIF87a"), ImageFormat::kGif);
  EXPECT_EQ(sniff(std::string_view("II*\0", 4)), ImageFormat::kTiff);
  EXPECT_EQ(sniff("RIFF1234WEBP"), ImageFormat::kWebp);
  EXPECT_EQ(sniff("RIFF1234WAVE"), std::nullopt);
  EXPECT_EQ(sniff("P6\n1 1\n255\n"), ImageFormat::kPnm);
  EXPECT_EQ(sniff("P7 332"), std::nullopt);
  EXPECT_EQ(sniff(std::string_view("BM............\x28\0\0\0", 18)), ImageFormat::kBmp);
  EXPECT_EQ(sniff("BMW is a maker of cars"), std::nullopt);
  EXPECT_EQ(sniff(std::string_view("\x28\0\0\0....----\1\0\x18\0", 16)), ImageFormat::kDib);
  EXPECT_EQ(sniff(std::string_view("\x28\0\0\0....----\2\0\x18\0", 16)), std::nullopt);
  EXPECT_EQ(sniff(""), std::nullopt);
  EXPECT_EQ(sniff("\xff\xd8"), std::nullopt);
}

TEST(SniffTest, FormatsThatAreNotReadHaveNames) {
  using std::string_view_literals::operator""sv;
  const auto name = [](std::string_view first) {
    const Bytes file = ToBytes(first);
    EXPECT_TRUE(IsImage("/a/no-extension", file)) << first;
    EXPECT_EQ(Decode(file).verdict, "unsupported_format") << first;
    return UnreadFormatName(file, "");
  };
  EXPECT_EQ(name("\0\0\0\x18"
                 "ftypheic\0\0\0\0mif1heic"sv),
            "HEIC");
  EXPECT_EQ(name("\0\0\0\x18"
                 "ftypmsf1\0\0\0\0mif1heic"sv),
            "HEIC");
  EXPECT_EQ(name("\0\0\0\x18"
                 "ftypisom\0\0\0\0mp42mif1"sv),
            "HEIF");
  EXPECT_EQ(name("\0\0\0\x18"
                 "ftypmif1\0\0\0\0miafavif"sv),
            "AVIF");
  EXPECT_EQ(name("\0\0\0\x18"
                 "ftypcrx \0\0\0\1crx isom"sv),
            "Canon CR3");
  EXPECT_EQ(name("\x0a\5\1\x08\0\0\0\0"sv), "PCX");
  EXPECT_EQ(name("PF\n2 2\n-1.0\n"), "color PFM");
  EXPECT_EQ(name("P7\nWIDTH 2\n"), "PAM");
  EXPECT_EQ(name("MM\0+\0\x08\0\0"sv), "big-endian BigTIFF");
  EXPECT_EQ(name("II*\0\x10\0\0\0CR\2\0"sv), "Canon CR2");
  EXPECT_EQ(name("FUJIFILMCCD-RAW 0201"), "Fujifilm RAF");
  EXPECT_EQ(name("IIRO\x08\0\0\0"sv), "Olympus ORF");
  EXPECT_EQ(name("IIU\0\x08\0\0\0"sv), "Panasonic RW2");
  EXPECT_EQ(name("II\x1a\0\0\0HEAPCCDR"sv), "Canon CRW");
  EXPECT_EQ(name("\x59\xa6\x6a\x95"), "Sun raster");
  EXPECT_EQ(name("#?RADIANCE\n"), "Radiance HDR");
  EXPECT_EQ(name("SIMPLE  =                    T"), "FITS");
  EXPECT_EQ(name("Image type: RGB image\r\n"), "IM");
  EXPECT_EQ(name("#define x_width 4\n#define x_height 1\nstatic char x_bits[] = {5};"), "XBM");
  // TGAs that are interleaved in two of the old ways, one of which begins as a cursor does.
  EXPECT_EQ(name("\0\0\2\0\0\0\0\0\0\0\0\0\1\0\1\0\x18\x40\1\2\3"sv), "interleaved TGA");
  EXPECT_EQ(name("\0\0\3\0\0\0\0\0\0\0\0\0\1\0\1\0\x08\xa0\1"sv), "interleaved TGA");
  EXPECT_EQ(name("\0\0\2\0\1\0\x20\x20\0\0\7\0\7\0\xa8\x10\0\0\x16\0\0\0"sv), "Windows cursor");
  // JPEG-LS begins as JPEG does.
  const auto jpeg_ls = "\xff\xd8\xff\xf7\0\x0b\x08\0\1\0\1\1\1\x11\0"sv;
  EXPECT_EQ(Decode(ToBytes(jpeg_ls)).verdict, "unsupported_format");
  // Neither videos nor text are images.
  for (const auto text : {"\0\0\0\x18"
                          "ftypisom\0\0\0\0isommp42"sv,
                          "\n\n\n\n"sv, "#define WIDTH 4\n"sv, "FORM1234AIFF"sv}) {
    EXPECT_FALSE(IsImage("/a/no-extension", ToBytes(text))) << text;
    EXPECT_EQ(Decode(ToBytes(text)).verdict, "corrupt") << text;
  }
}

TEST(SniffTest, NamesTellWhereBytesDoNot) {
  const auto reason = [](std::string_view path) {
    Decoder decoder;
    Resizer unused(1, 1);
    return std::get<Reject>(decoder.Decode(ToBytes("hello"), &unused, path));
  };
  EXPECT_EQ(reason("/a/b.RAF").reason, Reason::kUnsupportedFormat);
  EXPECT_EQ(reason("/a/b.RAF").message, "Fujifilm RAF images are not read");
  EXPECT_EQ(reason("/a/b.jpg").reason, Reason::kCorrupt);
  EXPECT_EQ(UnreadFormatName(ToBytes("GIF89a"), "/a/b.heic"), "");
  EXPECT_TRUE(IsImage("/a/b.x3f", ToBytes("hello")));
  EXPECT_TRUE(IsImage("/a/b", ToBytes("GIF89a")));
  EXPECT_FALSE(IsImage("/a/b.txt", ToBytes("hello")));
}

TEST(SniffTest, AppleDoubleIsNoImage) {
  const Bytes file = ToBytes(std::string_view("\0\5\x16\7\0\2\0\0Mac OS X        ", 24));
  EXPECT_TRUE(IsAppleDouble(file));
  EXPECT_FALSE(IsImage("/a/._b.jpg", file));
  EXPECT_EQ(Decode(file).verdict, "corrupt");
  EXPECT_TRUE(IsImage("/a/._b.jpg", ToBytes("hello")));
}

// More bytes than kSniffBytes tell nothing more.
TEST(SniffTest, FirstBytesAreEnough) {
  Bytes file = ToBytes("#define x_width 4\n#define x_height 1\n");
  file.resize(kSniffBytes, ' ');
  for (const char c : std::string_view("static char x_bits[] = {5};")) file.push_back(c);
  EXPECT_EQ(SniffFormat(file), SniffFormat(std::span(file).first(kSniffBytes)));
}

TEST(SniffTest, Extensions) {
  EXPECT_TRUE(HasImageExtension("/a/b.jpg"));
  EXPECT_TRUE(HasImageExtension("/a/B.JPEG"));
  EXPECT_TRUE(HasImageExtension("s3://bucket/x.tar.png"));
  EXPECT_FALSE(HasImageExtension("/a.jpg/notes.txt"));
  EXPECT_FALSE(HasImageExtension("/a.jpg/notes"));
  EXPECT_FALSE(HasImageExtension("jpg"));
  // Of CUDA's assembly and the like as well.
  for (const char* path :
       {"/a/b.ptx", "/a/b.PTX", "/a/b.ori", "/a/b.rwz", "/a/b.gpr", "/a/b.mos"}) {
    EXPECT_FALSE(HasImageExtension(path)) << path;
    EXPECT_FALSE(IsImage(path, ToBytes("//\n.version 8.5\n.target sm_90\n"))) << path;
    EXPECT_TRUE(IsImage(path, ToBytes(std::string_view("II*\0", 4)))) << path;
    EXPECT_NE(UnreadFormatName({}, path), "") << path;
  }
}

}  // namespace
}  // namespace pomona
