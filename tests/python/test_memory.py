"""What a process that hosts the package survives: memory and threads that cannot be had."""

import pickle
import subprocess
import sys

import pytest
from PIL import Image

pomona = pytest.importorskip("pomona", reason="the package is not installed")

SCRIPT = """
import io, pathlib, resource, sys
from PIL import Image
import pomona

folder = pathlib.Path(sys.argv[1])
# From the bottom to the top, so it is kept whole.
Image.new("RGB", (12_000, 12_000)).save(folder / "large.tga", compression="tga_rle")
Image.new("RGB", (100, 100), "red").save(folder / "small.png")
extractor = pomona.Extractor(threads=2)
before = extractor.extract([folder / "small.png"])

pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
limits = resource.getrlimit(resource.RLIMIT_AS)
taken = pages * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (250 << 20), limits[1]))
try:
    extractor.extract([folder / "small.png", folder / "large.tga"])
except MemoryError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_AS, limits)

after = extractor.extract([folder / "small.png", folder / "large.tga"])
assert after["verdict"].to_pylist() == ["ok", "ok"]
assert after.slice(0, 1)["features"].equals(before["features"])
"""


def test_the_host_survives_lack_of_memory(tmp_path):
    """A picture of 430 MB in 250 MB: MemoryError, which names it, and all goes on."""
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT, tmp_path], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, (finished.returncode, finished.stderr)
    assert finished.stdout == f"{tmp_path}/large.tga: out of memory\n"


def test_a_picture_that_takes_more_than_there_may_be_is_a_reject(tmp_path):
    large, small = tmp_path / "large.tga", tmp_path / "small.png"
    Image.new("RGB", (12_000, 12_000)).save(large, compression="tga_rle")
    Image.new("RGB", (100, 100), "red").save(small)
    extractor = pomona.Extractor(threads=1, memory="100M")
    assert repr(extractor).endswith(", memory='100M')")
    for each in (extractor, pickle.loads(pickle.dumps(extractor))):
        table = each.extract([large, small])
        assert table["reason"].to_pylist() == ["too_large", None]
        assert "half of --memory" in table["message"][0].as_py()
        assert table["verdict"].to_pylist() == ["reject", "ok"]
    with pytest.raises(ValueError, match="memory"):
        pomona.Extractor(memory="much")
