"""From a file's bytes to the 224x224 picture, on one core: Pomona, Pillow, OpenCV and libvips.

    python bench/photos.py [--bench build/bench/decode_bench] [--pillow NAME=PYTHON] [--rounds N]

Makes photographs of its own: noise as natural pictures have it (amplitude falls with frequency),
some of a sensor, in several sizes and formats. Each round measures everybody on every file, in
turns; what is told is the median of CPU time, and how many times as long as Pomona each one takes.
`--pillow` names interpreters with other versions; OpenCV and libvips are measured where this one
has them. Only Pillow 9 to 12 makes the same pixels as Pomona.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np
from PIL import Image, features

SENSOR_NOISE = 1.0

# Run by each interpreter: the CPU seconds of the best of some turns, or nothing.
PEER = """
import io, sys, time
library, path = sys.argv[1:]
data = open(path, "rb").read()
if library == "pillow":
    from PIL import Image
    Image.MAX_IMAGE_PIXELS = None
    def make():
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB").resize((224, 224), Image.BICUBIC).tobytes()
elif library == "opencv":
    import cv2, numpy
    cv2.setNumThreads(1)
    def make():
        picture = cv2.imdecode(numpy.frombuffer(data, numpy.uint8), cv2.IMREAD_COLOR)
        return cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA)
else:
    import pyvips
    pyvips.cache_set_max(0)
    def make():
        if library == "vips-shrink":
            image = pyvips.Image.thumbnail_buffer(data, 224, height=224, size="force")
        else:
            image = pyvips.Image.new_from_buffer(data, "")
            image = image.resize(224 / image.width, vscale=224 / image.height, kernel="cubic")
        return image.write_to_memory()
make()
seconds, start = [], time.perf_counter()
while len(seconds) < 3 or time.perf_counter() - start < 0.3:
    before = time.process_time()
    make()
    seconds.append(time.process_time() - before)
print(min(seconds))
"""


def photograph(width, height, seed):
    random = np.random.default_rng(seed)
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])
    amplitude = 1 / np.maximum(frequencies, 1 / width) ** 1.2
    planes = [
        np.fft.irfft2(np.fft.rfft2(random.standard_normal((height, width))) * amplitude)
        for _ in range(3)
    ]
    picture = np.stack([plane[:height, :width] for plane in planes], axis=2)
    gray = picture.mean(axis=2, keepdims=True)
    picture = gray + 0.4 * (picture - gray)
    picture = 128 + 45 * (picture - picture.mean()) / picture.std()
    picture += random.normal(0, SENSOR_NOISE, picture.shape)
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))


def make_files(folder):
    files = {}

    def save(picture, name, suffix, **options):
        path = folder / f"{name.replace(' ', '-')}{suffix}"
        picture.save(path, **options)
        files[f"{name} {picture.width}x{picture.height}"] = path

    for size in ((640, 480), (4000, 3000)):
        picture = photograph(*size, seed=1)
        save(picture, f"JPEG {size[0]}", ".jpg", quality=90)
        save(picture, f"progressive JPEG {size[0]}", ".jpg", quality=90, progressive=True)
    for size in ((1024, 1024), (4000, 3000)):
        save(photograph(*size, seed=2), f"PNG {size[0]}", ".png")
    picture = photograph(1024, 1024, seed=3)
    save(picture.convert("L"), "gray PNG", ".png")
    if features.check("webp"):
        save(picture, "WebP", ".webp", quality=85)
    picture = photograph(2048, 2048, seed=4)
    for compression in ("tiff_lzw", "tiff_adobe_deflate"):
        save(
            picture,
            compression.replace("tiff_", "TIFF "),
            f"-{compression}.tif",
            compression=compression,
        )
    return files


def of_pomona(bench, path):
    """CPU seconds by mode."""
    command = [bench, f"--benchmark_filter=^(scaled/)?{path}$", "--benchmark_format=json"]
    told = subprocess.run(
        [*command, "--benchmark_min_time=0.3", path], capture_output=True, check=True
    )
    runs = json.loads(told.stdout)["benchmarks"]
    return {
        "Pomona, scaled" if run["name"].startswith("scaled/") else "Pomona": run["cpu_time"] / 1e6
        for run in runs
    }


def of_peer(python, library, path):
    told = subprocess.run(
        [python, "-c", PEER, library, path], capture_output=True, text=True, check=False
    )
    return float(told.stdout) if told.returncode == 0 else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", default="build/bench/decode_bench")
    parser.add_argument("--pillow", action="append", default=[], metavar="NAME=PYTHON")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    peers = {f"Pillow {Image.__version__}": (sys.executable, "pillow")}
    for given in arguments.pillow:
        name, python = given.split("=", 1)
        peers[f"Pillow {name}"] = (python, "pillow")
    for name, library in (
        ("OpenCV", "opencv"),
        ("libvips", "vips"),
        ("libvips, shrink", "vips-shrink"),
    ):
        peers[name] = (sys.executable, library)
    with tempfile.TemporaryDirectory() as folder:
        for name, path in make_files(pathlib.Path(folder)).items():
            seconds: dict[str, list[float]] = {}
            for _ in range(arguments.rounds):
                for who, spent in of_pomona(arguments.bench, path).items():
                    seconds.setdefault(who, []).append(spent)
                for who, (python, library) in peers.items():
                    spent = of_peer(python, library, path)
                    if spent is not None:
                        seconds.setdefault(who, []).append(spent)
            pomona = statistics.median(seconds["Pomona"])
            print(f"{name}: {path.stat().st_size / 1e6:.1f} MB", flush=True)
            for who, spent in seconds.items():
                median = statistics.median(spent)
                print(f"  {who:16} {1000 * median:8.2f} ms {median / pomona:6.2f}")


if __name__ == "__main__":
    main()
