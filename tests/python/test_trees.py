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
from runs import RUN_ID

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


def call(pomona, *arguments, prefix=(), cwd=None):
    job = [*prefix, pomona, *arguments]
    return subprocess.run(job, capture_output=True, text=True, check=False, timeout=240, cwd=cwd)


def verdicts(pomona, tree, prefix=(), options=()):
    """What check says of each file, by its path below the tree: ok, skip, or reason and message."""
    done = call(pomona, "check", tree, "--json", *options, prefix=prefix)
    assert done.returncode == 0, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        it = json.loads(line)
        reject = f"{it['reason']}: {it['message']}"
        path = it["path"].removeprefix(f"{tree}/")
        found[path] = reject if it["verdict"] == "reject" else it["verdict"]
    assert f"listed {len(found)} = " in done.stderr
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


def test_verify_tells_what_may_not_be_read_from_damage(pomona, tree, picture, as_other_user):
    put(tree, picture, "in/a/1.jpg", "in/a/2.jpg", "in/b/3.jpg")
    output = tree / "out"
    options = ["--run-id", RUN_ID, "--pca-components", "1"]
    assert call(pomona, "run", tree / "in", output, *options, "--audit").returncode == 0
    files = [path for path in output.rglob(f"*_{RUN_ID}/**/*") if path.is_file()]
    read = [path for path in files if path.name != "_SUCCESS"]
    assert len(read) > 15
    for path in read:
        mode = path.stat().st_mode
        path.chmod(0)
        done = call(pomona, "verify", output, prefix=as_other_user)
        path.chmod(mode)
        assert done.returncode == 1
        said, verdict = done.stdout.splitlines()
        assert said == f"cannot read {path}: Permission denied"
        assert verdict.endswith(" rows: not all of it could be read")
    for path in read:
        path.rename(tree / "away")
        done = call(pomona, "verify", output, prefix=as_other_user)
        (tree / "away").rename(path)
        assert done.returncode == 1 and done.stdout.endswith("rows: damaged\n")
        assert done.stdout.count(f"{path}: No such file or directory\n") == 1
    assert call(pomona, "verify", output, prefix=as_other_user).returncode == 0


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
                "and 1 more; --exclude leaves out what is not wanted\n"
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


def listed(pomona, *arguments, cwd=None):
    """Labels and names of the pictures that are found."""
    done = call(pomona, "check", *arguments, "--json", cwd=cwd)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return [(it["label"], os.path.basename(it["path"])) for it in found if it["verdict"] == "ok"]


def said_by_run(pomona, *arguments):
    """What a run says on standard error."""
    with tempfile.TemporaryDirectory() as output:
        options = ["--pca-components", "1", "--run-id", RUN_ID, "--formats", "csv"]
        done = call(pomona, "run", arguments[0], output, *options, *arguments[1:])
        assert done.returncode == 0, done.stderr
        return done.stderr


def put(tree, picture, *names):
    for name in names:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(picture)


def test_the_label_is_the_parent_folder_even_at_the_root(pomona, tree, picture):
    put(tree, picture, "Banana/1.jpg", "Banana/2.jpg", "Banana/Lady Finger/3.jpg")
    expected = [("Banana", "1.jpg"), ("Banana", "2.jpg"), ("Lady Finger", "3.jpg")]
    assert listed(pomona, tree) == expected
    assert listed(pomona, tree / "Banana") == expected
    assert listed(pomona, ".", cwd=tree / "Banana") == expected
    output = tree / "output"
    options = ["--pca-components", "1", "--run-id", RUN_ID]
    done = call(pomona, "run", tree / "Banana", output, *options)
    assert done.returncode == 0, done.stderr
    labels = [label for label, _ in expected]
    assert [label for _, label in rows(output, "metadata/metadata")] == labels
    # What is taken over from there has the same labels.
    done = call(pomona, "run", tree, output, "--pca-components", "1", "--run-id", "b")
    assert "all features reused from run test" in done.stdout
    with open(output / "metadata/metadata_b/part-00000.csv", newline="") as file:
        assert [label for _, label in csv.reader(file)][1:] == labels


# What systems leave behind, by what is known of them.
LEFTOVERS = [
    "Kiwi/._1.jpg",
    "__MACOSX/Kiwi/._1.jpg",
    "Kiwi/.ipynb_checkpoints/1-checkpoint.jpg",
    "Kiwi/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg",
    ".Trash-1000/files/1.jpg",
    "#recycle/1.jpg",
    "$RECYCLE.BIN/1.jpg",
    "System Volume Information/1.jpg",
    "lost+found/1.jpg",
    ".thumbnails/1.jpg",
    ".hidden.jpg",
]


def test_hidden_files_are_left_out_unless_asked_for(pomona, tree, picture):
    seen = ["Kiwi/1.jpg", "Kiwi/2.jpg", "_unsorted/_DSC0001.jpg"]
    put(tree, picture, *seen, *LEFTOVERS)
    (tree / "Kiwi/._1.jpg").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        ")
    assert sorted(verdicts(pomona, tree)) == seen
    said = said_by_run(pomona, tree)
    assert f"pomona: {len(LEFTOVERS)} hidden files and folders are left out" in said
    assert "--hidden takes them\n" in said
    assert "hidden" not in said_by_run(pomona, tree, "--hidden")
    everything = verdicts(pomona, tree, options=["--hidden"])
    assert everything.pop("Kiwi/._1.jpg") == "skip"
    assert sorted([*everything, "Kiwi/._1.jpg"]) == sorted([*seen, *LEFTOVERS])
    assert set(everything.values()) == {"ok"}
    # The tree itself may be called so.
    assert listed(pomona, tree / ".Trash-1000/files") == [("files", "1.jpg")]


def test_an_apple_double_is_no_picture_whatever_its_name(pomona, tree, picture):
    put(tree, b"\0\5\x16\7\0\2\0\0Mac OS X        " + picture, "Kiwi/1.jpg")
    assert verdicts(pomona, tree) == {"Kiwi/1.jpg": "skip"}


def test_folders_that_are_left_out_need_not_be_readable(pomona, tree, picture, as_other_user):
    put(tree, picture, "Kiwi/1.jpg", "Kiwi/2.jpg", "private/1.jpg", "lost+found/1.jpg")
    for folder in ("private", "lost+found"):
        (tree / folder).chmod(0)
    output = tree / "output"
    output.mkdir()
    output.chmod(0o777)
    try:
        for number, globs in enumerate([["--exclude", "private*"], ["--include", "Kiwi/*"]]):
            options = ["--pca-components", "1", "--run-id", f"r{number}", *globs]
            done = call(pomona, "run", tree, output, *options, prefix=as_other_user)
            assert done.returncode == 0, done.stderr
        done = call(pomona, "run", tree, output, "--pca-components", "1", prefix=as_other_user)
        assert done.returncode == 1
        assert f"cannot list the folder {tree}/private: Permission denied" in done.stderr
    finally:
        for folder in ("private", "lost+found"):
            (tree / folder).chmod(0o755)


def test_globs_count_characters(pomona, tree, picture):
    put(tree, picture, "P\u00eache/1.jpg", "Kiwi/1.jpg")
    for glob in ["P?che/*", "P[\u00ea]che/*", "P\u00eache/*", "*\u00ea*"]:
        assert listed(pomona, tree, "--include", glob) == [("P\u00eache", "1.jpg")]


def test_accents_in_two_ways(pomona, tree, picture):
    """As macOS stores names, and as others do: they look the same and are two labels."""
    composed, decomposed = "P\u00eache", "Pe\u0302che"
    put(tree, picture, f"{composed}/1.jpg", f"{decomposed}/2.jpg")
    assert listed(pomona, tree, "--include", f"{composed}/*") == [(composed, "1.jpg")]
    assert len(listed(pomona, tree, "--include", "P*che/*")) == 2
    shutil.rmtree(tree / composed)
    done = call(pomona, "run", tree, tree / "output", "--include", f"{composed}/*")
    assert done.returncode == 1
    assert "two ways that look the same: put * for the letter\n" in done.stderr


def test_globs_that_match_nothing_are_named(pomona, tree, picture):
    put(tree, picture, "Kiwi/1.jpg", "Kiwi/2.jpg", "Lemon/1.jpg")
    globs = ["--include", "Kiwi/*", "--include", "L", "--exclude", "*.gif", "--exclude", "Lemon/*"]
    said = said_by_run(pomona, tree, *globs)
    how = "; a glob has to match the whole path below INPUT or INPUT/Training, such as 'Kiwi/"
    assert f"pomona: --include 'L' matched nothing{how}" in said
    assert f"pomona: --exclude '*.gif' matched nothing{how}" in said
    assert said.count("matched nothing") == 2
    # With a limit, nobody looked at all files.
    assert "matched nothing" not in said_by_run(pomona, tree, "--exclude", "x", "--limit", "2")
    for glob in ["kiwi/*.jpg", "Kiwi", "K*.gif"]:
        done = call(pomona, "run", tree, tree / "output", "--include", glob, "--exclude", "Lemon/*")
        assert done.returncode == 1
        said = f"pomona: no files under {tree} that the mode, --include and --exclude select{how}"
        assert said.removesuffix("Kiwi/") in done.stderr
        assert done.stderr.endswith(("'Kiwi/*'\n", "'Lemon/*'\n", "/1.jpg'\n", "/2.jpg'\n"))


def test_paths_lead_where_the_system_goes(pomona, tree, picture):
    put(tree, picture, "real/pics/Kiwi/1.jpg", "pics/Lemon/1.jpg")
    (tree / "real/deep").mkdir()
    (tree / "link").symlink_to("real/deep")
    assert sorted(os.listdir(tree / "link/../pics")) == ["Kiwi"]
    assert listed(pomona, "link/../pics", cwd=tree) == [("Kiwi", "1.jpg")]
    assert listed(pomona, "./real//../pics/.", cwd=tree) == [("Lemon", "1.jpg")]


def test_uris_of_folders(pomona, tree, picture):
    put(tree, picture, "my photos 100%/Kiwi/1.jpg")
    path = f"{tree}/my photos 100%"
    for uri in [f"file:{path}", f"file://{path}", f"FILE://localhost{path}/"]:
        assert listed(pomona, uri) == [("Kiwi", "1.jpg")]
    assert listed(pomona, (tree / "my photos 100%").as_uri()) == [("Kiwi", "1.jpg")]
    done = call(pomona, "check", f"file://elsewhere{path}")
    assert done.returncode == 2
    assert "names no folder of this machine" in done.stderr


def test_an_input_in_its_own_output_is_refused(pomona, tree, picture):
    put(tree, picture, "fruits/Kiwi/1.jpg", "split/Training/Kiwi/1.jpg")
    (tree / "link").symlink_to(".")
    for arguments in [("fruits", "."), ("fruits", "fruits"), ("link/fruits", "."), ("split",) * 2]:
        done = call(pomona, "run", *arguments, "--pca-components", "1", cwd=tree)
        assert done.returncode == 1
        assert (
            "the folder that is read, and nothing in it is taken for input; name another OUTPUT\n"
            in done.stderr
        )
    assert sorted(os.listdir(tree)) == ["fruits", "link", "split"]


def test_an_output_in_the_input_is_left_out_by_whatever_path(pomona, tree, picture):
    put(tree, picture, "fruits/Kiwi/1.jpg", "fruits/Kiwi/2.jpg")
    (tree / "by link").symlink_to("fruits/out")
    (tree / "fruits/out").mkdir()
    for run_id in ["a", "b"]:
        options = ["--pca-components", "1", "--run-id", run_id]
        done = call(pomona, "run", tree / "fruits", tree / "by link", *options)
        assert done.returncode == 0, done.stderr
        assert "listed 2 = 2 rows" in done.stdout


def test_warns_of_folders_that_readers_take_for_columns(pomona, tree, picture):
    put(tree, picture, "in/Kiwi/1.jpg", "in/Kiwi/2.jpg")
    for output, warned in [("label=a/out", True), ("day=5/out", False)]:
        (tree / output).parent.mkdir()
        done = call(pomona, "run", tree / "in", tree / output, "--pca-components", "1")
        assert done.returncode == 0, done.stderr
        assert ("OUTPUT lies in a folder called label=a: " in done.stderr) == warned


def peak_memory(pomona, tree):
    with tempfile.TemporaryDirectory() as output:
        options = ["--run-id", RUN_ID, "--pca-components", "2", "--threads", "1", "--quiet"]
        done = call(pomona, "run", tree, output, *options)
        assert done.returncode == 0, done.stderr
        info = json.loads(
            (pathlib.Path(output) / f"run_info/run_info_{RUN_ID}/part-00000.json").read_text()
        )
        return info["peak_memory_bytes"], info["counts"]


def test_what_is_no_image_costs_nothing_at_any_size(pomona, tree, sample_tree):
    label = tree / "label"
    label.mkdir()
    for number, file in enumerate(sorted(sample_tree.rglob("*.jpg"))[:20]):
        shutil.copy(file, label / f"{number}.jpg")
    without, _ = peak_memory(pomona, tree)
    for name in ["film.mp4", "film.jpg"]:
        with open(label / name, "wb") as film:
            film.write(b"\0\0\0\x20ftypisom")
            film.truncate(1_000_000_000)
    with open(label / "longer film.mp4", "wb") as film:
        film.truncate(5_000_000_000)
    peak, of_run = peak_memory(pomona, tree)
    assert (of_run["rows"], of_run["rejects"], of_run["skips"]) == (20, 1, 2)
    assert peak <= 1.05 * without
    assert verdicts(pomona, label)["film.jpg"].startswith("corrupt: ")


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
            # A folder that went away and came back is no regular file where one was listed.
            assert reasons <= {"ok", "truncated", "empty", "missing", "unreadable", "corrupt"}
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
    original = ""
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
