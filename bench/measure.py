"""What the benchmark drivers share. Imports only the standard library: Linux counts the memory of
the process that starts another as part of the other's peak, so the drivers stay small."""

import glob
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple


class Cost(NamedTuple):
    seconds: float  # wall clock, from the start of the process to its exit
    peak_mib: float  # largest resident set
    cpu_seconds: float  # user's and system's


def run(command):
    """Runs a command in a process of its own. Its output is shown only if it fails."""
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            output.seek(0)
            sys.exit(
                f"{' '.join(map(str, command))}\nended with {process.returncode}:\n"
                + output.read().decode(errors="replace")
            )
    return Cost(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def cpu_seconds(pid):
    """User's and system's seconds of a process so far, without those of its children."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def sample(program, scratch, images):
    """A sample tree, made if it is not there yet, or was not finished."""
    tree = os.path.join(scratch, f"sample_{images}")
    done = os.path.join(tree, ".complete")
    if not os.path.exists(done):
        run([program, "sample", tree, "--images", images])
        open(done, "w").close()
    return tree


def run_info(output):
    """The run_info of the only run in this output."""
    [path] = glob.glob(os.path.join(output, "run_info", "run_info_*", "part-*"))
    with open(path) as file:
        return json.load(file)


def spread(values, digits=1):
    """Median, and the range around it."""
    return (
        f"{statistics.median(values):.{digits}f} "
        f"({min(values):.{digits}f} to {max(values):.{digits}f})"
    )


def machine(threads):
    model = platform.machine()
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return f"{model}, {os.cpu_count()} cores, {threads} threads"


def add_common_arguments(parser):
    parser.add_argument("--program", default="build/pomona", help="default: %(default)s")
    parser.add_argument("--weights", help="default: those beside the program")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument(
        "--scratch",
        default=os.path.join(tempfile.gettempdir(), "pomona_bench"),
        help="folder for trees, models and outputs; default: %(default)s",
    )


def weights(args):
    return args.weights or os.path.join(
        os.path.dirname(args.program), "mobilenet_v2_imagenet.safetensors"
    )


def models(args):
    """The folder of the peers' models, made of the weights if it is not there yet."""
    folder = os.path.join(args.scratch, "models")
    if not os.path.exists(os.path.join(folder, "mobilenet_v2.onnx")):
        here = os.path.dirname(os.path.abspath(__file__))
        maker = os.path.join(here, "peers", "make_models.py")
        run([sys.executable, maker, weights(args), folder])
    return folder


def pomona_run(args, tree, output):
    return [
        args.program,
        "run",
        tree,
        output,
        "--threads",
        args.threads,
        "--quiet",
        "--weights",
        weights(args),
    ]
