"""pomona check as a gate: JUnit's report as XML parsers read it, pomona.check against a run."""

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

HOSTILE = "\x01\x0b<&\"'>]]>\ufffe\uffff\u202e"


@pytest.fixture(scope="module")
def tree(sample_tree, tmp_path_factory):
    """120 images, and in two labels, one of a hostile name, three that are none."""
    tree = tmp_path_factory.mktemp("check") / "tree"
    shutil.copytree(sample_tree, tree)
    hostile = tree / "Training" / HOSTILE
    hostile.mkdir()
    (hostile / f"{HOSTILE}.jpg").write_bytes(b"no image")
    with open(os.fsencode(hostile) + b"/caf\xe9.png", "wb") as file:
        file.write(b"no image")
    (hostile / "notes.txt").write_text("a note")
    (tree / "Training/Kiwi/empty.jpg").write_bytes(b"")
    (tree / "Training/Kiwi/1.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    return tree


def cases(file):
    root = ElementTree.parse(file).getroot()
    assert root is not None
    (suite,) = root
    found = suite.findall("testcase")
    for element in (root, suite):
        assert int(element.attrib["tests"]) == len(found)
        for kind, tag in (("failures", "failure"), ("skipped", "skipped")):
            assert int(element.attrib[kind]) == sum(case.find(tag) is not None for case in found)
    names = [case.get("name") for case in found]
    assert len(set(names)) == len(names)
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize(("bound", "code", "tag"), [("100%", 0, "skipped"), ("1%", 3, "failure")])
def test_junit_fails_when_the_gate_does(pomona, tree, tmp_path, bound, code, tag):
    junit = tmp_path / "junit.xml"
    check = [pomona, "check", tree, "--bad", "--max-rejects", bound, "--junit", junit]
    done = subprocess.run(check, capture_output=True, check=False)
    assert done.returncode == code
    found = cases(junit)
    assert len(found) == 13
    bad = {name: case for name, case in found.items() if case.find(tag) is not None}
    assert set(bad) == {"Kiwi", "??<&\"'>]]>???"}
    message = bad["Kiwi"].find(tag).get("message")
    assert message == "2 of 12 images are rejected (empty 1, unsupported_format 1)"
    text = bad["Kiwi"].findtext("system-out")
    assert "Kiwi/1.heic: unsupported_format: HEIC images are not read\n" in text
    others = [name for name, case in found.items() if name not in bad and len(case)]
    assert not others


@pytest.mark.parametrize("name", ["none/junit.xml", "folder", "pipe", "link"])
def test_junit_that_cannot_be_written_is_said_at_once(pomona, tree, tmp_path, name):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("elsewhere")
    before = sorted(os.listdir(tmp_path))
    check = [pomona, "check", tree, "--junit", tmp_path / name]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pomona: cannot ") and name in done.stderr
    package = pytest.importorskip("pomona", reason="the package is not installed")
    seen = []
    with pytest.raises(OSError, match=name):
        package.check(tree, junit=tmp_path / name, progress=lambda *told: seen.append(told))
    assert not seen and sorted(os.listdir(tmp_path)) == before


def test_python_checks_what_a_run_rejects(tree, tmp_path):
    pomona = pytest.importorskip("pomona", reason="the package is not installed")
    junit = tmp_path / "junit.xml"
    found = pomona.check(tree, junit=junit, max_rejects="1%")
    summary = pomona.run(tree, tmp_path / "out", pca_components=3)
    for name in ("listed", "rows", "rejects", "skips", "rejects_by_reason", "skips_by_reason"):
        assert getattr(found, name) == getattr(summary, name), name
    told = found.errors.column_names  # a run tells more of each
    assert found.errors.equals(summary.errors().select(told))
    assert found.errors.num_rows == found.rejects == 4
    assert not found.passed and pomona.check(tree).passed
    assert cases(junit)["Kiwi"].find("failure") is not None
    assert repr(found) == f"listed {found.listed} = 120 ok + 4 rejects + 1 skips"
    clean = pomona.check(tree, include="Banana/*")
    assert clean.errors.num_rows == 0 and clean.errors.schema == found.errors.schema


@pytest.mark.parametrize("stats", ["basic", "full"])
def test_statistics_are_those_of_a_run(pomona, tree, tmp_path, stats):
    package = pytest.importorskip("pomona", reason="the package is not installed")
    options = {"include": ["Banana/*", "Kiwi/*"], "stats": stats}
    package.run(tree, tmp_path / "out", pca_components=3, **options)
    expected = package.Run(tmp_path / "out").images()
    checked = package.check(tree, **options).images
    assert checked.num_rows == expected.num_rows > 0
    assert checked.column_names[6:] == expected.column_names[10:]
    assert checked.equals(expected.select(checked.column_names))

    check = [pomona, "check", tree, "--include", "Banana/*", "--include", "Kiwi/*", "--json"]
    done = subprocess.run([*check, "--stats", stats], capture_output=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    names = [name for name in checked.column_names[6:] if name != "pixels_sha256"]
    rows = checked.to_pylist()
    assert [[line[name] for name in names] for line in lines if line["verdict"] == "ok"] == [
        [row[name] for name in names] for row in rows
    ]
    assert all(line[name] is None for name in names for line in lines if line["verdict"] != "ok")

    empty = package.check(tree, include="Kiwi/empty.jpg", stats=stats).images
    assert empty.num_rows == 0 and empty.schema == checked.schema


def test_statistics_have_to_be_asked_for(pomona, tree):
    check = [pomona, "check", tree, "--stats", "basic"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("pomona: --stats: a check tells them in JSON alone; add --json\n")
    package = pytest.importorskip("pomona", reason="the package is not installed")
    with pytest.raises(ValueError, match="with stats='basic' or 'full'"):
        _ = package.check(tree).images


def test_python_refuses_what_is_no_option_of_a_check(tree):
    pomona = pytest.importorskip("pomona", reason="the package is not installed")
    with pytest.raises(TypeError, match="there is no option 'pca_components'"):
        pomona.check(tree, pca_components=3)
    with pytest.raises(ValueError, match="max_rejects"):
        pomona.check(tree, max_rejects="many")
    with pytest.raises(FileNotFoundError):
        pomona.check(tree / "nowhere")
    seen = []
    pomona.check(tree, progress=lambda *told: seen.append(told))
    assert seen[-1][0] == "check" and seen[-1][1] == 125
