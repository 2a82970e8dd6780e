"""Two builds of the program give the same outputs, byte for byte, but for what tells of the run.

    python bench/compare_builds.py BEFORE AFTER [--sample 20000] [--skip-s3]

BEFORE and AFTER are programs; their weights are found as usual ($POMONA_WEIGHTS). Both run over the
fruits and the bad images of $POMONA_TEST_DATA and over a sample tree, in each format, centred,
standardized, interrupted and resumed, grown, and on a MinIO server (tests/servers.py). run_info is
left out, and of model_info the versions.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pyarrow.fs

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests"))
import servers  # noqa: E402: they lie beside the tests
from runs import told_again


def contents(folder):
    """SHA-256 by path of what a run says of the images."""
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or name.startswith("run_info/"):
            continue
        data = told_again(path, path.read_bytes())
        if name.startswith("model_info/model_info_") and name.endswith(".json"):
            info = json.loads(data)
            del info["versions"]
            data = json.dumps(info).encode()
        digests[name] = hashlib.sha256(data).hexdigest()
    return digests


class Comparison:
    def __init__(self, programs, scratch):
        self.programs = programs
        self.scratch = scratch
        self.differing = 0

    def run(self, program, tree, output, *options, **environment):
        subprocess.run(
            [program, "run", tree, output, "--quiet", *options],
            check=True,
            env=os.environ | environment,
        )

    def report(self, name, folders):
        before, after = map(contents, folders)
        differing = {path for path in before | after if before.get(path) != after.get(path)}
        self.differing += len(differing)
        print(f"{name}: {len(before)} files, {len(differing)} differ", *sorted(differing)[:5])
        for folder in folders:
            shutil.rmtree(folder)

    def compare(self, name, make):
        """make(program, output) leaves a run in the folder `output`."""
        folders = [self.scratch / which for which in ("before", "after")]
        for program, folder in zip(self.programs, folders, strict=True):
            make(program, folder)
        self.report(name, folders)

    def plain(self, name, tree, *options):
        self.compare(
            name,
            lambda program, output: self.run(program, tree, output, "--run-id", "r", *options),
        )

    def resumed(self, tree):
        def make(program, output):
            command = [program, "run", tree, output, "--run-id", "r", "--quiet"]
            with subprocess.Popen(command) as process:
                fragments = output / "_pomona/fragments"
                while process.poll() is None and not list(fragments.glob("*.safetensors")):
                    time.sleep(0.05)
                process.send_signal(signal.SIGKILL)
            self.run(program, tree, output, "--run-id", "r")

        self.compare("sample, killed and resumed", make)

    def grown(self, tree):
        def make(program, output):
            self.run(program, tree, output, "--run-id", "a", "--limit", "5000")
            self.run(program, tree, output, "--run-id", "b")

        self.compare("sample, grown", make)

    def on_s3(self, tree):
        folder = self.scratch / "minio"
        folder.mkdir()
        with servers.minio(folder) as server:
            files = server.file_system()

            def make(program, output):
                bucket = f"bucket-{output.name}"
                files.create_dir(bucket)
                self.run(
                    program, tree, f"s3://{bucket}/out", "--run-id", "r", **server.environment()
                )
                pyarrow.fs.copy_files(f"{bucket}/out", str(output), source_filesystem=files)

            self.compare("fruits, to S3", make)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", type=pathlib.Path)
    parser.add_argument("after", type=pathlib.Path)
    parser.add_argument("--sample", type=int, default=20_000, help="images of the sample tree")
    parser.add_argument("--skip-s3", action="store_true")
    arguments = parser.parse_args()
    programs = [arguments.before.resolve(), arguments.after.resolve()]
    data = pathlib.Path(os.environ.get("POMONA_TEST_DATA", "../shared/data"))

    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        comparison = Comparison(programs, scratch)
        for options in (
            [],
            ["--center"],
            ["--standardize"],
            ["--vectors", "spark", "--formats", "parquet"],
            ["--formats", "csv", "--mode", "apples"],
        ):
            comparison.plain(" ".join(["fruits", *options]), data / "fruits", *options)
        comparison.plain("bad images", data / "bad-images", "--pca-components", "2")
        sample = scratch / "sample"
        subprocess.run(
            [programs[0], "sample", sample, "--images", str(arguments.sample)], check=True
        )
        comparison.plain("sample", sample)
        comparison.resumed(sample)
        comparison.grown(sample)
        if not arguments.skip_s3:
            comparison.on_s3(data / "fruits")
    sys.exit(1 if comparison.differing else 0)


if __name__ == "__main__":
    main()
