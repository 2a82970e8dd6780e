"""TIFFs of every layout that Pillow reads rightly: the pixels are Pillow's, bit for bit."""

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
from pixels import assert_same_pixels, picture_of, save_all, sizes, smooth


def test_tiff_as_pillow_writes_it(pomona, tmp_path):
    generator = np.random.default_rng(15)
    modes = ["1", "L", "LA", "P", "PA", "I", "I;16", "F", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"]
    compressions = [None, "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "lzma"]
    options = [{"compression": c} for c in compressions]
    options += [
        {"compression": "tiff_lzw", "tiffinfo": {317: 2}},  # with a predictor
        {"compression": "tiff_lzw", "tiffinfo": {278: 3}},  # three rows a strip
        {"compression": None, "strip_size": 64},
        {"compression": "tiff_lzw", "strip_size": 64},
    ]
    assert save_all(tmp_path / "any", ".tiff", generator, modes, options, 4) > 400
    fax = [{"compression": c} for c in ("group3", "group4", "tiff_ccitt")]
    assert save_all(tmp_path / "fax", ".tiff", generator, ["1"], fax, 12) == 36
    jpeg = [{"compression": "jpeg", "quality": q} for q in (20, 75, 100)]
    assert save_all(tmp_path / "jpeg", ".tiff", generator, ["L", "RGB", "YCbCr", "CMYK"], jpeg) > 50
    for orientation in range(1, 10):
        picture = picture_of(generator, "RGB", 7, 4)
        picture.save(tmp_path / "any" / f"turned-{orientation}.tiff", tiffinfo={274: orientation})
    assert_same_pixels(pomona, tmp_path)


def tiff(order, tags, parts, tiled=False, big=False):
    """A TIFF with one directory behind its strips or tiles."""
    body = bytearray(b"\0" * (16 if big else 8))
    offsets = []
    for part in parts:
        offsets.append(len(body))
        body += part + b"\0" * (len(part) % 2)
    tags = dict(tags)
    tags[324 if tiled else 273] = offsets
    tags[325 if tiled else 279] = [len(part) for part in parts]
    word, entry_size = ("Q", 20) if big else ("I", 12)
    count = struct.pack(order + ("Q" if big else "H"), len(tags))
    directory = len(body)
    values_at = directory + len(count) + entry_size * len(tags) + struct.calcsize("=" + word)
    entries, values = b"", b""
    for tag, numbers in sorted(tags.items()):
        kind, code = (3, "H") if max(numbers) < 65536 else (4, "I")
        if tag in (273, 279, 324, 325):
            kind, code = 4, "I"
        data = struct.pack(f"{order}{len(numbers)}{code}", *numbers)
        if len(data) > struct.calcsize("=" + word):
            field = struct.pack(order + word, values_at + len(values))
            values += data + b"\0" * (len(data) % 2)
        else:
            field = data.ljust(struct.calcsize("=" + word), b"\0")
        entries += struct.pack(f"{order}HH{word}", tag, kind, len(numbers)) + field
    mark = b"II" if order == "<" else b"MM"
    if big:
        body[:16] = mark + struct.pack(order + "HHHQ", 43, 8, 0, directory)
    else:
        body[:8] = mark + struct.pack(order + "HI", 42, directory)
    return bytes(body) + count + entries + struct.pack(order + word, 0) + values


# Photometric interpretation, bits of each sample, extra samples, sample format.
TIFF_LAYOUTS = [
    (0, [1], [], 1), (1, [1], [], 1), (0, [2], [], 1), (1, [2], [], 1), (0, [4], [], 1),
    (1, [4], [], 1), (0, [8], [], 1), (1, [8], [], 1), (1, [8], [], 2), (1, [16], [], 1),
    (1, [16], [], 2), (1, [32], [], 2), (1, [32], [], 3), (0, [32], [], 3), (1, [8, 8], [2], 1),
    (2, [8] * 3, [], 1), (2, [8] * 4, [], 1), (2, [8] * 4, [0], 1), (2, [8] * 4, [1], 1),
    (2, [8] * 4, [2], 1), (2, [8] * 5, [1, 0], 1), (2, [8] * 6, [2, 0, 0], 1),
    (2, [16] * 3, [], 1), (2, [16] * 4, [0], 1), (2, [16] * 4, [1], 1), (2, [16] * 4, [2], 1),
    (3, [1], [], 1), (3, [2], [], 1), (3, [4], [], 1), (3, [8], [], 1), (3, [8, 8], [2], 1),
    (5, [8] * 4, [], 1), (5, [8] * 5, [0], 1), (8, [8] * 3, [], 1),
]  # fmt: skip
TIFF_LITTLE_LAYOUTS = [
    (0, [16], [], 1), (1, [12], [], 1), (1, [32], [], 1), (3, [8, 8], [0], 1), (5, [16] * 4, [], 1)
]  # fmt: skip


def pillow_reads(order, compression, separate, photometric, bits, extra):
    """Whether it does so, and rightly: it has bugs where a layout is rare."""
    planes = len(bits) if separate else 1
    if separate and planes == compression == 1:  # by the first letter of the raw mode alone
        if bits == [32]:
            return order == "<"
        return (bits == [8] and photometric != 0) or (photometric, bits) == (1, [1])
    if photometric == 8 and planes > 1:
        return False  # it forgets that two of the three are signed
    if compression != 1:
        if bits == [32] and order == ">":
            return False  # it swaps bytes twice
        if photometric == 2 and extra[:1] == [0] and (planes > 1 or bits[0] == 16):
            return False
        return planes == 1 or (len(bits) <= 4 and (photometric, extra) != (3, [0]))
    named = extra == [2] or photometric == 5
    return planes == 1 or (bits[0] == 8 and (len(bits) == 3 or (len(bits) == 4 and named)))


def test_tiff_layouts(pomona, tmp_path):
    """Strips and tiles, planes, byte and bit orders that Pillow reads but does not write."""
    generator = np.random.default_rng(16)
    folder = tmp_path / "tiff"
    folder.mkdir()
    layouts = [(order, *layout) for order in "<>" for layout in TIFF_LAYOUTS]
    layouts += [("<", *layout) for layout in TIFF_LITTLE_LAYOUTS]
    for i, (order, photometric, bits, extra, sample_format) in enumerate(layouts):
        for compression, tiled, separate in itertools.product((1, 8), (False, True), (False, True)):
            if not pillow_reads(order, compression, separate, photometric, bits, extra):
                continue
            planes = len(bits) if separate else 1
            width, height = sizes(generator, 1)[0]
            columns, rows = (16, 16) if tiled else (width, int(generator.integers(1, height + 1)))
            across, down = -(-width // columns), -(-height // rows)
            row_bytes = (columns * sum(bits) // planes + 7) // 8
            parts = []
            for part in range(across * down * planes):
                last = not tiled and part % down == down - 1
                part_rows = height - (down - 1) * rows if last else rows
                data = generator.bytes(row_bytes * part_rows)
                if bits == [32] and sample_format == 3:
                    values = generator.uniform(-100, 400, columns * part_rows)
                    data = values.astype(order + "f4").tobytes()
                elif bits == [32] or bits == [16]:
                    kind = f"i{bits[0] // 8}" if sample_format == 2 else f"u{bits[0] // 8}"
                    values = generator.integers(
                        0 if kind[0] == "u" else -200, 500, columns * part_rows
                    )
                    data = values.astype(order + kind).tobytes()
                parts.append(data if compression == 1 else zlib.compress(data))
            tags = {
                256: [width],
                257: [height],
                258: bits,
                259: [compression],
                262: [photometric],
                277: [len(bits)],
                284: [2 if separate else 1],
                339: [sample_format] * len(bits),
            }
            tags |= {322: [columns], 323: [rows]} if tiled else {278: [rows]}
            if extra:
                tags[338] = extra
            if photometric == 3:
                tags[320] = [int(c) for c in generator.integers(0, 65536, 3 * 2 ** bits[0])]
            reversible = [(0, [1]), (1, [1]), (1, [2]), (1, [4]), (1, [8]), (3, [8])]
            if compression == sample_format == tiled and (photometric, bits) in reversible:
                tags[266] = [1 if separate else 2]  # the first pixel in the lower bits
            name = f"{i:02}-{compression}-{'tiles' if tiled else 'strips'}-{int(separate)}.tif"
            (folder / name).write_bytes(
                tiff(order, tags, parts, tiled, big=order == "<" and i % 5 == 0)
            )
    assert_same_pixels(pomona, tmp_path)


def test_tiff_ycbcr(pomona, tmp_path):
    generator = np.random.default_rng(17)
    folder = tmp_path / "tiff"
    folder.mkdir()
    for i, subsampling in enumerate(["4:4:4", "4:2:2", "4:2:0"] * 2):
        tiles = []
        for _ in range(6):
            file = io.BytesIO()
            smooth(generator, 32, 32).save(file, "JPEG", subsampling=subsampling, quality=80)
            tiles.append(file.getvalue())
        tags = {
            256: [90],
            257: [50],
            258: [8, 8, 8],
            259: [7],
            262: [6],
            277: [3],
            322: [32],
            323: [32],
            530: [[1, 1], [2, 1], [2, 2]][i % 3],
        }
        (folder / f"jpeg-{i}.tif").write_bytes(tiff("<>"[i % 2], tags, tiles, tiled=True))
    for i, (across, down) in enumerate([(1, 1), (2, 1), (2, 2), (1, 2), (4, 1), (4, 4)] * 2):
        # Each block: its luma, then its two samples of chroma.
        blocks = (16 // across) * (32 // down)
        data = [zlib.compress(generator.bytes(blocks * (across * down + 2))) for _ in range(2)]
        tags = {
            256: [16],
            257: [64],
            258: [8, 8, 8],
            259: [8],
            262: [6],
            277: [3],
            530: [across, down],
        }
        tiled = i >= 6
        tags |= {322: [16], 323: [32]} if tiled else {278: [32]}
        (folder / f"blocks-{i}.tif").write_bytes(tiff("<>"[i % 2], tags, data, tiled))
    assert_same_pixels(pomona, tmp_path)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"])
def test_tiff_ycbcr_that_is_turned(pomona, tmp_path, compression):
    """libtiff mirrors each strip, then Pillow turns the image: mostly not as it should be seen."""
    generator = np.random.default_rng(18)
    folder = tmp_path / "tiff"
    folder.mkdir()
    for orientation, rows in itertools.product(range(10), (8, 16, 100)):
        # Pillow does not write values that mean nothing.
        tags = {274: orientation, 278: rows} if 1 <= orientation <= 8 else {278: rows}
        file = io.BytesIO()
        picture = smooth(generator, 45, 33).convert("YCbCr")
        if compression == "jpeg":
            picture = smooth(generator, 45, 33)
        picture.save(file, "TIFF", compression=compression, tiffinfo=tags)
        (folder / f"{orientation}-{rows}.tif").write_bytes(file.getvalue())
    assert_same_pixels(pomona, tmp_path)
