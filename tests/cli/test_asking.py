"""`pomona delete` on a terminal: it asks, and takes no for an answer."""

import os
import pty
import shutil
import subprocess

import pytest


@pytest.fixture
def output(sample_run, tmp_path):
    return shutil.copytree(sample_run, tmp_path / "out")


def answered(pomona, output, answer):
    """What it wrote and its exit code."""
    terminal, program_side = pty.openpty()
    process = subprocess.Popen(
        [pomona, "delete", output, "--run-id", "test"],
        stdin=program_side,
        stdout=subprocess.PIPE,
        stderr=program_side,
        text=True,
    )
    os.close(program_side)
    asked = os.read(terminal, 4096).decode()
    os.write(terminal, answer)
    printed, _ = process.communicate(timeout=240)
    os.close(terminal)
    return asked, printed, process.returncode


@pytest.mark.parametrize("answer", [b"\n", b"n\n", b"\x04"])
def test_no(pomona, output, answer):
    files = sorted(output.rglob("*"))
    asked, printed, code = answered(pomona, output, answer)
    assert asked.startswith("delete run test: ")
    assert asked.endswith(f" in {output}? [y/N] ")
    assert (printed, code) == ("", 1)
    assert sorted(output.rglob("*")) == files


def test_yes(pomona, output):
    files = sum(path.is_file() for path in output.rglob("*/*"))  # README.md is of no run
    asked, printed, code = answered(pomona, output, b"y\n")
    assert asked.startswith(f"delete run test: {files} files, ")
    assert printed == asked.replace("delete ", "deleted ").partition(", in ")[0] + "\n"
    assert code == 0
    assert [path for path in output.rglob("*") if path.is_file()] == []
