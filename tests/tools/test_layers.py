"""tools/layers.py says which include breaks which rule."""

import pathlib
import subprocess
import sys

import pytest

LAYERS = pathlib.Path(__file__).parents[2] / "tools/layers.py"


def layers(folder):
    done = subprocess.run(
        [sys.executable, LAYERS], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode != 0) == bool(done.stderr)
    return done.stderr


@pytest.mark.parametrize(
    ("file", "line", "target", "rule"),
    [
        ("src/decode/a.cc", '#include "sink/rows.h"', "src/sink/rows.h", "decode may include only"),
        # By way of a public header, too.
        ("src/decode/a.h", '# include "pomona/sink.h"', "include/pomona/sink.h", "this is of sink"),
        ("cli/a.cc", '#include "disk.h"', "src/disk.h", "cli may include only include/pomona"),
        ("include/pomona/cpu.h", '#include "disk.h"', "src/disk.h", "only public ones"),
    ],
)
def test_names_the_include_and_the_rule(tmp_path, file, line, target, rule):
    for path in (file, target):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    (tmp_path / file).write_text(f"{line}\n#include <vector>\n")
    (found,) = [text for text in layers(tmp_path).splitlines() if " includes " in text]
    assert found.startswith(f"{file} includes {target}: ")
    assert rule in found


def test_finds_circles(tmp_path):
    (tmp_path / "src").mkdir()
    for name, other in (("a", "b"), ("b", "c"), ("c", "b")):
        (tmp_path / f"src/{name}.h").write_text(f'#include "{other}.h"\n')
    assert "include each other: src/b.h -> src/c.h -> src/b.h" in layers(tmp_path)


def test_a_folder_without_a_room_is_refused(tmp_path):
    (tmp_path / "src/drawer").mkdir(parents=True)
    (tmp_path / "src/drawer/a.cc").touch()
    assert "src/drawer/a.cc: tools/layers.py names no room for it" in layers(tmp_path)
