#!/bin/bash
# OpenCV 5.0.0 reads the JPEG, PNG and WebP of a photo upright and the AVIF on its side.
#
# Expected: cv2.imread turns a photo as its file says, unless it is told not to, whatever the format. Of AVIF
# all the more: there the rotation is no metadata but a part of the picture, in boxes called irot and imir,
# which MIAF (ISO/IEC 23000-22) has readers apply, as browsers and libvips do.
# Seen, in 5.0.0 and 4.14.0: it does so for three formats and passes over irot and imir without a word. What
# was converted to AVIF, which Pillow does right, comes turned or mirrored by the camera's orientation;
# boxes and masks that were drawn on the JPEG no longer fit, and where pictures are square no shape tells.
# ImageOps.exif_transpose of Pillow, which makes an EXIF orientation of the boxes, is the cure.
#
# Prints for each file and reader which corner the red quarter is in. Exits with 1 where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check opencv-python-headless==5.0.0.93 \
  pillow==13.0.0 pyvips==3.2.0 pyvips-binary==8.18.7 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON' 2> warnings || { cat warnings; exit 1; }
import sys

import cv2
import numpy as np
import PIL
import pyvips
from PIL import Image, ImageOps

print("OpenCV", cv2.__version__, "Pillow", PIL.__version__)
print("libvips", ".".join(str(pyvips.version(part)) for part in range(3)))
ORIENTATION = 0x112
photo = np.zeros((64, 64, 3), np.uint8)
photo[:32, :32] = (255, 0, 0)  # red at the top left, as stored


def corner(pixels):
    red = {
        f"{high} {side}": pixels[y, x, 0]
        for high, y in (("top", 16), ("bottom", 48))
        for side, x in (("left", 16), ("right", 48))
    }
    return max(red, key=red.get)


as_seen = True
for turn, right in {2: "top right", 3: "bottom right", 6: "top right", 8: "bottom left"}.items():
    for kind in ("jpg", "png", "webp", "avif"):
        name = f"{turn}.{kind}"
        exif = Image.Exif()
        exif[ORIENTATION] = turn
        Image.fromarray(photo).save(name, exif=exif, quality=95)
        seen = {
            "Pillow": corner(np.asarray(ImageOps.exif_transpose(Image.open(name)))),
            "libvips": corner(pyvips.Image.new_from_file(name).autorot().numpy()),
            "OpenCV": corner(cv2.imread(name)[..., ::-1]),
        }
        print(f"orientation {turn}, {kind}:", ", ".join(f"{k} {v}" for k, v in seen.items()))
        as_seen &= seen["Pillow"] == seen["libvips"] == right
        as_seen &= seen["OpenCV"] == ("top left" if kind == "avif" else right)
    with open(f"{turn}.avif", "rb") as file:
        as_seen &= (b"imir" if turn == 2 else b"irot") in file.read()
sys.exit(not as_seen)
PYTHON
