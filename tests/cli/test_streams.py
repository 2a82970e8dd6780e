"""Standard output and standard error: closed, full, left by their reader, with foreign names."""

import errno
import os
import pathlib
import subprocess

import pytest

ESCAPE = "\x1b]0;owned\x07\x9b31m\u202egpj"  # C0, C1, a change of the writing direction


def shell(command, **names):
    """Runs the command, where $NAME stands for names[NAME]."""
    environment = {**os.environ, **{name: str(value) for name, value in names.items()}}
    return subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("closed", [">&- 2>&-", "<&- 2>&-", "2>&-", "<&- >&- 2>&-", ">&-"])
def test_closed_descriptors_do_no_harm(pomona, sample_tree, tmp_path, closed):
    """What the program prints does not get into the files that it writes."""
    job = '"$POMONA" run "$TREE" "$OUT" --run-id r --pca-components 5 --progress bar '
    finished = shell(job + closed, POMONA=pomona, TREE=sample_tree, OUT=tmp_path / "out")
    # Where standard output is closed, the summary is lost and the run is not.
    assert finished.returncode == 0, finished.stderr
    verified = subprocess.run(
        [pomona, "verify", tmp_path / "out"], capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stdout


@pytest.fixture
def commands(pomona, sample_tree, tmp_path):
    """Command lines that print, by name."""
    published = tmp_path / "published"
    run = [pomona, "run", sample_tree, published, "--pca-components", "2", "--limit", "9"]
    subprocess.run([*run, "--quiet"], check=True)
    return {
        "check": [pomona, "check", sample_tree],
        "check --json": [pomona, "check", "--json", sample_tree],
        "verify": [pomona, "verify", published],
        "version": [pomona, "version"],
        "weights show": [pomona, "weights", "show"],
        "sample": [pomona, "sample", tmp_path / "sample", "--images", "12"],
        "run": [*run[:3], tmp_path / "full", *run[4:], "--run-id", "r"],
        "help": [pomona, "--help"],
    }


def test_output_that_is_lost_is_a_failure(commands, tmp_path):
    for name, command in commands.items():
        with open("/dev/full", "w") as full:
            finished = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, text=True, check=False
            )
        message = f"pomona: cannot write to standard output: {os.strerror(errno.ENOSPC)}"
        # After a failure nothing is published, so what is published is no failure.
        if name == "run":
            message += "; the run is published all the same"
        assert finished.returncode == (0 if name == "run" else 1), name
        assert finished.stderr.splitlines()[-1] == message, name
    assert (tmp_path / "full/run_info/run_info_r/_SUCCESS").exists()


def test_output_that_is_cut_in_the_middle_is_a_failure(pomona, sample_tree, tmp_path):
    """A limit of file size stands for a disk that is full after some lines."""
    report = tmp_path / "report"
    job = 'ulimit -f 8; "$POMONA" check --json "$TREE" > "$REPORT"'
    finished = shell(job, POMONA=pomona, TREE=sample_tree, REPORT=report)
    assert finished.returncode == 1
    assert "cannot write to standard output: File too large" in finished.stderr
    assert report.stat().st_size == 8192


def test_a_closed_output_is_a_failure(pomona):
    finished = shell('"$POMONA" version >&-', POMONA=pomona)
    assert finished.returncode == 1
    assert "cannot write to standard output: Bad file descriptor" in finished.stderr
    assert finished.stderr.count("\n") == 1


def test_a_reader_may_leave(pomona, sample_tree):
    job = 'set -o pipefail; "$POMONA" check --json "$TREE" | head -n 1'
    finished = shell(job, POMONA=pomona, TREE=sample_tree)
    assert finished.returncode == 0 and finished.stderr.startswith("listed "), finished.stderr


def test_foreign_names_command_no_terminal(pomona, sample_tree, tmp_path):
    tree = tmp_path / ESCAPE
    (tree / ESCAPE).mkdir(parents=True)
    (tree / ESCAPE / f"{ESCAPE}.jpg").write_bytes(b"no image")
    image = next(pathlib.Path(sample_tree).rglob("*.jpg")).read_bytes()
    (tree / ESCAPE / "good.jpg").write_bytes(image)
    printed = b""
    for command in (
        ["check", tree],
        ["check", tree / "nowhere"],
        ["run", tree, tree / "out", "--pca-components", "1"],
        ["run", tree, tree / "out", "--max-rejects", "0"],
        ["verify", tree],
        ["weights", "show", tree / "nowhere"],
        ["fly", tree],
        ["run", tree, tree, tree],
    ):
        finished = subprocess.run([pomona, *command], capture_output=True, check=False)
        printed += finished.stdout + finished.stderr
    text = printed.decode()
    assert text.count("?]0;owned??31m?gpj") > 10
    assert not [c for c in text if c != "\n" and (c < " " or "\x7f" <= c < "\xa0" or c == "\u202e")]
