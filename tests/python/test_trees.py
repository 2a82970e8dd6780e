"""Trees as they are found in the wild: every file is accounted for, and nothing hangs."""

import csv
import json
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import tempfile
import threading

import pytest
from conftest import RUN_ID

NOBODY = 65534


@pytest.fixture
def picture(sample_tree):
    return next(sample_tree.rglob("*.jpg")).read_bytes()


@pytest.fixture
def tree():
    """A folder that other users can look into."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


def call(pomona, *arguments, prefix=()):
    job = [*prefix, pomona, *arguments]
    return subprocess.run(job, capture_output=True, text=True, check=False, timeout=100)


def verdicts(pomona, tree, prefix=()):
    """What check says of each file, by its path below the tree: ok, skip, or reason and message."""
    done = call(pomona, "check", tree, "--json", prefix=prefix)
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        it = json.loads(line)
        reject = f"{it['reason']}: {it['message']}"
        path = it["path"].removeprefix(f"{tree}/")
        found[path] = reject if it["verdict"] == "reject" else it["verdict"]
    assert done.stderr.startswith(f"listed {len(found)} = ")
    return found


def counts(output):
    info = json.loads((output / f"run_info/run_info_{RUN_ID}/part-00000.json").read_text())
    return info["counts"]


def rows(output, folder):
    with open(output / f"{folder}_{RUN_ID}/part-00000.csv", newline="") as file:
        return list(csv.reader(file))[1:]


def odd_tree(tree, picture):
    label = tree / "label"
    label.mkdir()
    (label / "1.jpg").write_bytes(picture)
    (label / "2.jpg").write_bytes(picture[:500])
    (label / "empty.jpg").touch()
    (label / "empty.txt").touch()
    (label / "notes.txt").write_text("a note")
    (tree / "folder.jpg").mkdir()
    (tree / "no files").mkdir()
    (label / "loop").symlink_to("..")
    (label / "self.jpg").symlink_to("self.jpg")
    (label / "dangling.jpg").symlink_to("nowhere")
    (label / "link.jpg").symlink_to("1.jpg")
    (tree / "linked").symlink_to("label/real")
    (label / "real").mkdir()
    (label / "real/1.jpg").write_bytes(picture)
    os.mkfifo(label / "fifo.jpg")
    os.mkfifo(label / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(label / "socket.jpg"))
    (label / "device.jpg").symlink_to("/dev/zero")
    return {
        "label/1.jpg": "ok",
        "label/2.jpg": "truncated: the file ends in line 0 of 100",
        "label/empty.jpg": "empty: the file has no bytes",
        "label/empty.txt": "skip",
        "label/notes.txt": "skip",
        "label/self.jpg": "unreadable: cannot open: Too many levels of symbolic links",
        "label/dangling.jpg": "unreadable: cannot open: No such file or directory",
        "label/link.jpg": "ok",
        "label/real/1.jpg": "ok",
        "linked/1.jpg": "ok",
        "label/fifo.jpg": "unreadable: not a regular file",
        "label/fifo": "unreadable: not a regular file",
        "label/socket.jpg": "unreadable: not a regular file",
        "label/device.jpg": "unreadable: not a regular file",
    }


def test_files_of_every_kind(pomona, tree, picture, run):
    expected = odd_tree(tree, picture)
    found = verdicts(pomona, tree)
    assert {path.removeprefix("label/2"): said for path, said in found.items()} == {
        path.removeprefix("label/2"): said for path, said in expected.items()
    }
    output = run(tree, "--pca-components", "2")
    of_run = counts(output)
    assert (of_run["listed"], of_run["rows"], of_run["rejects"], of_run["skips"]) == (14, 4, 8, 2)
    rejects = {
        path.removeprefix(f"{tree}/"): f"{reason}: {message}"
        for path, _, _, reason, message in rows(output, "errors/errors")
    }
    assert rejects == {path: said for path, said in found.items() if ": " in said}


@pytest.fixture
def as_other_user(pomona):
    """What to put before a command so that permissions count."""
    if os.geteuid() != 0:
        return []
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not there to become another user")
    prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    if call(pomona, "version", prefix=prefix).returncode != 0:
        pytest.skip("other users cannot run the program where it lies")
    return prefix


def test_unreadable_files(pomona, tree, picture, as_other_user):
    (tree / "label").mkdir()
    (tree / "label/1.jpg").write_bytes(picture)
    (tree / "label/1.jpg").chmod(0)
    (tree / "label/2.jpg").write_bytes(picture)
    assert verdicts(pomona, tree, as_other_user) == {
        "label/1.jpg": "unreadable: cannot open: Permission denied",
        "label/2.jpg": "ok",
    }


@pytest.mark.parametrize("mode", [0, stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH])
def test_unreadable_folders_stop_everything(pomona, tree, picture, as_other_user, mode):
    folders = [tree / "label 1", tree / "label 2", tree / "label 3"]
    for folder in folders:
        folder.mkdir()
        (folder / "1.jpg").write_bytes(picture)
    for folder in folders[1:]:
        folder.chmod(mode)
    output = tree / "output"
    output.mkdir()
    output.chmod(0o777)
    jobs = [("check", tree), ("run", tree, output, "--pca-components", "1", "--mode", "apples")]
    try:
        for job in jobs:
            done = call(pomona, *job, prefix=as_other_user)
            assert done.returncode == 1
            assert done.stderr.endswith(
                f"pomona: cannot list the folder {folders[1]}: Permission denied; "
                "nor 1 more folders\n"
            )
    finally:
        for folder in folders:
            folder.chmod(0o755)


def test_no_files(pomona, tree):
    (tree / "label").mkdir()
    assert verdicts(pomona, tree) == {}
    done = call(pomona, "run", tree, tree / "output")
    assert done.returncode == 1
    assert f"no files under {tree}" in done.stderr


def test_a_file_as_input(pomona, tree, picture):
    (tree / "1.jpg").write_bytes(picture)
    for job in [("check", tree / "1.jpg"), ("run", tree / "1.jpg", tree / "output")]:
        done = call(pomona, *job)
        assert done.returncode == 1
        assert done.stderr == f"pomona: INPUT {tree}/1.jpg: not a folder\n"


def test_images_at_the_root_have_no_label(pomona, tree, picture):
    for name in ["1.jpg", "2.jpg", "label/3.jpg"]:
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_bytes(picture)
    note = "\n2 of them lie at the root of the tree: their label is empty\n"
    assert note in call(pomona, "check", tree).stdout
    output = tree / "output"
    done = call(pomona, "run", tree, output, "--pca-components", "1", "--run-id", RUN_ID)
    assert done.returncode == 0, done.stderr
    assert note in done.stdout
    assert [row[1] for row in rows(output, "metadata/metadata")] == ["", "", "label"]


def test_links_that_run_in_a_maze(pomona, tree, picture):
    names = [f"folder {number}" for number in range(12)]  # with 12! paths through them
    for name in names:
        (tree / name).mkdir()
        (tree / name / "1.jpg").write_bytes(picture)
        for other in names:
            (tree / name / f"to {other}").symlink_to(f"../{other}")
    done = call(pomona, "check", tree)
    assert done.returncode == 1
    assert "links lead to this folder by more than 100 paths" in done.stderr


def test_deeper_than_files_can_be_open(pomona, tree, picture):
    deep = f"{tree}/d" + "/d" * 1500  # too deep for Python's functions on trees
    subprocess.run(["mkdir", "-p", deep], check=True)
    try:
        pathlib.Path(deep, "1.jpg").write_bytes(picture)
        shell = ["sh", "-c", 'ulimit -n 64; exec "$0" "$@"']
        assert list(verdicts(pomona, tree, shell).values()) == ["ok"]
    finally:
        subprocess.run(["rm", "-r", f"{tree}/d"], check=True)


def test_files_that_change_while_they_are_read(pomona, tree, picture):
    folders = [tree / f"label {number}" for number in range(8)]
    files = [folder / f"{number}.jpg" for folder in folders for number in range(100)]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(picture)
    stop = threading.Event()

    def meddle():
        turn = 0
        while not stop.is_set():
            file = files[turn * 7 % len(files)]
            other = tree / f"new {turn % 3}"
            match turn % 5:
                case 0:
                    file.unlink(missing_ok=True)
                case 1:
                    file.write_bytes(picture[: turn * 13 % len(picture)])
                case 2:
                    with open(file, "ab") as end:
                        end.write(picture)
                case 3:
                    other.mkdir(exist_ok=True)
                    (other / "1.jpg").write_bytes(picture)
                case 4:
                    shutil.rmtree(other, ignore_errors=True)
            turn += 1

    meddler = threading.Thread(target=meddle)
    meddler.start()
    try:
        for _ in range(8):
            found = verdicts(pomona, tree)
            reasons = {said.split(":")[0] for said in found.values()}
            assert reasons <= {"ok", "truncated", "empty", "unreadable", "corrupt"}
            assert len(found) > 300
    finally:
        stop.set()
        meddler.join()


@pytest.mark.long
def test_a_million_files_in_one_folder(pomona, tree, sample_tree):
    """Nearly all of them no images, so that it takes a minute and not an hour."""
    label = tree / "label"
    label.mkdir()
    for number, file in enumerate(sorted(sample_tree.rglob("*.jpg"))):
        shutil.copy(file, label / f"{number}.jpg")
    original = None
    for number in range(10**6):
        name = f"{label}/{number:07}.txt"
        if number % 30_000 == 0:  # a file may have so many names, and a bit more
            original = name
            pathlib.Path(name).write_text("a note")
        else:
            os.link(original, name)
    output = tree / "output"
    job = [pomona, "run", tree, output, "--run-id", RUN_ID, "--pca-components", "10", "--quiet"]
    subprocess.run(job, check=True, timeout=1000)
    of_run = counts(output)
    assert (of_run["listed"], of_run["rows"], of_run["skips"]) == (1_000_120, 120, 10**6)
