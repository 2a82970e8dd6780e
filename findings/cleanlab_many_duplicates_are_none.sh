#!/bin/bash
# cleanlab 2.9.0 (Datalab) finds no near duplicates where more than half of the pictures have one.
#
# Expected: what is found of planted copies does not get less as more of them are planted; of a data set
# that was merged with a recompressed copy of itself, all of it.
# Seen: with 100 copies beside 400 pictures all 200 of the pairs are found, with 200 copies or more none,
# and the report says nothing: "near" means nearer than 0.13 times the median distance to the nearest
# neighbour, and the median is then a distance between copies. The column distance_to_nearest_neighbor
# tells them apart as before, by a factor of several hundred: to cut it where it jumps is the cure. (Rows
# that are equal are found at any share.)
#
# Prints for each number of copies how many pictures of a pair are found, and the distances. Exits with 1
# where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  'cleanlab[datalab]==2.9.0' datasets==5.2.0 scikit-learn==1.9.1 pillow==13.0.0 numpy==2.4.6
cd "$folder"
HF_HUB_OFFLINE=1 HF_HOME="$folder/cache" venv/bin/python - <<'PYTHON' 2> warnings || { cat warnings; exit 1; }
import contextlib
import io
import sys

import cleanlab
import numpy as np
from PIL import Image

print("cleanlab", cleanlab.__version__)
random = np.random.default_rng(1)


def picture():
    spots = Image.fromarray(random.integers(0, 256, (5, 5, 3), np.uint8))
    return spots.resize((128, 128), Image.Resampling.BICUBIC)


def recompressed(picture):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=int(random.integers(50, 96)))
    return Image.open(file)


def features(pictures):
    small = [np.asarray(picture.resize((16, 16), Image.Resampling.BOX)) for picture in pictures]
    return np.array(small, np.float32).reshape(len(pictures), -1) / 255


pictures = [picture() for _ in range(400)]
originals, copies = features(pictures), features([recompressed(picture) for picture in pictures])
found, apart = {}, True
for number in (40, 100, 200, 300, 400):
    rows = np.concatenate([originals, copies[:number]])
    paired = np.tile(np.arange(400) < number, 2)[: len(rows)]
    with contextlib.redirect_stdout(io.StringIO()):
        lab = cleanlab.Datalab({"label": np.zeros(len(rows), int)})
        lab.find_issues(features=rows, issue_types={"near_duplicate": {}})
    issues = lab.get_issues("near_duplicate")
    found[number] = int(issues["is_near_duplicate_issue"][paired].sum())
    distance = issues["distance_to_nearest_neighbor"]
    farthest, nearest = distance[paired].max(), distance[~paired].min()
    apart = apart and not farthest > nearest / 10
    print(f"{number} copies: {found[number]} of {2 * number} found; to a copy at most {farthest:.1e}", end="")
    print(f", to another picture at least {nearest:.1e}" if number < 400 else "")
as_seen = found == {40: 80, 100: 200, 200: 0, 300: 0, 400: 0}
sys.exit(not (as_seen and apart))
PYTHON
