"""An output may be anybody's: an archive that was unpacked, a folder that was shared. What lies in
it leads no run out of it, and what is no file keeps none waiting."""

import hashlib
import os
import subprocess

import pytest
from conftest import BEFORE, RUN, files_of, paths_of


@pytest.fixture
def victim(lab):
    """A folder beside the output with a file in it, which has to stay as it is."""
    folder = lab.folder / "victim"
    (folder / "features_x").mkdir(parents=True, exist_ok=True)
    precious = folder / "features_x/precious"
    precious.write_text("precious")
    yield folder
    assert precious.read_text() == "precious"


def verify(pomona, output, *options):
    job = [pomona, "verify", output, *options]
    return subprocess.run(job, capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.parametrize("run_id", ["x/../../../../../victim", "/victim", "", "a\nb", "a" * 300])
def test_a_journal_leads_nowhere_else(lab, victim, run_id):
    output = lab.new_output()
    (output / "features/parquet/features_x").mkdir()
    journal = output / "_pomona/publishing"
    journal.parent.mkdir()
    journal.write_text(run_id + "\n")
    finished = lab.run(output)
    assert finished.returncode == 1
    assert f"{journal}: it should name the run" in finished.stderr
    assert (output / "features/parquet/features_x").is_dir()
    journal.unlink()
    lab.check_resumes(output)


@pytest.mark.parametrize("link", ["_pomona", "_pomona/fragments", "features/parquet", "run_info"])
def test_links_lead_nowhere_else(lab, victim, link):
    output = lab.folder / "linked"
    (output / link).parent.mkdir(parents=True, exist_ok=True)
    if link != "_pomona":
        (output / "_pomona").mkdir(exist_ok=True)
        (output / "_pomona/publishing").write_text("x\n")
    (output / link).symlink_to(victim)
    finished = lab.run(output)
    assert finished.returncode == 1
    assert f"{output / link} is a link" in finished.stderr
    for path in ("_pomona/publishing", link):
        (output / path).unlink(missing_ok=True)


def test_checksums_are_of_the_runs_own_files(lab, victim, pomona):
    output = lab.new_output()
    digest = hashlib.sha256((victim / "features_x/precious").read_bytes()).hexdigest()
    sums = output / f"run_info/run_info_{BEFORE}/_SHA256SUMS"
    text = sums.read_text()
    for path in (
        "../victim/features_x/precious",
        f"features/parquet/features_{BEFORE}/../../../../victim/features_x/precious",
        str(victim / "features_x/precious"),
        f"features/parquet/features_{BEFORE}/..",
        "features/parquet/features_other/part-00000.parquet",
    ):
        sums.write_text(f"{text}{digest}  {path}\n")
        finished = verify(pomona, output)
        assert finished.returncode == 1
        assert f"{sums}: names what is no file of the run: {path}\n" in finished.stdout
        assert "checksum is wrong" not in finished.stdout


def test_no_run_is_looked_for_outside(pomona, lab):
    finished = verify(pomona, lab.template, "--run-id", f"{BEFORE}/../run_info_{BEFORE}")
    assert finished.returncode == 2
    assert "letters, digits, '_', '-' and '.' only" in finished.stderr


def test_links_in_circles_are_no_runs(pomona, lab):
    output = lab.new_output()
    for name in ("run_info_a", "run_info_b"):
        (output / "run_info" / name).symlink_to("..")
    assert verify(pomona, output).stdout == f"run {BEFORE}: 24 files, 8 rows: sound\n"
    assert lab.run(output).returncode == 0


def test_a_fifo_keeps_nobody_waiting(pomona, lab):
    """In the place of every file of a published run, and of those of unfinished work."""
    names = [path.relative_to(lab.template) for path in paths_of(lab.template, BEFORE)]
    assert len(names) > 17
    for name in names:
        output = lab.new_output()
        (output / name).unlink()
        os.mkfifo(output / name)
        finished = verify(pomona, output, "--run-id", BEFORE)
        if name.name != "_SUCCESS":
            assert finished.returncode == 1
            assert f"{output / name}: is no regular file" in finished.stdout
        assert lab.run(output).returncode == 0
        assert files_of(output, RUN) == lab.expected
    for name in "lock publishing errors.csv publish fragments/0.safetensors card probe".split():
        output = lab.new_output()
        (output / "_pomona/fragments").mkdir(parents=True)
        os.mkfifo(output / "_pomona" / name)
        finished = lab.run(output)
        assert finished.returncode in (0, 1)
        if finished.returncode:
            assert str(output / "_pomona" / name) in finished.stderr
        else:
            assert files_of(output, RUN) == lab.expected
