"""Pixels before and after the resize are Pillow's, bit for bit, as `pomona check` hashes them."""

import hashlib
import json
import random
import subprocess

import numpy as np
import pytest
from PIL import Image, ImageFile

# Pillow gives up on writing a JPEG that its buffer does not hold, as noise may be.
ImageFile.MAXBLOCK = 1 << 22


def sha256(image):
    return hashlib.sha256(image.tobytes()).hexdigest()


def pillow(path):
    """What `pomona check` should say of an image."""
    with Image.open(path) as image:
        rgb = image.convert("RGB")
        return {
            "path": str(path),
            "label": path.parent.name,
            "verdict": "ok",
            "format": image.format,
            "mode": image.mode,
            "width": image.width,
            "height": image.height,
            "rgb_sha256": sha256(rgb),
            "rgb224_sha256": sha256(rgb.resize((224, 224))),
        }


def assert_same_pixels(pomona, tree):
    paths = sorted((p for p in tree.rglob("*") if p.is_file()), key=lambda p: str(p).encode())
    check = subprocess.run(
        [pomona, "check", tree, "--json"], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stderr
    lines = [json.loads(line) for line in check.stdout.splitlines()]
    assert [line["path"] for line in lines] == [str(path) for path in paths]
    different = []
    for line, path in zip(lines, paths):
        expected = pillow(path)
        found = {key: line[key] for key in expected}
        if found != expected:
            different.append((expected, line))
    assert not different, f"{len(different)} of {len(paths)} differ, first: {different[:2]}"


def noise(generator, width, height, channels=3):
    return generator.integers(0, 256, (height, width, channels), np.uint8)


def smooth(generator, width, height):
    """A picture with colours that change slowly, as photographs have them."""
    small = Image.fromarray(noise(generator, 5, 4))
    return small.resize((width, height), Image.Resampling.BICUBIC)


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
    sizes += [(223, 225), (224, 224), (225, 223), (224, 1), (1, 224), (224, 500), (500, 224),
              (448, 448), (4000, 3000)]
    (tmp_path / "large").mkdir()
    for width, height in sizes:
        picture = Image.fromarray(noise(generator, width, height))
        picture.save(tmp_path / "large" / f"{width}x{height}.png", compress_level=1)
    assert_same_pixels(pomona, tmp_path)


def test_extreme_aspect_ratios(pomona, tmp_path):
    generator = np.random.default_rng(3)
    (tmp_path / "strips").mkdir()
    for width, height in [(1, 5000), (5000, 1), (2, 20000), (20000, 2), (3, 30000), (30000, 3),
                          (65000, 1), (1, 65000), (7, 9999), (9999, 7), (1000, 5), (5, 1000)]:
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


def test_the_real_images(pomona, data):
    assert_same_pixels(pomona, data / "fruits")
