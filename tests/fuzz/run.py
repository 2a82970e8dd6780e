"""Runs the fuzz targets one after another: run.py BUILD [--seconds N] [TARGET...]

BUILD is a build of POMONA_FUZZ. What is found stays in BUILD/fuzz: corpus/TARGET grows from run to
run, crashes/TARGET holds the inputs that a target died of. Fails where there are any.
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TARGETS = ["decode", "fast_jpeg", "png", "inflate", "safetensors", "weights", "pca"]
TARGETS += [
    "keras_hdf5",
    "state_dict",
    "globs",
    "fragment",
    "item_record",
    "checksums",
    "csv_part",
    "http_answer",
    "s3_listing",
]
# The seeds of other targets that serve as well.
ALSO = {
    "safetensors": ["pca", "fragment", "item_record"],
    "fast_jpeg": ["decode"],
    "png": ["decode"],
}

LIMITS = ["-timeout=10", "-rss_limit_mb=600"]
# HDF5 is not ours to mend: go on after its crashes and judge them at the end.
SURVIVE = ["-fork=1", "-ignore_crashes=1", "-ignore_timeouts=1", "-ignore_ooms=1"]
# Let malloc() fail as it does outside of the sanitizer where a file asks for too much.
OPTIONS = "allocator_may_return_null=1"
# HDF5 loses strings of an attribute that it cannot read to its end.
HDF5_OPTIONS = f"{OPTIONS}:detect_leaks=0"

MAX_SEED_BYTES = 100_000  # larger images only cost time


def make_seeds(build, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run([build / "tests/fuzz/fuzz_seeds", folder], check=True)
    data = pathlib.Path(os.environ.get("POMONA_TEST_DATA", "none"))
    images = sorted((data / "bad-images").glob("*/*"))
    images += sorted((data / "fruits").rglob("*.jpg"))[:5]
    if not images:
        print("POMONA_TEST_DATA names no images to start from", flush=True)
    (folder / "decode").mkdir()
    for number, image in enumerate(images):
        if image.stat().st_size <= MAX_SEED_BYTES:
            shutil.copyfile(image, folder / "decode" / str(number))


def in_hdf5(report):
    """Whether the first function of ours or HDF5's in the report of a crash is HDF5's."""
    if "libFuzzer: out-of-memory (used" in report:  # nobody knows by whom: the import will show
        return True
    for function, place in re.findall(r"#\d+ 0x\w+ in (\S+)(?: \S+)* (\S+)", report):
        if "compiler-rt" in place or "sanitizer" in function or "libc.so" in place:
            continue
        if function.startswith("fuzzer::"):  # as it ends what takes too much time or memory
            continue
        if function.startswith(("__interceptor", "__asan", "malloc", "calloc", "free", "raise")):
            continue
        return bool(re.match(r"H5[A-Z]", function))
    return False


def survived(target, crash):
    """Whether a crash is HDF5's own, and the program's import turns it into an error."""
    environment = {**os.environ, "ASAN_OPTIONS": HDF5_OPTIONS}
    job = [target, *LIMITS, crash]
    report = subprocess.run(job, capture_output=True, env=environment, check=False)
    if report.returncode == 0 or not in_hdf5(report.stderr.decode(errors="replace")):
        return report.returncode == 0
    with tempfile.TemporaryDirectory() as folder:
        job = [os.environ["POMONA_PROGRAM"], "weights", "import", crash, "--output"]
        output = pathlib.Path(folder, "weights.safetensors")
        done = subprocess.run([*job, output], capture_output=True, check=False, timeout=600)
        return done.returncode in (0, 1) and not (done.returncode and output.exists())


def fuzz(build, name, seconds):
    work = build / "fuzz"
    corpus = work / "corpus" / name
    crashes = work / "crashes" / name
    seeds = [work / "seeds" / other for other in [name, *ALSO.get(name, [])]]
    for folder in [corpus, crashes, *seeds]:
        folder.mkdir(parents=True, exist_ok=True)
    target = build / "tests/fuzz" / f"fuzz_{name}"
    job = [target, f"-max_total_time={seconds}", f"-artifact_prefix={crashes}/", *LIMITS]
    hdf5 = name == "keras_hdf5"
    job += SURVIVE if hdf5 else []
    log = work / f"{name}.log"
    with open(log, "wb") as output, tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        done = subprocess.run(
            [*job, corpus, *seeds],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "ASAN_OPTIONS": HDF5_OPTIONS if hdf5 else OPTIONS,
                "TMPDIR": memory,
            },
            check=False,
        )
    progress = re.findall(r"^#(\d+):?\s.*?cov: (\d+) ft: (\d+)", log.read_text("latin-1"), re.M)
    runs, cov, ft = progress[-1] if progress else "???"
    found = sorted(crashes.iterdir())
    if hdf5:
        mine = [crash for crash in found if not survived(target, crash)]
        clean = progress != []
        note = f", {len(found) - len(mine)} crashes of HDF5 itself, which the import survives"
    else:
        mine, note = found, ""
        clean = done.returncode == 0
    print(f"{name}: {runs} executions, cov {cov}, ft {ft}, {len(mine)} findings{note}", flush=True)
    if mine or not clean:
        print(*mine, f"see {log}", sep="\n", flush=True)
        return False
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("targets", nargs="*", default=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_intermixed_args()
    make_seeds(arguments.build, arguments.build / "fuzz/seeds")
    clean = [fuzz(arguments.build, name, arguments.seconds) for name in arguments.targets]
    sys.exit(not all(clean))


if __name__ == "__main__":
    main()
