"""The wheel loads where it says: on glibc 2.34 and the libstdc++ of GCC 11 (Amazon Linux 2023)."""

import os
import pathlib
import re
import zipfile

import pytest

elffile = pytest.importorskip("elftools.elf.elffile")
from elftools.elf.gnuversions import GNUVerNeedSection  # noqa: E402

# The newest symbol versions that GCC 11's libraries and glibc 2.34 have.
NEWEST = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13), "GCC": (11, 0, 0)}


@pytest.fixture(
    scope="module",
    params=["POMONA_WHEEL", pytest.param("POMONA_ARM64", marks=pytest.mark.long)],
)
def wheel(request):
    """That of `make wheel`, that of `make wheel-arm64`."""
    folder = pathlib.Path(os.environ.get(request.param, "/nowhere"))
    wheels = list((folder / "wheel" if request.param == "POMONA_ARM64" else folder).glob("*.whl"))
    if not wheels:
        pytest.skip(
            f"{request.param} names no folder with a wheel of `make wheel` or `make wheel-arm64`"
        )
    assert len(wheels) == 1
    return wheels[0]


def binaries(wheel):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            with archive.open(name) as file:
                if file.read(4) == b"\x7fELF":
                    file.seek(0)
                    yield name, elffile.ELFFile(file)


def needed_versions(elf):
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for library, versions in section.iter_versions():
                for version in versions:
                    yield library.name, version.name


def test_needs_no_newer_symbols(wheel):
    seen = set()
    for name, elf in binaries(wheel):
        for library, version in needed_versions(elf):
            match = re.fullmatch(r"(GLIBC|GLIBCXX|CXXABI|GCC)_([0-9.]+)", version)
            if match:
                family, number = match.groups()
                seen.add(family)
                assert tuple(map(int, number.split("."))) <= NEWEST[family], (
                    name,
                    library,
                    version,
                )
    assert seen >= {"GLIBC", "GLIBCXX"}


def test_brings_its_libraries_but_arrows(wheel):
    allowed = re.compile(
        r"lib(c|m|z|dl|rt|pthread|stdc\+\+|gcc_s)\.so\.\d+|ld-linux-.*|lib(arrow|parquet)\.so\.\d+"
    )
    names = {pathlib.PurePath(name).name for name, _ in binaries(wheel)}
    for name, elf in binaries(wheel):
        needed = {tag.needed for tag in elf.get_section_by_name(".dynamic").iter_tags("DT_NEEDED")}
        strangers = {library for library in needed - names if not allowed.fullmatch(library)}
        assert not strangers, name
    assert not any("libarrow" in name or "libparquet" in name for name in names)


def test_is_complete(wheel):
    assert re.search(r"manylinux_2_34_(x86_64|aarch64)", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        stub = archive.read("pomona/_core.pyi").decode()
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        requires = re.findall(r"^Requires-Dist: (.*)$", archive.read(metadata).decode(), re.M)
    for name in (
        "pomona",
        "py.typed",
        "spark.py",
        "spark_job.py",
        "mobilenet_v2_imagenet.safetensors",
    ):
        assert f"pomona/{name}" in names
    for name in ("class Extractor", "class Moments", "class PCA"):
        assert name in stub
    needs = {name for name in requires if "extra" not in name}
    assert needs == {"pyarrow<27,>=26.0.1", "numpy>=1.26"}
    for name in ("components_", "mean_", "n_determined_"):
        assert f"def {name}(" in stub
