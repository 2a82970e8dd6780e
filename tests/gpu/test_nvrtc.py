"""The kernels by NVIDIA's own compiler: it takes them and leaves their arithmetic as written."""

import ctypes
import os
import pathlib
import re
import shutil

import pytest

KERNELS = pathlib.Path(__file__).parents[2] / "src/infer/gpu"


@pytest.fixture(scope="module")
def nvrtc():
    python = os.environ.get("POMONA_NVRTC_PYTHON", "")
    if not shutil.which(python):
        pytest.skip("POMONA_NVRTC_PYTHON does not name a Python with nvidia-cuda-nvrtc")
    folder = pathlib.Path(python).parents[1]
    return ctypes.CDLL(
        str(next(folder.glob("lib/python*/site-packages/nvidia/*/lib/libnvrtc.so.*")))
    )


def ptx(nvrtc, text, architecture):
    """What the compiler makes of it."""
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    assert nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, b"kernels", 0, None, None) == 0
    options = [b"--gpu-architecture=" + architecture, b"--fmad=false"]
    given = (ctypes.c_char_p * len(options))(*options)
    code = nvrtc.nvrtcCompileProgram(program, len(options), given)
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    assert code == 0, log.value.decode()
    assert log.value == b""  # no warning
    nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size))
    made = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetPTX(program, made)
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    return made.value.decode()


# Turing to Blackwell: of each generation the GPUs of data centres, and of the last another one.
@pytest.mark.parametrize(
    "architecture", [b"compute_75", b"compute_80", b"compute_89", b"compute_90", b"compute_120"]
)
def test_arithmetic_is_what_is_written(nvrtc, architecture):
    text = b"".join((KERNELS / name).read_bytes() for name in ("cuda.cu", "kernels.cl"))
    code = ptx(nvrtc, text, architecture)
    assert set(re.findall(r"\.entry (\w+)", code)) == {
        "probe", "convolution", "depthwise", "pointwise", "pool"
    }  # fmt: skip
    # Each instruction on float32 by its name, but those that only move it.
    operations = set(re.findall(r"\b([a-z]\w*(?:\.\w+)*\.f32(?:x2)?)\b", code))
    moves = {name for name in operations if re.match(r"(ld|st|mov|cvta|selp)\.", name)}
    assert operations - moves == {"fma.rn.f32", "add.rn.f32", "max.f32", "min.f32"}
    assert ".ftz" not in code and "approx" not in code and ".local" not in code
