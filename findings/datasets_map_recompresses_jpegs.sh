#!/bin/bash
# datasets 5.2.0 (Hugging Face) compresses every JPEG anew in a map() that only looks at the pictures.
#
# Expected: map() with a function that returns a new column, and no picture, adds that column; the column
# that it has read keeps its bytes, as it does under filter().
# Seen: of a data set that holds its JPEGs (Parquet, as on the Hub) every one is saved again by Pillow at
# its default quality of 75, because e["image"] was decoded: half of the bytes and other pixels, and once
# more at the next map(). Checksums, hashes and features no longer match those of the files. With
# input_columns=["image"] and the same function, or with Image(decode=False), the bytes stay. (Pictures of
# a folder stay as well: of these the path is kept.)
#
# Prints for each way how many of the JPEGs keep their bytes, their size, and how far the pixels are from
# those before. Exits with 1 where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  datasets==5.2.0 pillow==13.0.0 numpy==2.4.6
cd "$folder"
HF_HUB_OFFLINE=1 HF_HOME="$folder/cache" venv/bin/python - <<'PYTHON' 2> warnings || { cat warnings; exit 1; }
import io
import sys

import datasets
import numpy as np
from PIL import Image

print("datasets", datasets.__version__)
datasets.disable_progress_bars()
random = np.random.default_rng(1)


def jpeg():
    """A picture of soft spots, in quality 95."""
    spots = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8))
    file = io.BytesIO()
    spots.resize((96, 96), Image.Resampling.BICUBIC).save(file, "JPEG", quality=95)
    return file.getvalue()


files = [jpeg() for _ in range(10)]
held = datasets.Dataset.from_dict({"image": [{"bytes": file, "path": None} for file in files]})
held.cast_column("image", datasets.Image()).to_parquet("pictures.parquet")
given = datasets.load_dataset("parquet", data_files="pictures.parquet", split="train")


def look(example):
    return {"width": example["image"].width}


def look_at_bytes(example):
    return {"width": Image.open(io.BytesIO(example["image"]["bytes"])).width}


def pixels(files):
    return np.array([np.asarray(Image.open(io.BytesIO(file)), np.int16) for file in files])


once = given.map(look)
undecoded = given.cast_column("image", datasets.Image(decode=False))
ways = {
    "before": given,
    "filter(look)": given.filter(look),
    "map(look)": once,
    "map(look), twice": once.map(look, load_from_cache_file=False),
    "map(look), input_columns": given.map(lambda image: {"width": image.width}, input_columns="image"),
    "map(look), decode=False": undecoded.map(look_at_bytes),
}
changed = {}
for way, data in ways.items():
    rows = data.with_format("arrow")[:]["image"].to_pylist()
    now = [row["bytes"] for row in rows]
    kept = sum(a == b for a, b in zip(now, files, strict=True))
    far = int(abs(pixels(now) - pixels(files)).max())
    size = sum(map(len, now))
    changed[way] = (10 - kept, far > 10, size < 0.7 * sum(map(len, files)))
    print(f"{way}: {kept} of 10 kept, {size} bytes, pixels differ by up to {far}")
looks = ["map(look)", "map(look), twice"]
as_seen = all(changed[way] == ((10, True, True) if way in looks else (0, False, False)) for way in ways)
sys.exit(not as_seen)
PYTHON
