"""Runs of a small tree by a test engine (driver.cc), with a library (fault.cc) that kills them,
fails their system calls or records them."""

import os
import pathlib
import random
import shutil
import subprocess
import tempfile

import pytest
from PIL import Image
from runs import told_again

RUN = "r"  # the run that is disturbed
BEFORE = "before"  # the run that was published before it
CARD = "README.md"  # tells of the newest run


def calls_in(log):
    """The records of fault.cc's log: (call, path, ...), with a write's bytes as its last word."""
    records = []
    data = log.read_bytes()
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        words = data[at:end].decode().split("\t")
        at = end + 1
        if words[0] == "write":
            size = int(words[3])
            words[3] = data[at : at + size]
            at += size
        records.append(tuple(words))
    return records


def paths_of(output, run_id):
    """A run's files, also those in folders inside its own."""
    return [
        path
        for folder in output.rglob(f"*_{run_id}")
        if "_pomona" not in folder.parts
        for path in folder.rglob("*")
        if not path.is_dir()
    ]


def files_of(output, run_id):
    """The bytes of a run's files by their path, without its run_info."""
    return {
        str(path.relative_to(output)): told_again(path, path.read_bytes())
        for path in paths_of(output, run_id)
        if path.relative_to(output).parts[0] != "run_info"
    }


def whole_output(output):
    return {
        str(path.relative_to(output)): path.read_bytes()
        for path in output.rglob("*")
        if path.is_file() and path.relative_to(output).parts[0] != "_pomona"
    }


def is_published(output, run_id=RUN):
    return (output / "run_info" / f"run_info_{run_id}").exists()


class Lab:
    """Runs over `tree`, each into a copy of an output that already holds the run BEFORE."""

    def __init__(self, folder, build):
        self.folder = folder
        self.driver = build / "driver"
        self.fault = build / "libfault.so"
        self.tree = folder / "tree"
        self.numbers = random.Random(1)
        for i in range(8):
            self.add_image(f"Apple/{i}.png")
        (self.tree / "Pear").mkdir()
        (self.tree / "Pear/broken.png").write_text("no picture")
        (self.tree / "Pear/notes.txt").write_text("no picture either")

        self.template = folder / "template"
        assert self.run(self.template, BEFORE).returncode == 0
        self.before = whole_output(self.template)
        for i in range(4):
            self.add_image(f"Pear/{i}.png")
        self.add_image("Apple/33.png")
        undisturbed = folder / "undisturbed"
        assert self.run(undisturbed).returncode == 0
        self.expected = files_of(undisturbed, RUN)
        self.cards = [(folder / CARD).read_bytes() for folder in (self.template, undisturbed)]
        assert len(self.expected) == 37

    def add_image(self, name):
        image = Image.new("RGB", (3, 3))
        image.putdata([tuple(self.numbers.randbytes(3)) for _ in range(9)])
        (self.tree / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(self.tree / name)

    def command(self, output, run_id=RUN, **options):
        words = [f"{name}={value}" for name, value in options.items()]
        return [self.driver, self.tree, output, run_id, *words]

    def run(self, output, run_id=RUN, faults=None, **options):
        return subprocess.run(
            self.command(output, run_id, **options),
            env=self.environment(output, **(faults or {})),
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    def environment(self, output, **faults):
        if not faults:
            return dict(os.environ)
        words = {f"FAULT_{name.upper()}": str(value) for name, value in faults.items()}
        return {**os.environ, "LD_PRELOAD": str(self.fault), "FAULT_ROOT": str(output), **words}

    def new_output(self):
        output = self.folder / "output"
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(self.template, output)
        return output

    def calls(self, output, **settings):
        """The calls of an undisturbed run into `output`."""
        log = self.folder / "log"
        log.unlink(missing_ok=True)
        finished = self.run(output, faults={"log": log, **settings})
        assert finished.returncode == 0, finished.stderr
        return calls_in(log)

    def check_intact(self, output):
        """The run before is as it was, and the other one whole or not there; the card tells of
        one that is there."""
        found = whole_output(output)
        for name, data in self.before.items():
            assert found[name] == data or name == CARD, name
        assert found[CARD] in self.cards[: 1 + is_published(output)]
        if is_published(output):
            assert files_of(output, RUN) == self.expected
            assert (output / f"run_info/run_info_{RUN}/_SUCCESS").exists()

    def check_resumes(self, output):
        """The same command brings the run to its end, with the bytes of an undisturbed one."""
        self.check_intact(output)
        was_published = is_published(output)
        finished = self.run(output)
        if was_published:
            assert finished.returncode == 1
            assert "already published" in finished.stderr
        else:
            assert finished.returncode == 0, finished.stderr
            assert not (output / "_pomona").exists()
        assert is_published(output)
        self.check_intact(output)


@pytest.fixture(scope="session")
def build(pomona):
    folder = pathlib.Path(pomona).parent / "tests/reliability"
    if not (folder / "driver").exists():
        pytest.skip(f"{folder} does not hold the driver and the fault library")
    return folder


@pytest.fixture(scope="session")
def memory_folder():
    """In memory where there is a file system for that: thousands of runs wait for no disk."""
    shared = pathlib.Path("/dev/shm")
    parent = shared if os.access(shared, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="pomona-test-", dir=parent) as folder:
        yield pathlib.Path(folder)


@pytest.fixture(scope="session")
def lab(build, memory_folder):
    return Lab(memory_folder / "lab", build)


@pytest.fixture
def changing(build, memory_folder):
    """A lab whose tree may be changed."""
    lab = Lab(memory_folder / "changing", build)
    yield lab
    shutil.rmtree(lab.folder)
