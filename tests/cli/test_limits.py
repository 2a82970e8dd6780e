"""Limits that a batch system or a container sets: memory, threads."""

import os
import re
import shutil
import struct
import subprocess
import zlib

import PIL.Image
import pytest


def png(width, height):
    """An interlaced PNG, which is kept whole, of black and white pixels: large in memory only."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    packer = zlib.compressobj(1)
    pixels = b""
    steps = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    for x, y, right, down in [*steps, (0, 1, 1, 2)]:
        row = bytes(1 + (len(range(x, width, right)) + 7) // 8)
        pixels += b"".join(packer.compress(row) for _ in range(y, height, down))
    pixels += packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 1)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def limited(command, kilobytes):
    return subprocess.run(
        ["bash", "-c", f'ulimit -v {kilobytes}; exec "$@"', "bash", *command],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def needed(pomona):
    """Kilobytes of address space that the program takes before it does anything."""
    for kilobytes in range(100_000, 4_000_000, 50_000):
        if limited([pomona, "version"], kilobytes).returncode == 0:
            return kilobytes
    raise AssertionError("the program does not start")


@pytest.fixture
def tree(sample_tree, tmp_path):
    """Small pictures, and one that takes 400 MB decoded."""
    tree = tmp_path / "tree"
    shutil.copytree(sample_tree, tree)
    (tree / "Training/Banana/large.png").write_bytes(png(12_000, 12_000))
    return tree


def test_a_large_file_is_waited_for_until_it_is_done(pomona, tmp_path):
    """And not for the next one of who read it, which may never come."""
    tree = tmp_path / "tree"
    (tree / "label").mkdir(parents=True)
    for name in "ab":
        PIL.Image.new("RGB", (3300, 3300)).save(tree / f"label/{name}.bmp")
    limits = ["--memory", "96M", "--threads", "2"]  # room for one of them
    done = subprocess.run(
        [pomona, "check", tree, *limits], capture_output=True, text=True, timeout=120, check=True
    )
    assert "listed 2 = 2 ok + 0 rejects + 0 skips" in done.stdout
    job = [pomona, "run", tree, tmp_path / "out", "--pca-components", "1", "--quiet"]
    subprocess.run([*job, *limits], timeout=120, check=True)


def test_lack_of_memory_is_no_reject(pomona, needed, tree, tmp_path):
    """A picture that does not fit into the memory fails the run, which resumes with more."""
    job = [pomona, "run", tree, tmp_path / "out", "--run-id", "r", "--pca-components", "3"]
    job += ["--threads", "1", "--quiet"]
    finished = limited(job, needed + 350_000)
    assert finished.returncode == 1, (finished.returncode, finished.stderr)
    assert re.fullmatch(
        rf"pomona: {tree}/Training/Banana/large.png: [^\n]*out of memory[^\n]*;"
        r" [1-9]\d* of 121 images "
        "are kept: the same command resumes\n",
        finished.stderr,
    ), finished.stderr
    checked = limited([pomona, "check", "--threads", "1", tree], needed + 350_000)
    assert checked.returncode == 1
    assert "reject" not in checked.stdout and "large.png: " in checked.stderr

    subprocess.run(job, check=True)
    metadata = (tmp_path / "out/metadata/metadata_r/part-00000.csv").read_text()
    assert len(metadata.splitlines()) == 122 and "large.png" in metadata


@pytest.mark.parametrize("step", [30_000, pytest.param(500, marks=pytest.mark.long)])
def test_no_limit_of_memory_aborts(pomona, needed, sample_tree, tmp_path, step):
    """Wherever memory ends, one line says so."""
    for more in range(10_000, 400_000, step):
        job = [pomona, "run", sample_tree, tmp_path / "out", "--pca-components", "3", "--quiet"]
        finished = limited([*job, "--threads", "4"], needed + more)
        assert finished.returncode in (0, 1), (more, finished)
        if finished.returncode == 0:
            break
        assert len(finished.stderr.splitlines()) == 1, (more, finished.stderr)
    assert finished.returncode == 0


def test_more_threads_than_any_machine_has(pomona, sample_tree, tmp_path):
    for command in (
        ["run", sample_tree, tmp_path / "out", "--threads", "100000"],
        ["check", sample_tree, "--threads", "100000"],
    ):
        finished = subprocess.run([pomona, *command], capture_output=True, text=True, check=False)
        assert finished.returncode == 2
        assert "1024" in finished.stderr.splitlines()[0]


@pytest.fixture
def group(tmp_path):
    """group(controller, file, value) gives a control group in which its command runs."""
    made = []

    def make(controller, files):
        base = f"/sys/fs/cgroup/{controller}"
        if not os.path.exists(f"{base}/cgroup.procs"):
            pytest.skip(f"there is no control group of version 1 at {base}")
        folder = f"{base}/pomona-test-{os.getpid()}"
        try:
            os.mkdir(folder)
            made.append(folder)
            for name, value in files.items():
                with open(f"{folder}/{name}", "w") as file:
                    file.write(value)
        except OSError as error:
            pytest.skip(f"making a control group needs privileges: {error}")
        return folder

    yield make
    for folder in made:
        os.rmdir(folder)


def run_in(folder, command):
    script = f'echo $BASHPID > {folder}/cgroup.procs; exec "$@"'
    return subprocess.run(
        ["bash", "-c", script, "bash", *command], capture_output=True, text=True, check=False
    )


def threads_of(output):
    text = next(output.glob("run_info/*/part-00000.json")).read_text()
    return int(re.search(r'"threads": (\d+)', text)[1])


def test_a_quota_of_half_a_core_is_one_thread(pomona, group, sample_tree, tmp_path):
    folder = group("cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"})
    job = [pomona, "run", sample_tree, tmp_path / "out", "--limit", "20", "--pca-components", "2"]
    finished = run_in(folder, job)
    assert finished.returncode == 0, finished.stderr
    assert threads_of(tmp_path / "out") == 1


def test_a_limit_of_memory_bounds_threads(pomona, group, sample_tree, tmp_path):
    folder = group("memory", {"memory.limit_in_bytes": str(1 << 30)})
    job = [pomona, "run", sample_tree, tmp_path / "out", "--pca-components", "2", "--threads", "64"]
    finished = run_in(folder, job)
    assert finished.returncode == 0, finished.stderr
    assert 1 < threads_of(tmp_path / "out") < 16
    assert "threads instead of 64" in finished.stderr
