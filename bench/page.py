"""The figures of the README on one page of Markdown, measured here and now: `make bench`.

    page.py [--program FILE] [--scratch FOLDER]

Needs what the peers need (requirements/bench.txt) and the programs of build/bench.
"""

import argparse
import os
import subprocess
import sys

import measure

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES = 2000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    measure.add_common_arguments(parser)
    args = parser.parse_args()
    programs = os.path.join(os.path.dirname(os.path.abspath(args.program)), "bench")
    tree = measure.sample(args.program, args.scratch, IMAGES)
    common = [
        "--program",
        args.program,
        "--scratch",
        args.scratch,
        "--weights",
        measure.weights(args),
    ]

    def script(name, *arguments):
        return [sys.executable, os.path.join(HERE, name), *arguments, *common]

    print(f"# Pomona on {measure.machine(args.threads)}", flush=True)
    for title, command in {
        f"The whole job, {IMAGES} sample images": script("whole_job.py", tree, "--rounds", "3"),
        "The network alone": script("network.py", "--rounds", "3", "--images", "500"),
        "The network beside the machine's limit": [os.path.join(programs, "native_bench")],
        "PCA of 67,692 rows": [os.path.join(programs, "pca_bench")],
        "Start": script("startup.py", "--repeats", "20"),
    }.items():
        print(f"\n## {title}\n", flush=True)
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
