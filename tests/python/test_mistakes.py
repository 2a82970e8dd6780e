"""Mistakes that beginners make in Python: each message says what to do instead."""

import errno
import pathlib

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

pomona = pytest.importorskip("pomona", reason="the package is not installed")

FEW = pa.array([[1.0, 2.0]] * 3, pa.list_(pa.float32()))

# What is typed, the exception, and what its message has to say.
MISTAKES = {
    "option misspelt": (
        lambda tree, out: pomona.run(tree, out, pca_componets=3),
        TypeError,
        "there is no option 'pca_componets'; did you mean 'pca_components'?",
    ),
    "half of an option": (
        lambda tree, out: pomona.run(tree, out, components=3),
        TypeError,
        "there is no option 'components'; did you mean 'pca_components'? The options are mode,",
    ),
    "option of the program": (
        lambda tree, out: pomona.run(tree, out, quiet=True),
        TypeError,
        ", progress, audit",
    ),
    "wrong mode": (
        lambda tree, out: pomona.run(tree, out, mode="tiny"),
        ValueError,
        "mode 'tiny': expected mini, apples or full",
    ),
    "too few images": (
        lambda tree, out: pomona.run(tree, out, limit=5),
        ValueError,
        "5 images, 50 components; use pca_components",
    ),
    "vectors of no numbers": (
        lambda tree, out: pomona.PCA(1).fit([[], []]),
        ValueError,
        "rows: the vectors hold no numbers",
    ),
    "vectors of no numbers from Arrow": (
        lambda tree, out: pomona.Moments(2).add(pa.array([[], []], pa.list_(pa.float32()))),
        ValueError,
        "rows: the vectors hold no numbers",
    ),
    "components of no number": (
        lambda tree, out: pomona.run(tree, out, pca_components="many"),
        ValueError,
        "pca_components 'many': expected an integer >= 1",
    ),
    "glob of nothing": (
        lambda tree, out: pomona.run(tree, out, include="Training/Kiwi"),
        ValueError,
        "no files",
    ),
    "folder that is not there": (
        lambda tree, out: pomona.run(tree / "fruitz", out),
        FileNotFoundError,
        "fruitz: No such file or directory",
    ),
    "file for a folder": (
        lambda tree, out: pomona.run(next(tree.rglob("*.jpg")), out),
        NotADirectoryError,
        ".jpg: not a folder",
    ),
    "weights that are not there": (
        lambda tree, out: pomona.Extractor("none.safetensors"),
        FileNotFoundError,
        "none.safetensors",
    ),
    "PCA that is not there": (
        lambda tree, out: pomona.PCA.load("none.safetensors"),
        FileNotFoundError,
        "none.safetensors",
    ),
    "option of run for an Extractor": (
        lambda tree, out: pomona.Extractor(thread=1),
        TypeError,
        "unexpected keyword argument 'thread'",
    ),
    "engine that is not in the wheel": (
        lambda tree, out: pomona.Extractor(engine="tensorflow"),
        ValueError,
        "engine 'tensorflow': expected native, gpu or openvino",
    ),
    "one path": (
        lambda tree, out: extractor().extract(next(tree.rglob("*.jpg"))),
        TypeError,
        "put a single one into a list",
    ),
    "one name": (
        lambda tree, out: extractor().extract(str(next(tree.rglob("*.jpg")))),
        TypeError,
        "put a single one into a list",
    ),
    "one Pillow image": (
        lambda tree, out: extractor().extract(Image.new("RGB", (8, 8))),
        TypeError,
        "put a single one into a list",
    ),
    "one array": (
        lambda tree, out: extractor().extract(np.zeros((8, 8, 3), np.uint8)),
        TypeError,
        "the pixels of a single one into a list",
    ),
    "floats for pixels": (
        lambda tree, out: extractor().extract([np.zeros((8, 8, 3))]),
        TypeError,
        "height x width x 3 in uint8",
    ),
    "the table instead of its column": (
        lambda tree, out: pomona.PCA(2).fit(pa.table({"features": FEW})),
        TypeError,
        "give one of its columns (features)",
    ),
    "vectors of bad images": (
        lambda tree, out: pomona.PCA(2).fit(extractor().extract([b""])["features"]),
        ValueError,
        "leave such rows out: table.filter(pc.field('verdict') == 'ok')",
    ),
    "more components than images": (
        lambda tree, out: pomona.PCA().fit(np.eye(3, 80, dtype=np.float32)),
        ValueError,
        "3 images, 50 components; use n_components",
    ),
    "more components than features": (
        lambda tree, out: pomona.PCA(3).fit(FEW),
        ValueError,
        "PCA of 2 features has 1 to 2 components, not 3; use n_components",
    ),
    "no components": (
        lambda tree, out: pomona.PCA(0).fit(pomona.Moments(2).add(FEW)),
        ValueError,
        "has 1 to 2 components, not 0; use n_components",
    ),
    "no rows": (
        lambda tree, out: pomona.PCA(1).fit(FEW[:0]),
        ValueError,
        "PCA needs at least two images: 0 images",
    ),
    "PCA not fitted": (
        lambda tree, out: pomona.PCA().transform(FEW),
        AttributeError,
        "not fitted yet; call fit() or load()",
    ),
    "Extractor called by its own progress": (
        lambda tree, out: call_itself(),
        RuntimeError,
        "is extracting already: its progress callback cannot call it",
    ),
}


def extractor():
    return pomona.Extractor(threads=1)


def call_itself():
    one = extractor()
    one.extract([b""], progress=lambda *_: one.extract([b""]))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_message(mistake, sample_tree, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, exception, message = MISTAKES[mistake]
    with pytest.raises(exception) as raised:
        call(pathlib.Path(sample_tree), tmp_path / "out")
    assert message in str(raised.value)
    assert " --" not in str(raised.value)  # the program's spelling
    if exception is FileNotFoundError:
        assert raised.value.errno == errno.ENOENT


def test_a_pca_that_the_rows_do_not_determine_warns(sample_tree, tmp_path, caplog):
    rows = np.repeat(np.eye(4, 30, dtype=np.float32), 5, axis=0)
    with pytest.warns(UserWarning, match="determine 3 of the 10 components"):
        pca = pomona.PCA(10).fit(rows)
    assert pca.n_determined_ == 3
    assert pomona.PCA(3).fit(rows).n_determined_ == 3

    tree = tmp_path / "tree"
    for copy in range(5):
        for path in sorted(sample_tree.rglob("0_100.jpg"))[:3]:
            folder = tree / path.parent.name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{copy}.jpg").write_bytes(path.read_bytes())
    assert pomona.run(tree, tmp_path / "out", pca_components=8).rows == 15
    assert "determine 2 of the 8 components" in caplog.text
    assert "use pca_components 2" in caplog.text
