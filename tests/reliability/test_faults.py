"""Every system call of the write path fails once: the error names the path, nothing is published,
and once the cause is gone the same command finishes the run."""

import errno
import os
import shutil
import subprocess
import time

import pytest
from conftest import RUN, files_of, is_published

ERRORS = [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EMFILE]

# A run may go on without these: to look at earlier runs, to clean up once it is published.
HARMLESS = ("look", "unlink", "rmdir")
NO_CARD = "the dataset card was not written: "


def check_failure(lab, output, finished):
    assert finished.returncode == 1, (finished.returncode, finished.stderr)
    message = finished.stderr.strip().splitlines()[-1]
    assert str(lab.folder) in message, message
    assert not is_published(output)
    lab.check_intact(output)
    return message


def fail_every_call(lab, step):
    """Returns how many calls failed."""
    calls = lab.calls(lab.new_output(), opens=1)
    failures = 0
    for at in range(1, len(calls) + 1, step):
        error = ERRORS[at // step % len(ERRORS)]
        output = lab.new_output()
        finished = lab.run(output, faults={"at": at, "action": error, "opens": 1})
        call, path = [word for word in calls[at - 1] if word != "failed"][:2]
        if finished.returncode == 0:
            # By then the run is published; the card's turn comes last.
            told = NO_CARD in finished.stderr and os.strerror(error) in finished.stderr
            assert call in HARMLESS or told, (call, path, finished.stderr)
            assert files_of(output, RUN) == lab.expected
        else:
            message = check_failure(lab, output, finished)
            assert os.strerror(error) in message, (call, path, message)
            assert ("MiB are free" in message) == (error in (errno.ENOSPC, errno.EDQUOT))
            failures += 1
        if not is_published(output):
            lab.check_resumes(output)
    return failures


def test_a_sample_of_all_calls_failing(lab):
    assert fail_every_call(lab, step=9) > 20


@pytest.mark.long
def test_every_call_failing(lab):
    failures = fail_every_call(lab, step=1)
    print(f"{failures} failures")
    assert failures > 250


def test_short_writes_do_no_harm(lab):
    calls = lab.calls(lab.new_output())
    writes = [i for i, call in enumerate(calls, 1) if call[0] == "write"]
    assert len(writes) > 50
    for at in writes[::5]:
        output = lab.new_output()
        finished = lab.run(output, faults={"at": at, "action": "short"})
        assert finished.returncode == 0, finished.stderr
        lab.check_intact(output)


@pytest.mark.parametrize("fault", [{"sync_folder": e} for e in (errno.EINVAL, errno.ENOTSUP)])
def test_a_file_system_that_flushes_no_folders(lab, fault):
    """As CIFS, vboxsf and some of FUSE say."""
    output = lab.new_output()
    finished = lab.run(output, faults=fault)
    assert finished.returncode == 0, finished.stderr
    assert files_of(output, RUN) == lab.expected


def test_a_file_system_that_maps_no_files(lab):
    output = lab.new_output()
    finished = lab.run(output, faults={"map": errno.ENODEV})
    assert finished.returncode == 0, finished.stderr
    assert files_of(output, RUN) == lab.expected


@pytest.mark.parametrize("error", [errno.ENOSYS, errno.EXDEV, errno.EPERM])
def test_a_file_system_that_moves_no_folders_is_found_before_the_work(lab, error):
    output = lab.new_output()
    # The engine would wait for ever.
    finished = lab.run(output, faults={"rename_folder": error}, gate="never")
    message = check_failure(lab, output, finished)
    assert f"{os.strerror(error)}; a run is published by renaming folders" in message
    lab.check_resumes(output)


@pytest.fixture
def small_disk(tmp_path):
    """small_disk(options) mounts a tmpfs with the options and returns its folder."""
    mounted = []

    def mount(options):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            pytest.skip("mounting a tmpfs needs privileges")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


# Of both, the run needs a fraction of the most that it may take: the message says 1 MiB.
@pytest.mark.parametrize(
    ("cap", "caps"), [("size={}k", range(8, 1024, 24)), ("nr_inodes={}", range(4, 1024, 10))]
)
def test_a_full_disk(lab, small_disk, cap, caps):
    disk = small_disk(cap.format(caps[0]))
    output = disk / "output"
    failures = 0
    for size in caps:
        finished = lab.run(output)
        if finished.returncode == 0:
            break
        message = finished.stderr.strip().splitlines()[-1]
        assert finished.returncode == 1 and str(output) in message, finished.stderr
        assert "No space left on device" in message
        assert not is_published(output)
        subprocess.run(["mount", "-o", "remount," + cap.format(size + caps.step), disk], check=True)
        failures += 1
    assert finished.returncode == 0 and failures > 1
    assert files_of(output, RUN) == lab.expected


def test_an_output_on_two_file_systems_is_found_before_the_work(lab, small_disk):
    disk = small_disk("size=4m")
    output = lab.new_output()
    subprocess.run(["mount", "--bind", disk, output / "features"], check=True)
    try:
        finished = lab.run(output, gate="never")
    finally:
        subprocess.run(["umount", output / "features"], check=True)
    assert finished.returncode == 1
    assert f"{output}/features/_pomona-probe: Invalid cross-device link" in finished.stderr
    lab.check_resumes(output)


def test_a_read_only_output(lab, small_disk):
    disk = small_disk("size=4m")
    (disk / "output").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    finished = lab.run(disk / "output")
    assert finished.returncode == 1
    assert f"{disk}/output/_pomona: Read-only file system" in finished.stderr


def test_threads_that_cannot_be_had_fail_the_run(lab):
    """A limit of processes (ulimit -u, a container's) is one line, never an abort."""
    for most in range(60):
        output = lab.new_output()
        finished = lab.run(output, faults={"threads": most}, threads=6)
        if finished.returncode == 0:
            break
        assert finished.returncode == 1, (most, finished.returncode, finished.stderr)
        message = finished.stderr.splitlines()[-1]
        assert "thread" in message and os.strerror(errno.EAGAIN) in message, message
        lab.check_resumes(output)
    assert finished.returncode == 0 and most > 12


@pytest.mark.parametrize("name", ["EIO", "ENOTCONN", "ESTALE", "EMFILE", "ENFILE", "ENOMEM"])
def test_trouble_that_is_not_the_files_ends_the_run(lab, name):
    """An image that cannot be opened for a reason that says nothing of it is no reject."""
    error = getattr(errno, name)
    output = lab.new_output()
    once = {"root": lab.tree, "opens": 1, "at": 3, "action": error}
    finished = lab.run(output, faults=once)
    message = check_failure(lab, output, finished)
    assert os.strerror(error) in message and str(lab.tree) in message
    lab.check_resumes(output)


def test_trouble_that_is_not_the_files_ends_a_check(lab, pomona):
    once = lab.environment(lab.tree, at=3, opens=1, action=errno.EIO)
    job = [pomona, "check", "--threads", "1", lab.tree]
    finished = subprocess.run(job, env=once, capture_output=True, text=True, check=False)
    assert finished.returncode == 1 and finished.stdout == ""
    message = finished.stderr.splitlines()[-1]
    assert str(lab.tree) in message and os.strerror(errno.EIO) in message, message


def test_a_file_that_may_not_be_opened_is_a_reject(lab):
    output = lab.new_output()
    once = {"root": lab.tree, "opens": 1, "at": 3, "action": errno.EACCES}
    assert lab.run(output, faults=once).returncode == 0
    errors = (output / f"errors/errors_{RUN}/part-00000.csv").read_text()
    assert "read,unreadable,cannot open: Permission denied" in errors


def disturbed(lab, output, gate, disturb):
    """A run that has listed its files, and reads them after `disturb`: its code and its errors."""
    with subprocess.Popen(
        lab.command(output, gate=gate), stderr=subprocess.PIPE, text=True
    ) as process:
        while not (output / "_pomona/fragments").is_dir():
            time.sleep(0.01)
        time.sleep(0.2)
        disturb()
        gate.touch()
        _, errors = process.communicate(timeout=240)
    return process.returncode, errors


@pytest.mark.parametrize("by_link", [False, True])
def test_a_mount_in_the_input_that_goes_away_ends_the_run(changing, small_disk, tmp_path, by_link):
    """Its files are not rejects; what else is in the tree may be gone without harm."""
    lab, gate, disk = changing, tmp_path / "gate", small_disk("size=4m")
    for file in (lab.tree / "Pear").glob("?.png"):
        shutil.copy(file, disk)
    place = tmp_path / "place" if by_link else lab.tree / "Zebra"
    place.mkdir()
    if by_link:
        (lab.tree / "Zebra").symlink_to(place)
    output = lab.new_output()
    bind = ["mount", "--bind", disk, place]
    subprocess.run(bind, check=True)

    def unmount():
        shutil.rmtree(lab.tree / "Pear")
        subprocess.run(["umount", "-l", place], check=True)

    code, errors = disturbed(lab, output, gate, unmount)
    assert code == 1, errors
    assert f"the folder {lab.tree}/Zebra is not the folder it was: it was unmounted" in errors
    lab.check_intact(output)
    subprocess.run(bind, check=True)
    try:
        finished = lab.run(output)
    finally:
        subprocess.run(["umount", place], check=True)
    assert finished.returncode == 0, finished.stderr
    parts = (output / f"metadata/metadata_{RUN}").glob("*.csv")
    assert sum(part.read_text().count(",Zebra\n") for part in parts) == 4


@pytest.mark.parametrize("replaced", [False, True])
def test_an_input_that_goes_away_ends_the_run(lab, tmp_path, replaced):
    """Its files are not rejects, whether nothing is in its place or another folder, as after an
    unmount."""
    output = lab.new_output()
    tree, away, gate = lab.tree, lab.folder / "away", tmp_path / "gate"

    def take_away():
        tree.rename(away)
        if replaced:
            tree.mkdir()

    code, errors = disturbed(lab, output, gate, take_away)
    if replaced:
        tree.rmdir()
    shutil.move(away, tree)
    assert code == 1, errors
    assert f"INPUT {tree} " in errors
    assert not is_published(output)
    lab.check_resumes(output)
