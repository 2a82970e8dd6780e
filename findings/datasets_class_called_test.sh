#!/bin/bash
# datasets 5.2.0 (Hugging Face) drops all classes of an image folder but one that is called `test`.
#
# Expected: a folder for each class, `imagefolder` gives the images of all classes with their labels,
# whatever the classes are called; or an error where a name is taken for that of a split.
# Seen: where one class is called "test" (or "train", "validation", "dev", ...) its folder is taken for a
# split and the folders beside it are left out without a word: of nine images in three classes three
# come back, without a label. The same tree with that folder called "glassware" gives all nine, with labels.
#
# Prints the splits, rows and columns of both trees. Exits with 1 where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check datasets==5.2.0 pillow==13.0.0
cd "$folder"
HF_HOME="$folder/home" HF_HUB_OFFLINE=1 venv/bin/python - <<'PYTHON'
import pathlib
import sys

import datasets
from PIL import Image

print("datasets", datasets.__version__)
datasets.disable_progress_bars()
expected = {
    "test": {"test": (3, ["image"])},
    "validation": {"validation": (3, ["image"])},
    "glassware": {"train": (9, ["image", "label"])},
}
as_seen = True
for third, seen in expected.items():
    tree = pathlib.Path(f"tree_{third}")
    for label in ("flask", "pipette", third):
        (tree / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (8, 8), (80 * number, 0, 0)).save(tree / label / f"{number}.png")
    splits = datasets.load_dataset("imagefolder", data_dir=str(tree))
    found = {name: (split.num_rows, split.column_names) for name, split in splits.items()}
    print(f"flask, pipette, {third}: {found}")
    as_seen &= found == seen
sys.exit(not as_seen)
PYTHON
