"""Images of any kind, and whether `pomona check` hashes the pixels that Pillow has."""

import hashlib
import io
import itertools
import json
import subprocess

import numpy as np
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
    for line, path in zip(lines, paths, strict=True):
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


def picture_of(generator, mode, width, height):
    """Noise or something smooth, in any of Pillow's modes."""
    if mode in ("I", "I;16", "F"):
        kind = {"I": np.int32, "I;16": np.uint16, "F": np.float32}[mode]
        # Around 8 bits, where values are clipped or not.
        low = 0 if mode == "I;16" else -100
        return Image.fromarray(generator.integers(low, 500, (height, width)).astype(kind))
    if generator.random() < 0.5:
        rgb = smooth(generator, width, height)
    else:
        rgb = Image.fromarray(noise(generator, width, height))
    if mode == "P":
        return rgb.quantize(int(generator.integers(2, 257)))
    if mode in ("LA", "RGBA"):
        rgb.putalpha(Image.fromarray(noise(generator, width, height, 1)[:, :, 0]))
    picture = rgb.convert(mode)
    assert picture.mode == mode
    return picture


def sizes(generator, count, low=1, high=41):
    return [(int(w), int(h)) for w, h in generator.integers(low, high, (count, 2))]


def save_all(folder, suffix, generator, modes, options, count=6, low=1, high=41):
    """`count` pictures for each mode and each set of options that Pillow writes and reads."""
    folder.mkdir(exist_ok=True)
    written = 0
    for (i, chosen), mode in itertools.product(enumerate(options), modes):
        for width, height in sizes(generator, count, low, high):
            name = f"{mode.replace(';', '_')}-{i:02}-{written:04}{suffix}"
            file = io.BytesIO()
            try:
                picture_of(generator, mode, width, height).save(file, suffix[1:], **chosen)
                Image.open(file).load()
            except (OSError, KeyError, ValueError, RuntimeError):
                continue  # not in this mode, or it cannot read it itself
            (folder / name).write_bytes(file.getvalue())
            written += 1
    return written
