#!/bin/bash
# Pillow reads a TIFF of one sample inverted, or not at all, where the file calls it a plane.
#
# Expected: with SamplesPerPixel = 1 the tag PlanarConfiguration is irrelevant (TIFF 6.0, page 38), so
# both of its values mean the same picture.
# Seen, in Pillow 10.4.0 and 13.0.0: with PlanarConfiguration = 2 a picture whose white is 0 (faxes,
# scans) comes out as its negative, and one of 16 bits is refused with "unknown raw mode".
#
# Prints what is read. Exits with 1 where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >planes.py <<'PYTHON'
import io
import struct
import sys

import PIL
import PIL.Image

SHORT, LONG = 3, 4
RAMP = list(range(0, 256, 17))


def tiff(bits, photometric, planes):
    """A row of gray values, uncompressed."""
    samples = RAMP if bits == 8 else [257 * value for value in RAMP]
    data = struct.pack(f"<{len(samples)}{'B' if bits == 8 else 'H'}", *samples)
    tags = [(256, SHORT, len(samples)), (257, SHORT, 1), (258, SHORT, bits), (259, SHORT, 1)]
    tags += [(262, SHORT, photometric), (273, LONG, 8), (277, SHORT, 1), (278, SHORT, 1)]
    tags += [(279, LONG, len(data)), (284, SHORT, planes)]
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    directory = struct.pack("<H", len(tags)) + directory + bytes(4)
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + directory


def read(*layout):
    try:
        pixels = PIL.Image.open(io.BytesIO(tiff(*layout))).tobytes()
    except ValueError as error:
        return str(error)
    return list(pixels if layout[0] == 8 else struct.unpack(f"<{len(RAMP)}H", pixels))


print("Pillow", PIL.__version__)
seen = {}
for bits, photometric in [(8, 1), (8, 0), (16, 1)]:
    for planes in (1, 2):
        seen[bits, photometric, planes] = what = read(bits, photometric, planes)
        print(f"{bits} bits, photometric {photometric}, planes {planes}:", what)
right = [255 - value for value in RAMP]
sys.exit(
    not (
        seen[8, 1, 1] == seen[8, 1, 2] == RAMP
        and seen[8, 0, 1] == right
        and seen[8, 0, 2] == RAMP
        and seen[16, 1, 1] == [257 * value for value in RAMP]
        and "unknown raw mode" in seen[16, 1, 2]
    )
)
PYTHON
for version in 10.4.0 13.0.0; do
  python3 -m venv "$version"
  "$version/bin/pip" install --quiet --disable-pip-version-check "pillow==$version"
  "$version/bin/python" planes.py
done
