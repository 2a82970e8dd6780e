"""An Extractor on a GPU: the CPU's features, and a child that was forked is told what to do."""

import os
import pathlib
import subprocess
import sys

import pytest

pytest.importorskip("pomona", reason="the package is not installed")

SAME = """
import sys, pomona
gpu = pomona.Extractor(engine="gpu", threads=2)
assert gpu.device == "cuda:0, a GPU of the tests", gpu.device
assert gpu.engine == "native"
cpu = pomona.Extractor(threads=2)
assert cpu.device == "cpu"
assert gpu.extract(sys.argv[1:]).equals(cpu.extract(sys.argv[1:]))
"""

# The lanes' threads wait, as at most times, when the child begins without them.
FORKED = """
import os, sys, warnings, pomona
warnings.simplefilter("ignore", DeprecationWarning)  # of fork with threads
gpu = pomona.Extractor(engine="gpu", threads=2)
gpu.extract(sys.argv[1:])
child = os.fork()
if child == 0:
    assert gpu.device == "cpu"
    try:
        gpu.extract(sys.argv[1:])
    except RuntimeError as error:
        assert 'start the process by "spawn"' in str(error), error
    else:
        os._exit(3)
    del gpu
    assert pomona.Extractor(threads=1).extract(sys.argv[1:]).num_rows == len(sys.argv) - 1
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
assert gpu.extract(sys.argv[1:]).num_rows == len(sys.argv) - 1
"""


@pytest.mark.parametrize("script", [SAME, FORKED], ids=["same", "forked"])
def test_extractor(pomona, paths, script):
    cuda = pathlib.Path(pomona).parent / "tests/gpu/cuda"
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, paths[:4])],
        capture_output=True, text=True, check=False, timeout=120,
        env=os.environ | {"LD_LIBRARY_PATH": str(cuda)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
