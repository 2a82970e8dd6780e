"""The command line as a user sees it: each cases/NAME.sh is run in an empty folder, and what it
prints must equal NAME.stdout and NAME.stderr beside it. `pytest tests/cli --accept` takes what was
printed as the new expectation; read the difference before you commit it.

Scripts may use $DATA (a folder of small files made below) and must print exit codes themselves.
"""

import pathlib
import re
import subprocess

import pytest

CASES = pathlib.Path(__file__).parent / "cases"

# What differs from run to run.
VOLATILE = [
    (re.compile(r"in [\d.]+ s(?=,| \()"), "in N s"),
    (re.compile(r"\(\d+ images/s\)"), "(N images/s)"),
    (re.compile(r"^(list|extract|fit|write) \d.*\n", re.M), ""),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"), "YYYY-MM-DD HH:MM"),
    (re.compile(r"\d\d\d\.\d kB"), "NNN.N kB"),
    (re.compile(r" +\d+\.\d(?=  NNN)"), "      N.N"),
]


def normalised(text, folder):
    text = text.replace(str(folder), "DIR")
    for pattern, replacement in VOLATILE:
        text = pattern.sub(replacement, text)
    return text


@pytest.mark.parametrize("case", sorted(path.stem for path in CASES.glob("*.sh")))
def test_case(case, pomona, tmp_path, request):
    environment = {
        "PATH": f"{pathlib.Path(pomona).parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    finished = subprocess.run(
        ["bash", str(CASES / f"{case}.sh")],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    for stream in ("stdout", "stderr"):
        actual = normalised(getattr(finished, stream), tmp_path)
        expected = CASES / f"{case}.{stream}"
        if request.config.getoption("--accept"):
            expected.write_text(actual)
        assert actual == expected.read_text(), stream
