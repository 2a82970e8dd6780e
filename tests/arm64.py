"""Programs for arm64 that were made here: qemu runs them."""

import os
import pathlib
import shutil

import pytest

# What the Makefile made, and the sysroot that it was made with.
FOLDER = pathlib.Path(os.environ.get("POMONA_ARM64", "/nowhere"))


def emulated(program):
    """The command that runs a program for arm64."""
    if not shutil.which("qemu-aarch64"):
        pytest.skip("there is no qemu-aarch64")
    if not program.exists():
        pytest.skip(f"there is no {program}: POMONA_ARM64 names no folder where it was made")
    return ["qemu-aarch64", "-L", FOLDER / "sysroot", program]


def emulated_python():
    """The same of the Python that the wheel for arm64 is for."""
    return emulated(FOLDER / "sysroot/usr/bin/python3")
