"""The kernels in oclgrind, a device that watches every access: none is out of bounds or races with
another. (Its check for what nobody wrote does not know all of LLVM's instructions in 21.10; the
buffers of cuda_on_cpu.cc are full of NaN instead.)"""

import os
import pathlib
import subprocess

import pytest

DRIVER = "/usr/lib/oclgrind/liboclgrind-rt-icd.so"


@pytest.mark.long
def test_every_access_is_sound(pomona):
    if not os.path.exists(DRIVER):
        pytest.skip("no oclgrind: install it")
    tests = pathlib.Path(pomona).parent / "tests/infer/gpu_test"
    # By itself: oclgrind and PoCL bring an LLVM each, which do not go into one process.
    watched = {"OCL_ICD_VENDORS": DRIVER, "OCLGRIND_CHECK_API": "1", "OCLGRIND_DATA_RACES": "1"}
    small = "--gtest_filter=GpuTest.KeepsThePromise*:Gpu/GpuFamily.*/alpha100_size32"
    done = subprocess.run(
        [tests, small], capture_output=True, text=True, check=False, env=os.environ | watched
    )
    assert done.returncode == 0, done.stdout
    assert "2 tests from 2 test suites ran" in done.stdout and "SKIPPED" not in done.stdout
    assert done.stderr == ""
