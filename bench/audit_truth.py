#!/usr/bin/env python3
"""What `pomona audit` finds of what was done to pictures: cosines by kind of change, and how many
of the changed ones are found at several thresholds, beside pairs of pictures that are none.

    bench/audit_truth.py IMAGES [--every N] [--tree TREE]

IMAGES: a tree of labelled pictures, of which every Nth of each label is taken, so that neighbours
of a series do not count as duplicates. TREE: where to leave the changed pictures, for
bench/peers/duplicates.py. Needs Pillow, numpy and the package pomona.
"""

import argparse
import collections
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pomona
import pyarrow.parquet as pq
from PIL import Image, ImageEnhance, ImageFilter

THRESHOLDS = (0.95, 0.97, 0.98, 0.99, 0.995)


# A picture and what was done to it: the changed one, and how to store it.
Change = Callable[[Any], tuple[Any, dict[str, Any]]]


def crop(image, pixels):
    return image.crop((pixels, pixels, image.width - pixels, image.height - pixels))


CHANGES: dict[str, Change] = {
    "JPEG, quality 90": lambda image: (image, {"format": "JPEG", "quality": 90}),
    "JPEG, quality 75": lambda image: (image, {"format": "JPEG", "quality": 75}),
    "JPEG, quality 50": lambda image: (image, {"format": "JPEG", "quality": 50}),
    "stored as PNG": lambda image: (image, {"format": "PNG"}),
    "half as large": lambda image: (image.resize((image.width // 2, image.height // 2)), {}),
    "twice as large": lambda image: (image.resize((image.width * 2, image.height * 2)), {}),
    "cropped by 2 % a side": lambda image: (crop(image, image.width // 50), {}),
    "cropped by 5 % a side": lambda image: (crop(image, image.width // 20), {}),
    "rotated by 5 degrees": lambda image: (image.rotate(5, fillcolor="white"), {}),
    "rotated by 90 degrees": lambda image: (image.transpose(Image.Transpose.ROTATE_90), {}),
    "mirrored": lambda image: (image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), {}),
    "darkened to 80 %": lambda image: (ImageEnhance.Brightness(image).enhance(0.8), {}),
    "darkened to 50 %": lambda image: (ImageEnhance.Brightness(image).enhance(0.5), {}),
    "blurred by 1 pixel": lambda image: (image.filter(ImageFilter.GaussianBlur(1)), {}),
    "blurred by 3 pixels": lambda image: (image.filter(ImageFilter.GaussianBlur(3)), {}),
}


def make_tree(images, every, tree):
    """TREE/LABEL/STEM|CHANGE.EXTENSION, and STEM|.png of the picture itself."""
    for label in sorted(path for path in images.iterdir() if path.is_dir()):
        files = sorted(label.iterdir(), key=lambda file: (len(file.name), file.name))
        for file in files[::every]:
            image = Image.open(file).convert("RGB")
            for name, change in {"": lambda image: (image, {}), **CHANGES}.items():
                changed, how = change(image)
                how = {"format": "PNG", **how}
                place = tree / label.name / f"{file.stem}|{name}.{how['format'].lower()}"
                place.parent.mkdir(parents=True, exist_ok=True)
                changed.save(place, **how)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=pathlib.Path)
    parser.add_argument("--every", type=int, default=25)
    parser.add_argument("--tree", type=pathlib.Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = arguments.tree or pathlib.Path(folder) / "tree"
        make_tree(arguments.images, arguments.every, tree)
        pomona.run(tree, f"{folder}/out", run_id="truth", report="none")
        parts = pq.read_table(f"{folder}/out/features/parquet/features_truth")
        column = parts["features"].combine_chunks()
        rows = column.flatten().to_numpy().reshape(len(column), -1).astype(np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        paths = [pathlib.Path(path) for path in parts["path"].to_pylist()]
        names = [(path.parent.name, *path.stem.split("|")) for path in paths]
        originals = [row for row, name in enumerate(names) if name[2] == ""]
        place = {names[row][:2]: row for row in originals}
        cosines = collections.defaultdict(list)
        for row, (label, stem, done) in enumerate(names):
            if done:
                cosines[done].append(rows[row] @ rows[place[label, stem]])
        among = (rows[originals] @ rows[originals].T)[np.triu_indices(len(originals), 1)]

    print(f"| change | cosine, median (least) | {' | '.join(map(str, THRESHOLDS))} |")
    print("| --- | --- |" + " --- |" * len(THRESHOLDS))
    for done in CHANGES:
        found = np.array(cosines[done])
        shares = " | ".join(f"{100 * (found >= near).mean():.0f} %" for near in THRESHOLDS)
        print(f"| {done} | {np.median(found):.4f} ({found.min():.4f}) | {shares} |")
    shares = " | ".join(f"{100 * (among >= near).mean():.2f} %" for near in THRESHOLDS)
    print(
        f"| pairs of the {len(originals)} pictures themselves "
        f"| {np.median(among):.4f} (most {among.max():.4f}) | {shares} |"
    )


if __name__ == "__main__":
    main()
