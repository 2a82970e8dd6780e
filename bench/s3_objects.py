"""What an object on S3 costs the program, beyond the same file on local disk; and other clients.

    s3_objects.py TREE [--before PROGRAM] [--copies N] [--clients] [--rounds R] [--program FILE]

`pomona check` of TREE on local disk, then from MinIO on this machine, by http and by https, in
turns: CPU time of the program alone (user's and system's), and the clock, which MinIO shares. With
--clients also those of s5cmd, rclone and the AWS CLI that are installed: they copy all objects to a
local folder, beside `pomona check --cache`, which keeps them in one as well, and decodes them all.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "tests"))

import measure
import pyarrow.fs
import servers

CLIENTS = {
    "s5cmd": ["s5cmd", "--log", "error", "cp", "s3://bench/in/*", "FOLDER/"],
    "rclone, 32 transfers": ["rclone", "copy", "--transfers", "32", "bench:bench/in", "FOLDER"],
    "AWS CLI": ["aws", "s3", "cp", "--recursive", "--only-show-errors", "s3://bench/in", "FOLDER"],
}


@contextlib.contextmanager
def minio_by_tls(folder, objects):
    """Another one, over a copy of the first one's folder; yields its environment."""
    shutil.copytree(objects, folder / "objects")
    certificates = folder / "certificates"
    certificates.mkdir()
    servers.certify(certificates)
    authority = str(certificates / "public.crt")
    with servers.minio(folder, certificates) as server:
        yield {"AWS_ENDPOINT_URL_S3": server.endpoint, "AWS_CA_BUNDLE": authority}


def rclone_environment(server):
    settings = {
        "TYPE": "s3",
        "PROVIDER": "Minio",
        "ENDPOINT": server.endpoint,
        "ACCESS_KEY_ID": server.access_key,
        "SECRET_ACCESS_KEY": server.secret_key,
    }
    return {f"RCLONE_CONFIG_BENCH_{name}": value for name, value in settings.items()}


def make_jobs(arguments, tree, plain, stack, scratch):
    """Commands and their environments, by name."""
    jobs = {}
    for name, program in (("", arguments.program), ("before, ", arguments.before)):
        if program:
            check = [program, "check", "--json"]
            jobs[f"{name}local"] = ([*check, tree], plain)
            jobs[f"{name}http"] = ([*check, "s3://bench/in"], plain)
    if arguments.clients:
        jobs["http, --cache"] = ([*jobs["http"][0], "--cache", "FOLDER"], plain)
        installed = {name: each for name, each in CLIENTS.items() if shutil.which(each[0])}
        return jobs | {name: (command, plain) for name, command in installed.items()}
    (scratch / "tls").mkdir()
    tls = stack.enter_context(minio_by_tls(scratch / "tls", scratch / "minio" / "objects"))
    by_tls = {
        name.replace("http", "https"): (command, plain | tls)
        for name, (command, _) in jobs.items()
        if name.endswith("http")
    }
    return jobs | by_tls


def measure_in_turns(jobs, rounds, folder):
    costs: dict[str, list] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, (command, environment) in jobs.items():
            os.mkdir(measure.fresh(folder))
            os.environ.pop("AWS_CA_BUNDLE", None)
            os.environ.update(environment)
            cost = measure.run([str(part).replace("FOLDER", folder) for part in command])
            if number > 0:  # the first one fills the caches
                costs[name].append(cost)
    return costs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tree", help="a local folder of labelled images")
    parser.add_argument("--before", help="another program, that takes turns with this one")
    parser.add_argument("--copies", type=int, default=1, help="of the tree, for more objects")
    parser.add_argument("--clients", action="store_true", help="beside other programs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--program", default="build/pomona")
    arguments = parser.parse_args()

    with contextlib.ExitStack() as stack:
        scratch = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        tree = scratch / "tree"
        for copy in range(arguments.copies):
            shutil.copytree(arguments.tree, tree / f"{copy:03}")
        objects = sum(len(files) for _, _, files in os.walk(tree))
        (scratch / "minio").mkdir()
        server = stack.enter_context(servers.minio(scratch / "minio"))
        server.file_system().create_dir("bench")
        pyarrow.fs.copy_files(str(tree), "bench/in", destination_filesystem=server.file_system())
        plain = server.environment() | rclone_environment(server)
        plain |= {"S3_ENDPOINT_URL": server.endpoint, "AWS_REGION": "us-east-1"}
        jobs = make_jobs(arguments, tree, plain, stack, scratch)
        costs = measure_in_turns(jobs, arguments.rounds, str(scratch / "folder"))

    print(f"{objects} objects, {measure.machine(len(os.sched_getaffinity(0)))}")
    print("| | CPU seconds | ms an object beyond local | seconds |\n| --- | --- | --- | --- |")
    for name, each in costs.items():
        cpu = [cost.cpu_seconds for cost in each]
        local = costs["before, local" if name.startswith("before") else "local"]
        beyond = statistics.median(cpu) - statistics.median(cost.cpu_seconds for cost in local)
        print(
            f"| {name} | {measure.spread(cpu, 2)} | {1000 * beyond / objects:.3f} "
            f"| {measure.spread([cost.seconds for cost in each], 2)} |"
        )


if __name__ == "__main__":
    main()
