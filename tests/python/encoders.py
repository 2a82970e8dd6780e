"""Writes pictures by whatever encoders this Python has: encoders.py FOLDER COUNT [SEED]

Pillow, tifffile with imagecodecs, OpenCV, libvips and FFmpeg (requirements/encoders.txt), in many
modes, sizes, compressions, orientations, strips and tiles. All files are whole and valid.
"""

import importlib
import io
import itertools
import logging
import pathlib
import subprocess
import sys
import warnings

import numpy as np

SIZES = [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 48, 64, 90]


class Choices:
    """Pictures and options by chance."""

    def __init__(self, folder, seed):
        self.folder = folder
        self.generator = np.random.default_rng(seed)

    def one(self, options):
        return options[int(self.generator.integers(len(options)))]

    def chance(self, share):
        return self.generator.random() < share

    def size(self):
        return self.one(SIZES), self.one(SIZES)

    def pixels(self, channels, kind=np.uint8, size=None):
        """height x width (x channels where there are several): noise, something smooth or flat."""
        width, height = size or self.size()
        shape = (height, width) if channels == 1 else (height, width, channels)
        top = 500 if kind in (np.uint32, np.int32, np.int16, np.float32) else np.iinfo(kind).max
        if kind == np.uint16 and self.chance(0.5):
            top = 400  # where it is decided what is clipped
        style = self.generator.random()
        if style < 0.4:
            values = self.generator.integers(0, top + 1, shape)
        elif style < 0.9:
            y, x = np.mgrid[0:height, 0:width]
            waves = [
                np.sin(x / self.generator.uniform(3, 30) + y / self.generator.uniform(3, 30))
                for _ in range(channels)
            ]
            values = (np.stack(waves, -1) * 0.5 + 0.5).reshape(shape) * top
        else:
            values = np.full(shape, self.generator.integers(0, top + 1))
        return values.astype(kind)


def pillow(choose):  # noqa: C901, PLR0912  a format is a branch
    from PIL import Image, ImageFile

    ImageFile.MAXBLOCK = 1 << 22
    suffixes = "jpg png webp gif bmp dib tif tif tif tif ppm tga ico pcx im sgi jp2"
    suffix = choose.one(suffixes.split())
    mode = choose.one(
        ["1", "L", "P", "LA", "RGB", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "F"]
    )
    if mode in ("I;16", "F"):
        image = Image.fromarray(choose.pixels(1, np.uint16 if mode == "I;16" else np.float32))
    elif mode == "LAB":
        pixels = choose.pixels(3)
        image = Image.frombytes("LAB", pixels.shape[1::-1], pixels.tobytes())
    else:
        image = Image.fromarray(choose.pixels(3))
        if mode in ("LA", "RGBA"):
            image.putalpha(Image.fromarray(choose.pixels(1, size=image.size)))
        image = image.quantize(choose.one([2, 5, 16, 255])) if mode == "P" else image.convert(mode)
    options = {}
    if suffix == "jpg":
        options = {
            "quality": choose.one([1, 30, 75, 95, 100]),
            "progressive": choose.chance(0.4),
            "optimize": choose.chance(0.3),
            "subsampling": choose.one([0, 1, 2]),
        }
        if choose.chance(0.3):
            options["restart_marker_blocks"] = choose.one([1, 2, 5])
    elif suffix == "webp":
        options = {"lossless": choose.chance(0.5), "quality": choose.one([0, 50, 100])}
    elif suffix == "gif":
        options = {"interlace": choose.one([0, 1])}
    elif suffix == "ico":
        options = {"sizes": [image.size], "bitmap_format": choose.one(["bmp", "png"])}
    elif suffix == "tga":
        options = {"compression": choose.one([None, "tga_rle"]), "orientation": choose.one([1, -1])}
    elif suffix == "tif":
        codecs = "tiff_lzw tiff_adobe_deflate packbits jpeg group3 group4 tiff_ccitt lzma"
        options = {"compression": choose.one([None, *codecs.split()])}
        tags = {}
        if choose.chance(0.6):
            tags[274] = choose.one(range(1, 9))
        if choose.chance(0.5):
            tags[278] = choose.one([1, 2, 8, 16])
        if choose.chance(0.2) and options["compression"] in ("tiff_lzw", "tiff_adobe_deflate"):
            tags[317] = 2
        options["tiffinfo"] = tags
    file = io.BytesIO()
    formats = {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}
    image.save(file, formats.get(suffix, suffix), **options)
    return [(suffix, file.getvalue())]


def tifffile(choose):
    import tifffile as library

    kind = choose.one(
        [np.uint8, np.uint8, np.uint8, np.uint16, np.int16, np.int32, np.float32, bool]
    )
    channels = 1 if kind not in (np.uint8, np.uint16) else choose.one([1, 3, 3, 4])
    pixels = (
        choose.pixels(channels, np.uint8) > 127 if kind is bool else choose.pixels(channels, kind)
    )
    options = {"byteorder": choose.one("<>"), "bigtiff": choose.chance(0.2)}
    write = {
        "photometric": "rgb" if channels > 2 else choose.one(["minisblack", "miniswhite"]),
        "compression": choose.one([None, "lzw", "zlib", "packbits", "lzma", "jpeg"]),
        "metadata": None,
    }
    if channels == 3 and choose.chance(0.3):
        write |= {
            "photometric": "ycbcr",
            "compression": "jpeg",
            "subsampling": choose.one([(1, 1), (2, 1), (2, 2)]),
        }
    if channels == 4:
        if choose.chance(0.3):
            write |= {"photometric": "separated"}
        else:
            write["extrasamples"] = [choose.one(["unspecified", "assocalpha", "unassalpha"])]
    if channels == 1 and kind == np.uint8 and choose.chance(0.3):
        write |= {
            "photometric": "palette",
            "colormap": choose.generator.integers(0, 65536, (3, 256)).astype(np.uint16),
        }
    if channels > 2 and choose.chance(0.3) and write["photometric"] != "ycbcr":
        write["planarconfig"] = "separate"
        pixels = np.moveaxis(pixels, -1, 0)
    if choose.chance(0.4):
        write["tile"] = choose.one([(16, 16), (32, 16), (64, 64)])
    elif choose.chance(0.5):
        write["rowsperstrip"] = choose.one([1, 2, 8, 16])
    if write["compression"] in ("lzw", "zlib") and choose.chance(0.4):
        write["predictor"] = True
    if choose.chance(0.4):
        write["extratags"] = [(274, 3, 1, choose.one(range(1, 9)), True)]
    file = io.BytesIO()
    with library.TiffWriter(file, **options) as writer:
        writer.write(pixels, **write)
    return [("tif", file.getvalue())]


def opencv(choose):
    import cv2

    suffixes = "jpg jpg png png webp bmp tif tif ppm pgm pbm pam sr ras pfm hdr jp2 gif avif"
    suffix = choose.one(suffixes.split())
    channels = choose.one([1, 3, 3, 4])
    kind = np.uint8
    options = []
    if suffix in ("pgm", "pbm"):
        channels = 1
    elif suffix == "ppm":
        channels = 3
    elif suffix in ("png", "tif") and choose.chance(0.3):
        kind = np.uint16
    elif suffix in ("pfm", "hdr"):
        channels, kind = (3 if suffix == "hdr" else choose.one([1, 3])), np.float32
    if suffix == "jpg":
        options = [
            cv2.IMWRITE_JPEG_QUALITY, choose.one([1, 50, 95, 100]),
            cv2.IMWRITE_JPEG_PROGRESSIVE, choose.one([0, 1]),
            cv2.IMWRITE_JPEG_OPTIMIZE, choose.one([0, 1]),
            cv2.IMWRITE_JPEG_RST_INTERVAL, choose.one([0, 1, 4]),
            cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
            choose.one([0x411111, 0x221111, 0x211111, 0x121111, 0x111111]),
        ]  # fmt: skip
    elif suffix == "png":
        options = [
            cv2.IMWRITE_PNG_STRATEGY, choose.one([0, 1, 2, 3, 4]),
            cv2.IMWRITE_PNG_BILEVEL, int(channels == 1 and choose.chance(0.3)),
        ]  # fmt: skip
    elif suffix == "webp":
        options = [cv2.IMWRITE_WEBP_QUALITY, choose.one([10, 80, 101])]
    elif suffix == "tif":
        options = [cv2.IMWRITE_TIFF_COMPRESSION, choose.one([1, 5, 8, 32773, 32946, 7])]
        if choose.chance(0.5):
            options += [cv2.IMWRITE_TIFF_ROWSPERSTRIP, choose.one([1, 8, 16])]
    written, file = cv2.imencode("." + suffix, choose.pixels(channels, kind), options)
    return [(suffix, file.tobytes())] if written else []


def vips(choose):  # noqa: C901, PLR0912  a format is a branch
    import pyvips

    kind = choose.one([np.uint8, np.uint8, np.uint16])
    channels = choose.one([1, 2, 3, 3, 4])
    image = pyvips.Image.new_from_array(choose.pixels(channels, kind))
    interpretation = {1: "b-w", 2: "b-w", 3: "srgb", 4: choose.one(["srgb", "cmyk"])}[channels]
    if kind == np.uint16:
        interpretation = "grey16" if channels < 3 else "rgb16"
    image = image.copy(interpretation=interpretation)
    suffix = choose.one(["jpg", "png", "png", "webp", "gif", "tif", "tif", "tif", "ppm", "hdr"])
    if suffix == "jpg":
        options = {
            "Q": choose.one([1, 50, 75, 100]),
            "interlace": choose.chance(0.4),
            "optimize_coding": choose.chance(0.3),
            "restart_interval": choose.one([0, 2]),
            "subsample_mode": choose.one(["auto", "on", "off"]),
        }
        if choose.chance(0.2):
            options |= {"interlace": True, "optimize_scans": True, "trellis_quant": True}
        file = image.jpegsave_buffer(**options)
    elif suffix == "png":
        options = {"interlace": choose.chance(0.3)}
        if kind == np.uint8 and choose.chance(0.4):
            options |= {"palette": True, "bitdepth": choose.one([1, 2, 4, 8])}
        elif channels == 1 and kind == np.uint8:
            options["bitdepth"] = choose.one([1, 2, 4, 8])
        file = image.pngsave_buffer(**options)
    elif suffix == "webp":
        file = image.webpsave_buffer(
            lossless=choose.chance(0.5),
            Q=choose.one([5, 75, 100]),
            smart_subsample=choose.chance(0.3),
            near_lossless=choose.chance(0.2),
        )
    elif suffix == "gif":
        file = image.gifsave_buffer(interlace=choose.chance(0.3), bitdepth=choose.one([1, 4, 8]))
    elif suffix == "tif":
        options = {
            "compression": choose.one(["none", "jpeg", "deflate", "packbits", "lzw", "ccittfax4"]),
            "predictor": choose.one(["none", "horizontal"]),
            "Q": choose.one([20, 75, 100]),
            "bigtiff": choose.chance(0.2),
            "miniswhite": choose.chance(0.2),
        }
        if (
            channels == 1
            and kind == np.uint8
            and (choose.chance(0.3) or options["compression"] == "ccittfax4")
        ):
            options["bitdepth"] = choose.one([1, 1, 2, 4])
        if options["compression"] == "ccittfax4" and options.get("bitdepth") != 1:
            options["compression"] = "deflate"
        if choose.chance(0.5):
            options |= {
                "tile": True,
                "tile_width": choose.one([16, 32, 128]),
                "tile_height": 16,
                "pyramid": choose.chance(0.3),
            }
        if choose.chance(0.4):
            image = image.mutate(
                lambda m: m.set_type(
                    pyvips.GValue.gint_type, "orientation", choose.one(range(1, 9))
                )
            )
        file = image.tiffsave_buffer(**options)
    elif suffix == "hdr":
        file = image.radsave_buffer()
    else:
        file = image.write_to_buffer(".ppm", ascii=choose.chance(0.3))
    return [(suffix, bytes(file))]


def imagecodecs(choose):
    import imagecodecs as library

    suffix = choose.one("jpg jpg jls png webp gif bmp jxl jp2 jxr qoi apng ljpeg".split())
    channels = choose.one([1, 3])
    pixels = choose.pixels(channels)
    if suffix == "jpg":
        options = {
            "level": choose.one([5, 75, 95, 100]),
            "optimize": choose.chance(0.3),
            "subsampling": choose.one(["444", "422", "420", "411", "440"]),
        }
        if channels == 1:
            del options["subsampling"]
        file = library.jpeg8_encode(pixels, **options)
    elif suffix == "ljpeg":
        suffix, file = "jpg", library.ljpeg_encode(choose.pixels(1))
    else:
        codec = {"jls": "jpegls", "jxl": "jpegxl", "jp2": "jpeg2k", "jxr": "jpegxr"}
        if suffix in ("gif",):
            pixels = choose.pixels(1)
        if suffix == "apng":
            frames = [choose.pixels(3, size=(20, 10)) for _ in range(3)]
            pixels = np.stack(frames)
        if suffix == "qoi":
            pixels = choose.pixels(3)
        file = getattr(library, codec.get(suffix, suffix) + "_encode")(pixels)
    return [("png" if suffix == "apng" else suffix, bytes(file))]


FFMPEG = [
    ("jpg", ["-c:v", "mjpeg"], ["yuvj420p", "yuvj422p", "yuvj444p"]),
    ("jpg", ["-c:v", "mjpeg", "-huffman", "default", "-q:v", "20"], ["yuvj420p"]),
    ("png", [], "rgb24 rgba gray ya8 gray16be rgb48be rgba64be pal8 monob".split()),
    ("png", ["-pred", "mixed"], ["rgb24", "gray"]),
    ("bmp", [], "bgra bgr24 rgb565le rgb555le rgb444le rgb8 gray pal8 monob".split()),
    *[("tif", ["-compression_algo", algo], ["rgb24", "rgba", "gray", "ya8", "gray16le", "rgb48le",
                                            "pal8", "monow", "yuv420p", "yuv422p", "yuv444p"])
      for algo in ("raw", "packbits", "lzw", "deflate")],
    ("tga", [], ["bgr24", "bgra", "rgb555le", "gray", "pal8"]),
    ("tga", ["-rle", "0"], ["bgr24", "bgra", "gray"]),
    ("gif", [], ["pal8", "gray", "rgb8"]),
    ("webp", ["-c:v", "libwebp"], ["bgra", "yuv420p"]),
    ("ppm", [], ["rgb24", "rgb48be"]),
    ("pgm", [], ["gray", "gray16be"]),
    ("pbm", [], ["monow"]),
    ("pam", [], ["rgb24", "rgba", "gray", "monob"]),
    ("pfm", [], ["gbrpf32le", "grayf32le"]),
    ("pcx", [], ["rgb24", "gray", "pal8", "monow"]),
    ("xbm", [], ["monow"]),
    ("xwd", [], ["bgr24", "gray", "rgb8"]),
    ("sun", [], ["bgr24", "gray", "monow"]),
    ("sgi", [], ["rgb24", "gray", "rgba"]),
    ("dpx", [], ["rgb24"]),
    ("jls", [], ["rgb24", "gray"]),
    ("qoi", [], ["rgb24", "rgba"]),
    ("exr", [], ["gbrpf32le"]),
    ("hdr", [], ["gbrpf32le"]),
    ("fits", [], ["gray", "gray16be"]),
]  # fmt: skip


def ffmpeg(choose, frames=2):
    import imageio_ffmpeg

    suffix, options, formats = choose.one(FFMPEG)
    width, height = choose.size()
    raw = b"".join(choose.pixels(3, size=(width, height)).tobytes() for _ in range(frames))
    program = imageio_ffmpeg.get_ffmpeg_exe()
    pixel_format = choose.one(formats)
    folder = choose.folder / "frames"
    folder.mkdir(exist_ok=True)
    subprocess.run(
        [program, "-loglevel", "error", "-y", "-threads", "1", "-f", "rawvideo",
         "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-i", "-", *options,
         "-pix_fmt", pixel_format, "-strict", "-1", "-f", "image2", str(folder / f"%d.{suffix}")],
        input=raw, check=True, capture_output=True,
    )  # fmt: skip
    files = []
    for path in folder.iterdir():
        files.append((suffix, path.read_bytes()))
        path.unlink()
    folder.rmdir()
    return files


ENCODERS = {"PIL": pillow, "tifffile": tifffile, "cv2": opencv, "pyvips": vips,
            "imagecodecs": imagecodecs, "imageio_ffmpeg": ffmpeg}  # fmt: skip


def main(folder, count, seed=1):
    warnings.simplefilter("ignore")
    logging.disable()
    choose = Choices(pathlib.Path(folder), seed)
    present = []
    for module, encoder in ENCODERS.items():
        try:
            importlib.import_module(module)
            present.append(encoder)
        except ImportError:
            pass
    written = refused = 0
    for encoder in itertools.cycle(present):
        if written >= count:
            break
        try:
            files = encoder(choose)
        except Exception:  # not every encoder takes every combination, and each says so otherwise
            refused += 1
            assert refused < 100 + 3 * count, f"{encoder.__name__} refuses nearly everything"
            continue
        for suffix, file in files:
            target = choose.folder / encoder.__name__
            target.mkdir(exist_ok=True)
            (target / f"{written:06}.{suffix}").write_bytes(file)
            written += 1
    print(
        f"{written} pictures by {', '.join(e.__name__ for e in present)}; {refused} tries refused"
    )


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
