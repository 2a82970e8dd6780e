"""Pixels before and after the resize are Pillow's, bit for bit, as `pomona check` hashes them.
TIFF, which is a world of its own, is in test_tiff.py."""

import itertools
import json
import os
import random
import re
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pixels import assert_same_pixels, noise, picture_of, save_all, sizes, smooth


def test_every_small_size(pomona, tmp_path):
    generator = np.random.default_rng(1)
    for height in range(1, 65):
        folder = tmp_path / f"{height:02}"
        folder.mkdir()
        for width in range(1, 65):
            picture = Image.fromarray(noise(generator, width, height))
            picture.save(folder / f"{width:02}.png", compress_level=1)
    assert_same_pixels(pomona, tmp_path)


def test_larger_sizes(pomona, tmp_path):
    generator = np.random.default_rng(2)
    sizes = [(int(w), int(h)) for w, h in generator.integers(65, 1500, (60, 2))]
    sizes += [
        (223, 225),
        (224, 224),
        (225, 223),
        (224, 1),
        (1, 224),
        (224, 500),
        (500, 224),
        (448, 448),
        (4000, 3000),
    ]
    (tmp_path / "large").mkdir()
    for width, height in sizes:
        picture = Image.fromarray(noise(generator, width, height))
        picture.save(tmp_path / "large" / f"{width}x{height}.png", compress_level=1)
    assert_same_pixels(pomona, tmp_path)


def test_extreme_aspect_ratios(pomona, tmp_path):
    generator = np.random.default_rng(3)
    (tmp_path / "strips").mkdir()
    for width, height in [
        (1, 5000),
        (5000, 1),
        (2, 20000),
        (20000, 2),
        (3, 30000),
        (30000, 3),
        (65000, 1),
        (1, 65000),
        (7, 9999),
        (9999, 7),
        (1000, 5),
        (5, 1000),
    ]:
        picture = Image.fromarray(noise(generator, width, height))
        picture.save(tmp_path / "strips" / f"{width}x{height}.png", compress_level=1)
        picture.save(tmp_path / "strips" / f"{width}x{height}.jpg")
    assert_same_pixels(pomona, tmp_path)


def test_values_at_the_ends_of_the_scale(pomona, tmp_path):
    """Bicubic overshoots: sums below 0 and above 255 are clipped."""
    generator = np.random.default_rng(4)
    (tmp_path / "black-white").mkdir()
    for size in (2, 3, 17, 100, 223, 225, 640):
        pixels = generator.integers(0, 2, (size, size + 1, 3), np.uint8) * 255
        Image.fromarray(pixels).save(tmp_path / "black-white" / f"{size}.png")
    assert_same_pixels(pomona, tmp_path)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg(pomona, tmp_path, mode):
    generator = np.random.default_rng(5)
    choose = random.Random(5)
    (tmp_path / mode).mkdir()
    for i in range(120):
        width, height = choose.randint(1, 300), choose.randint(1, 300)
        picture = smooth(generator, width, height)
        if i % 3 == 0:
            picture = Image.fromarray(noise(generator, width, height))
        options = {
            "quality": choose.choice([1, 10, 30, 50, 75, 90, 95, 100]),
            "progressive": choose.random() < 0.5,
            "optimize": choose.random() < 0.3,
        }
        if mode != "L":
            options["subsampling"] = choose.choice(["4:4:4", "4:2:2", "4:2:0"])
        if choose.random() < 0.3:
            options["restart_marker_blocks"] = choose.randint(1, 8)
        picture.convert(mode).save(tmp_path / mode / f"{i:03}.jpg", **options)
    assert_same_pixels(pomona, tmp_path)


def lossless_jpeg(pixels, *, one_scan=True, precision=8, marker=b""):
    """Each sample is coded as its difference from the one at its left."""
    height, width, channels = pixels.shape
    left = np.roll(pixels, 1, axis=1).astype(int)
    left[1:, 0] = pixels[:-1, 0]  # where there is none, from the one above
    left[0, 0] = 1 << (precision - 1)
    differences = pixels - left

    def code(difference):  # five bits say how many follow
        size = abs(difference).bit_length()
        value = difference if difference >= 0 else difference + (1 << size) - 1
        return f"{size:05b}" + (f"{value:0{size}b}" if size else "")

    def segment(kind, content):
        return struct.pack(">BBH", 0xFF, kind, 2 + len(content)) + bytes(content)

    def scan(components):
        bits = "".join(code(int(d)) for d in differences[:, :, components].ravel())
        bits += "1" * (-len(bits) % 8)
        data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
        tables = [number for c in components for number in (c + 1, 0)]
        return segment(0xDA, [len(components), *tables, 1, 0, 0]) + data

    frame = struct.pack(">BHHB", precision, height, width, channels)
    frame += b"".join(bytes([c + 1, 0x11, 0]) for c in range(channels))
    lengths = [17 if length == 5 else 0 for length in range(1, 17)]
    file = b"\xff\xd8" + marker + segment(0xC3, frame) + segment(0xC4, [0, *lengths, *range(17)])
    scans = [list(range(channels))] if one_scan else [[c] for c in range(channels)]
    return file + b"".join(map(scan, scans)) + b"\xff\xd9"


def test_lossless_jpeg(pomona, tmp_path):
    """libjpeg-turbo 3 reads them, as Pillow's does; 2 does not."""
    generator = np.random.default_rng(21)
    for folder in ("read", "refused"):
        (tmp_path / folder).mkdir()
    for i, (width, height) in enumerate([(1, 1), (1, 9), (40, 1), (33, 50), (210, 200)]):
        for channels in (1, 3, 4):
            pixels = noise(generator, width, height, channels)
            for one_scan in (False, True):
                file = lossless_jpeg(pixels, one_scan=one_scan)
                (tmp_path / f"read/{i}-{channels}-{one_scan:d}.jpg").write_bytes(file)
    # What Pillow does not read either.
    pixels = noise(generator, 20, 10)
    for precision in (2, 7, 9, 12, 16):
        samples = pixels >> max(0, 8 - precision)
        file = lossless_jpeg(samples, precision=precision)
        (tmp_path / f"refused/precision-{precision}.jpg").write_bytes(file)
    jfif = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"  # its colours are YCbCr
    (tmp_path / "refused/jfif.jpg").write_bytes(lossless_jpeg(pixels, marker=jfif))
    refused = [tmp_path / "refused"]

    version = subprocess.run([pomona, "version"], capture_output=True, text=True, check=True)
    if re.search(r"^libjpeg-turbo +2", version.stdout, re.MULTILINE):
        refused.append(tmp_path / "read")
    else:
        assert_same_pixels(pomona, tmp_path / "read")
        # A byte a sample is kept, not as much as blocks of coefficients take.
        little = check_lines(pomona, tmp_path / "read", 1, 0, "--memory", "32M")
        assert little == check_lines(pomona, tmp_path / "read", 1, 0)
    for tree in refused:
        lines = [json.loads(line) for line in check_lines(pomona, tree, 2, 0).splitlines()]
        assert len(lines) == len(list(tree.iterdir()))
        assert {line.get("reason") for line in lines} == {"unsupported_format"}
    for path in (tmp_path / "refused").iterdir():
        with (
            pytest.raises(OSError, match=r"cannot identify|broken data"),
            Image.open(path) as image,
        ):
            image.load()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16"])
def test_png(pomona, tmp_path, mode):
    generator = np.random.default_rng(6)
    (tmp_path / "png").mkdir()
    for i in range(40):
        width, height = (int(n) for n in generator.integers(1, 200, 2))
        options = {}
        if mode == "I;16":
            pixels = generator.integers(0, 65536, (height, width), np.uint16)
            if i % 2:  # below 256, where not every value clips
                pixels >>= 8
            picture = Image.fromarray(pixels)
        elif mode == "RGBA":
            picture = Image.fromarray(noise(generator, width, height, 4))
        elif mode == "LA":
            picture = Image.fromarray(noise(generator, width, height, 2))
        elif mode == "P":
            picture = smooth(generator, width, height).quantize(int(generator.integers(2, 257)))
            options = {"transparency": 1} if i % 4 == 0 else {}
        else:
            picture = Image.fromarray(noise(generator, width, height)).convert(mode)
            if mode != "1" and i % 4 == 0:
                options = {"transparency": 7 if mode == "L" else (7, 8, 9)}
        assert picture.mode == mode
        picture.save(tmp_path / "png" / f"{i:02}.png", **options)
    assert_same_pixels(pomona, tmp_path)


def test_webp(pomona, tmp_path):
    generator = np.random.default_rng(10)
    options = [{"lossless": True}, {"lossless": True, "exact": True, "quality": 100}]
    options += [{"quality": q, "method": m} for q, m in [(0, 0), (50, 4), (80, 6), (100, 2)]]
    options += [{"quality": 70, "alpha_quality": 10}]
    assert (
        save_all(tmp_path / "still", ".webp", generator, ["L", "P", "RGB", "RGBA"], options) > 150
    )
    for i, mode in enumerate(["RGB", "RGBA"] * 8):
        width, height = sizes(generator, 1, 2)[0]
        frames = [picture_of(generator, mode, width, height) for _ in range(4)]
        frames[0].save(
            tmp_path / "still" / f"animated-{i}.webp",
            save_all=True,
            duration=40,
            append_images=frames[1:],
            lossless=i % 4 < 2,
            minimize_size=i % 3 == 0,
        )
    # A first frame that covers a part of the canvas: 2 more on each side.
    frame = (tmp_path / "still" / "animated-0.webp").read_bytes()
    at = frame.index(b"ANMF")
    moved = bytearray(frame)
    moved[at + 8] = moved[at + 11] = 1  # offsets are halved
    canvas = frame.index(b"VP8X") + 12
    moved[canvas] += 4
    moved[canvas + 3] += 4
    (tmp_path / "still" / "moved.webp").write_bytes(moved)
    assert_same_pixels(pomona, tmp_path)


def test_gif(pomona, tmp_path):
    generator = np.random.default_rng(11)
    options = [
        {"interlace": 0},
        {"interlace": 1},
        {"optimize": True},
        {"transparency": 1},
        {"interlace": 1, "transparency": 0, "comment": "x" * 700},
    ]
    folder = tmp_path / "gif"
    assert save_all(folder, ".gif", generator, ["1", "L", "P", "RGB", "RGBA"], options) > 120
    for width, height in [(1, 1), (300, 3), (3, 300), (257, 129), (640, 480)]:
        noisy = Image.fromarray(noise(generator, width, height))
        noisy.quantize(256).save(folder / f"full-{width}x{height}.gif", interlace=width % 2)
    frames = [picture_of(generator, "RGB", 20, 30) for _ in range(3)]
    frames[0].save(folder / "animated.gif", save_all=True, append_images=frames[1:], disposal=2)
    # A screen larger than the picture on it, filled with the transparent index or 0.
    for path in sorted(folder.glob("*.gif"))[::9]:
        larger = bytearray(path.read_bytes())
        width, height = struct.unpack_from("<HH", larger, 6)
        struct.pack_into("<HH", larger, 6, width + 5, height + 3)
        (folder / f"screen-{path.name}").write_bytes(larger)
    # One smaller than the picture, which makes it grow.
    smaller = bytearray((folder / "full-257x129.gif").read_bytes())
    struct.pack_into("<HH", smaller, 6, 10, 20)
    (folder / "small-screen.gif").write_bytes(smaller)
    # Palettes of the file and of its picture: one of grays is none, even in front of colours.
    palettes = {"none": b"", "gray": b"\0\0\0\1\1\1", "colours": b"\1\2\3\4\5\6"}
    for (outer, first), (inner, second) in itertools.product(palettes.items(), repeat=2):
        flags = [0x80 if palette else 0 for palette in (first, second)]
        screen = struct.pack("<6sHHBBB", b"GIF89a", 2, 2, flags[0], 0, 0) + first
        picture = struct.pack("<cHHHHB", b",", 0, 0, 2, 2, flags[1]) + second
        path = folder / f"palettes-{outer}-{inner}.gif"
        path.write_bytes(screen + picture + b"\2\3\x44\2\5\0;")
    assert_same_pixels(pomona, tmp_path)


def bmp(width, height, bits, pixels, *, header=40, compression=0, palette=b"", masks=(), colors=0):
    """A BMP of a header of any size; a negative height means that rows run downwards."""
    if header == 12:
        info = struct.pack("<IHHHH", header, width, height, 1, bits)
    else:
        info = struct.pack(
            "<IiiHHIIiiII", header, width, height, 1, bits, compression, 0, 0, 0, colors, 0
        )
    fields = b"".join(struct.pack("<I", mask) for mask in masks)
    if header >= 52:
        info += fields.ljust(header - 40, b"\0")[: header - 40]
        fields = b""
    info = info.ljust(header, b"\0")
    offset = 14 + len(info) + len(fields) + len(palette)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, offset) + info + fields + palette + pixels


def bmp_runs(generator, width, height, bits):
    """Run lengths of every kind that fill the picture."""
    data = bytearray()
    for _ in range(height):
        left = width
        while left > 0:
            count = int(generator.integers(1, min(left, 60) + 1))
            if count >= 4 and generator.random() < 0.5:
                count -= count % 2  # Pillow drops the odd nibble
                body = generator.bytes(count if bits == 8 else count // 2)
                data += bytes([0, count]) + body + b"\0" * (len(body) % 2)
            else:
                data += bytes([count]) + generator.bytes(1)
            left -= count
            if generator.random() < 0.05:
                break  # the end of a line fills it up
        data += b"\0\0"
    return bytes(data) + b"\0\1"


def test_bmp(pomona, tmp_path):
    generator = np.random.default_rng(12)
    folder = tmp_path / "bmp"
    modes = ["1", "L", "P", "RGB", "RGBA"]
    assert save_all(folder, ".bmp", generator, modes, [{}], 20) == 100
    assert save_all(folder, ".dib", generator, modes, [{}], 5) == 25
    gray = b"".join(bytes([i, i, i, 0]) for i in range(256))
    masks_32 = [
        (0xFF0000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0),
        (0xFF000000, 0xFF00, 0xFF, 0),
        (0xFF000000, 0xFF0000, 0xFF00, 0xFF),
        (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
        (0xFF0000, 0xFF00, 0xFF, 0xFF000000),
        (0xFF000000, 0xFF00, 0xFF, 0xFF0000),
        (0, 0, 0, 0),
    ]
    masks_16 = [(0xF800, 0x7E0, 0x1F), (0x7C00, 0x3E0, 0x1F)]
    for i, (width, height) in enumerate(sizes(generator, 40)):

        def rows(bits):
            return generator.bytes((width * bits + 31) // 32 * 4 * height)  # noqa: B023

        def write(name, *arguments, **options):
            path = folder / f"{name}-{i:02}.bmp"  # noqa: B023
            path.write_bytes(bmp(width, *arguments, **options))  # noqa: B023

        flipped = height if i % 2 else -height
        header = [40, 52, 56, 64, 108, 124][i % 6]
        for bits in (1, 4, 8):
            colors = int(generator.integers(1, 2**bits + 1))
            palette = generator.bytes(4 * colors)
            write(
                f"palette-{bits}",
                flipped,
                bits,
                rows(bits),
                header=header,
                palette=palette,
                colors=colors,
            )
            write(
                f"os2-{bits}",
                height,
                bits,
                rows(bits),
                header=12,
                palette=generator.bytes(3 * 2**bits),
            )
        write("gray", flipped, 8, rows(8), palette=gray, header=header)
        write("bilevel", flipped, 1, rows(1), palette=b"\0\0\0\0\xff\xff\xff\0", colors=2)
        for bits in (16, 24, 32):
            write(f"raw-{bits}", flipped, bits, rows(bits), header=header)
        write("os2-24", height, 24, rows(24), header=12)
        write(
            "fields-16", flipped, 16, rows(16), compression=3, masks=masks_16[i % 2], header=header
        )
        masks = masks_32[i % 8]
        deep = header if header >= 56 else 56
        write("fields-32", flipped, 32, rows(32), compression=3, masks=masks, header=deep)
        write(
            "rle8",
            flipped,
            8,
            bmp_runs(generator, width, height, 8),
            compression=1,
            palette=generator.bytes(1024),
        )
        write(
            "rle8-gray",
            flipped,
            8,
            bmp_runs(generator, width, height, 8),
            compression=1,
            palette=gray,
        )
        write(
            "rle4",
            flipped,
            4,
            bmp_runs(generator, width, height, 4),
            compression=2,
            palette=generator.bytes(64),
        )
    assert_same_pixels(pomona, tmp_path)


def test_pnm(pomona, tmp_path):
    generator = np.random.default_rng(13)
    folder = tmp_path / "pnm"
    modes = ["1", "L", "I", "RGB", "RGBA", "F"]
    assert save_all(folder, ".ppm", generator, modes, [{}], 12) == 72
    for i, (width, height) in enumerate(sizes(generator, 40)):
        for magic, channels in (("P2", 1), ("P3", 3), ("P5", 1), ("P6", 3)):
            maximum = [255, 65535, 1, 7, 100, 254, 256, 1023, 40000][i % 9]
            values = generator.integers(0, maximum + 1, width * height * channels)
            head = f"{magic}\n# a comment\n{width} {height}\n{maximum}\n".encode()
            if magic in ("P2", "P3"):
                text = "".join(
                    f"{v}{[' ', chr(10), '  ', ' # 7' + chr(10)][v % 4]}" for v in values
                )
                body = text.encode()
            else:
                body = values.astype(">u2" if maximum > 255 else "u1").tobytes()
            (folder / f"{magic}-{i:02}.pnm").write_bytes(head + body)
        bits = generator.integers(0, 2, width * height)
        separator = ["", " ", "\n"][i % 3]
        plain = f"P1 {width}\t{height}\n" + separator.join(map(str, bits))
        (folder / f"P1-{i:02}.pbm").write_text(plain)
        floats = generator.uniform(-50, 300, width * height)
        for scale, kind in ((-1.0, "<f4"), (2.5, ">f4")):
            head = f"Pf\n{width} {height}\n{scale}\n".encode()
            (folder / f"Pf{scale}-{i:02}.pfm").write_bytes(head + floats.astype(kind).tobytes())
    assert_same_pixels(pomona, tmp_path)


def test_ico(pomona, tmp_path):
    generator = np.random.default_rng(18)
    folder = tmp_path / "ico"
    icons = [[(1, 1)], [(5, 3)], [(8, 8), (33, 40), (16, 16)], [(32, 9)]]
    options = [{"bitmap_format": kind, "sizes": size} for size in icons for kind in ("bmp", "png")]
    modes = ["1", "L", "P", "RGB", "RGBA"]
    assert save_all(folder, ".ico", generator, modes, options, 3, low=41, high=60) == 120
    assert_same_pixels(pomona, tmp_path)


def test_ico_whose_entry_says_other_bits(pomona, tmp_path):
    """Of an entry of 32 bits Pillow takes four bytes a pixel for alpha, whatever the bitmap has."""
    generator = np.random.default_rng(20)
    width, height = 9, 7
    for bits in (1, 4, 8, 16, 24, 32):
        palette = generator.bytes(4 << bits) if bits <= 8 else b""
        rows = generator.bytes((width * bits + 31) // 32 * 4 * height)
        bitmap = bmp(width, 2 * height, bits, rows, palette=palette)[14:]
        whole = bitmap.ljust(40 + len(palette) + 4 * width * height, b"\7")
        for kind, picture in [("whole", whole), ("cut", whole[:-1]), ("bare", bitmap)]:
            entry = struct.pack("<BBBBHHII", width, height, 0, 0, 1, 32, len(picture), 22)
            (tmp_path / kind).mkdir(exist_ok=True)
            icon = struct.pack("<HHH", 0, 1, 1) + entry + picture
            (tmp_path / kind / f"{bits}.ico").write_bytes(icon)
    (tmp_path / "bare" / "32.ico").rename(tmp_path / "whole" / "bare.ico")
    assert_same_pixels(pomona, tmp_path / "whole")
    for folder in (tmp_path / "cut", tmp_path / "bare"):
        for path in folder.iterdir():
            with pytest.raises((OSError, ValueError)):
                Image.open(path).convert("RGB")
        verdicts = [json.loads(line) for line in check_lines(pomona, folder, 1, 0).splitlines()]
        assert {v["reason"] for v in verdicts} == {"truncated"}


def test_tga(pomona, tmp_path):
    generator = np.random.default_rng(19)
    folder = tmp_path / "tga"
    options = [
        {},
        {"orientation": 1},
        {"compression": "tga_rle"},
        {"id_section": b"a note"},
        {"compression": "tga_rle", "orientation": 1},
    ]
    modes = ["1", "L", "LA", "P", "RGB", "RGBA"]
    assert save_all(folder, ".tga", generator, modes, options, 5) == 140
    for path in sorted(folder.glob("*.tga"))[::4]:  # from right to left
        mirrored = bytearray(path.read_bytes())
        mirrored[17] |= 0x10
        (folder / f"mirrored-{path.name}").write_bytes(mirrored)
    for i, (width, height) in enumerate(sizes(generator, 10)):
        head = struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, width, height, 16, 0)
        (folder / f"16-{i}.tga").write_bytes(head + generator.bytes(width * height * 2))
        palette = generator.bytes(2 * 200)
        head = struct.pack("<BBBHHBHHHHBB", 0, 1, 1, 0, 200, 16, 0, 0, width, height, 8, 0)
        (folder / f"palette-16-{i}.tga").write_bytes(
            head + palette + generator.bytes(width * height)
        )
    assert_same_pixels(pomona, tmp_path)


def test_tga_packets_that_cross_rows(pomona, tmp_path):
    """As old writers left them: Pillow goes on with literal pixels, but not with a run."""
    generator = np.random.default_rng(20)
    for kind in ("literals", "run"):
        (tmp_path / kind).mkdir()
    for i, (width, height) in enumerate(sizes(generator, 60)):
        depth = (16, 24, 32)[i % 3]
        head = struct.pack(
            "<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, width, height, depth, i % 4 << 4
        )
        packets, at = b"", 0
        while at < width * height:  # the last one may go on below the picture
            count = int(generator.integers(1, 129))
            run = count <= width - at % width and generator.random() < 0.5
            packets += bytes([count - 1 + 128 * run])
            packets += generator.bytes(depth // 8 * (1 if run else count))
            at += count
        (tmp_path / "literals" / f"{i:02}.tga").write_bytes(head + packets)
        overrun = bytes([128 + width]) + generator.bytes(depth // 8)
        (tmp_path / "run" / f"{i:02}.tga").write_bytes(head + overrun + packets)
    assert_same_pixels(pomona, tmp_path / "literals")
    for path in (tmp_path / "run").iterdir():
        with pytest.raises(OSError, match="buffer overrun"):
            Image.open(path).convert("RGB")
    verdicts = [json.loads(x) for x in check_lines(pomona, tmp_path / "run", 1, 0).splitlines()]
    assert {v["reason"] for v in verdicts} == {"corrupt"}


def test_tga_with_a_palette_that_it_has_no_use_for(pomona, tmp_path):
    palette = bytes(range(255, -1, -1)) * 3
    for kind, depth in [(2, 16), (2, 24), (2, 32), (10, 24), (3, 8), (3, 16)]:
        head = struct.pack("<BBBHHBHHHHBB", 0, 1, kind, 0, 256, 24, 0, 0, 1, 1, depth, 0)
        pixel = b"\0" * (kind // 8) + b"\7" * (depth // 8)
        path = tmp_path / f"{kind}-{depth}.tga"
        path.write_bytes(head + palette + pixel)
        if kind == 3:  # gray 7, which its palette makes a colour
            assert Image.open(path).convert("RGB").getpixel((0, 0)) == (232, 233, 234)
        else:
            with pytest.raises(ValueError, match="unrecognized image mode"):
                Image.open(path).convert("RGB")
    verdicts = [json.loads(line) for line in check_lines(pomona, tmp_path, 1, 0).splitlines()]
    assert [v["reason"] for v in verdicts] == ["corrupt"] * 6


def test_mpo(pomona, tmp_path):
    generator = np.random.default_rng(14)
    (tmp_path / "mpo").mkdir()
    for i, (width, height) in enumerate(sizes(generator, 12)):
        frames = [picture_of(generator, "RGB", width, height) for _ in range(1 + i % 2)]
        path = tmp_path / "mpo" / f"{i:02}.mpo"
        frames[0].save(path, "MPO", save_all=True, append_images=frames[1:])
    # With a gain map, Pillow takes it for a plain JPEG.
    several = path.read_bytes()
    note = b'http://ns.adobe.com/xap/1.0/\0 hdrgm:Version="1.0"'
    segment = b"\xff\xe1" + struct.pack(">H", len(note) + 2) + note
    (tmp_path / "mpo" / "gain-map.jpg").write_bytes(several[:2] + segment + several[2:])
    assert_same_pixels(pomona, tmp_path)


def with_height(file, height):
    """A little-endian TIFF of one strip that claims other rows than it has."""
    file = bytearray(file)
    (directory,) = struct.unpack_from("<I", file, 4)
    for entry in range(struct.unpack_from("<H", file, directory)[0]):
        at = directory + 2 + 12 * entry
        if struct.unpack_from("<H", file, at)[0] in (257, 278):
            struct.pack_into("<HII", file, at + 2, 4, 1, height)
    return bytes(file)


def check_lines(pomona, tree, threads, perturb, *options):
    environment = os.environ | {"MALLOC_PERTURB_": str(perturb)}
    command = [pomona, "check", tree, "--json", "--threads", str(threads), *options]
    check = subprocess.run(command, capture_output=True, check=True, env=environment)
    return check.stdout


def test_nothing_but_the_file_decides(pomona, tmp_path):
    """Neither what memory held before nor the pictures that a thread had before show."""
    generator = np.random.default_rng(19)
    for suffix, options in [
        (".jpg", [{}, {"progressive": True}]), (".png", [{}]), (".webp", [{}, {"lossless": True}]),
        (".gif", [{}, {"interlace": 1}]), (".bmp", [{}]), (".ppm", [{}]), (".tga", [{}]),
        (".ico", [{}]),
    ]:  # fmt: skip
        save_all(
            tmp_path / suffix[1:], suffix, generator, ["1", "L", "P", "RGB", "RGBA"], options, 2
        )
    compressions = [
        "group3",
        "group4",
        "tiff_ccitt",
        "tiff_lzw",
        "tiff_adobe_deflate",
        "packbits",
        "lzma",
        "jpeg",
        None,
    ]
    for compression in compressions:
        folder = tmp_path / f"tiff-{compression}"
        for mode in ("1", "L", "RGB", "CMYK", "YCbCr"):
            save_all(folder, ".tiff", generator, [mode], [{"compression": compression}], 2, 9)
    for folder in list(tmp_path.iterdir()):
        for path in list(folder.iterdir()):
            file = path.read_bytes()
            (folder / f"cut-{path.name}").write_bytes(file[: len(file) * 2 // 3])
            if path.suffix == ".tiff":
                (folder / f"short-{path.name}").write_bytes(with_height(file, 60))
    data = os.environ.get("POMONA_TEST_DATA")
    trees = [tmp_path]
    if data and (Path(data) / "bad-images").is_dir():
        trees.append(Path(data) / "bad-images")
    for tree in trees:
        expected = check_lines(pomona, tree, 1, 0)
        for threads, perturb in [(2, 85), (7, 170), (1, 255)]:
            found = check_lines(pomona, tree, threads, perturb)
            assert found.splitlines() == expected.splitlines()
    verdicts = [json.loads(line) for line in check_lines(pomona, tmp_path, 1, 0).splitlines()]
    fax = ("tiff-group3", "tiff-group4", "tiff-tiff_ccitt")
    short = [v for v in verdicts if v["label"] in fax and "/short-" in v["path"]]
    assert {v["reason"] for v in short} == {"truncated"} and len(short) >= 6


def test_the_real_images(pomona, data):
    assert_same_pixels(pomona, data / "fruits")
