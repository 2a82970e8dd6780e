#!/bin/bash
# Pillow 13.0.0 resizes many tall photos to other bytes than Pillow 12.3.0 did.
#
# Expected: the same call on the same pixels gives the same bytes, as it did from 12.3.0 back to 9
# (since 12.2.0 not of images more than 100 times as tall as wide).
# What is computed from resized pictures (embeddings, perceptual hashes, golden files) is stored and
# compared for years.
# Seen: where the height shrinks more than the width, 13.0.0 does the vertical pass first
# (python-pillow/Pillow#9549, made for speed). Between the passes values are rounded to 8 bits, so the
# order shows: of a 308 x 410 picture resized to 224 x 224 a quarter of the bytes differ. Wide pictures
# and 480 x 640 keep theirs.
#
# Prints, for each size, the share of bytes that differ and the largest difference. Exits with 1 where
# this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/resize.py" <<'PYTHON'
import sys
import PIL
from PIL import Image

SIZES = [(308, 410), (300, 400), (300, 600), (480, 640), (410, 308), (640, 480)]

def texture(width, height):
    """Hills, edges and grain, by integers alone: the same pixels on every machine."""
    pixels, state = bytearray(), 1
    for y in range(height):
        for x in range(width):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            for hill in (x * x // 97 + y, x + y * y // 83, (x // 40 + y // 30) * 90):
                pixels.append((hill + (state >> 16) % 48) & 255)
    return Image.frombytes("RGB", (width, height), bytes(pixels))

with open(sys.argv[1], "wb") as out:
    for size in SIZES:
        out.write(texture(*size).resize((224, 224), Image.BICUBIC).tobytes())
print("Pillow", PIL.__version__)
PYTHON
for version in 12.3.0 13.0.0; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --disable-pip-version-check "pillow==$version"
  "$folder/$version/bin/python" "$folder/resize.py" "$folder/$version.rgb"
done
python3 - "$folder/12.3.0.rgb" "$folder/13.0.0.rgb" <<'PYTHON'
import sys

SIZES = [(308, 410), (300, 400), (300, 600), (480, 640), (410, 308), (640, 480)]
CHANGED = {(308, 410), (300, 400), (300, 600)}
before, after = (open(path, "rb").read() for path in sys.argv[1:])
count = 224 * 224 * 3
as_seen = True
for number, size in enumerate(SIZES):
    pairs = list(zip(before[number * count :][:count], after[number * count :][:count]))
    differences = [abs(a - b) for a, b in pairs if a != b]
    print("%4d x %4d: %4.1f %% of the bytes differ, by up to %d"
          % (*size, 100 * len(differences) / count, max(differences, default=0)))
    as_seen &= (len(differences) > count // 10) == (size in CHANGED)
sys.exit(not as_seen)
PYTHON
