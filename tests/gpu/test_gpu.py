"""--engine gpu from outside: the same bytes as without it, and what it says of devices that fail.

Debian's PoCL is the device, an OpenCL that runs on the CPU. What fails is made to fail by a layer
of OpenCL's loader (opencl_faults.cc); libraries that run CUDA's kernels on the CPU stand in for
CUDA (cuda_on_cpu.cc).
"""

import json
import os
import pathlib
import re
import subprocess

import pytest
from runs import files

# A device of the CPU has to be named: --engine gpu takes none by itself.
OPENCL = ("--engine", "gpu", "--device", "opencl:0")
IMAGES = 48


@pytest.fixture(scope="module")
def parts(pomona):
    """The folder of what stands between the program and a device."""
    return pathlib.Path(pomona).parent / "tests/gpu"


@pytest.fixture(scope="module")
def opencl(pomona):
    version = subprocess.run([pomona, "version"], check=True, capture_output=True, text=True).stdout
    if "device opencl:0" not in version:
        pytest.skip("no device for OpenCL: install pocl-opencl-icd")


@pytest.fixture(scope="module")
def cuda(parts):
    return {"LD_LIBRARY_PATH": str(parts / "cuda")}


@pytest.fixture(scope="module")
def tree(pomona, tmp_path_factory):
    """Few images: the CPU is a slow GPU."""
    tree = tmp_path_factory.mktemp("tree")
    subprocess.run(
        [pomona, "sample", tree, "--images", str(IMAGES)], check=True, capture_output=True
    )
    return tree


@pytest.fixture
def job(pomona, tree, tmp_path):
    """job(*options, **environment) runs over the tree; returns it finished, and its output."""

    def job(*options, **environment):
        output = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        command = [pomona, "run", tree, output, "--run-id", "test", "--pca-components", "10"]
        finished = subprocess.run(
            [*command, "--threads", "2", "--progress", "none", *options],
            capture_output=True, text=True, check=False, env=os.environ | environment,
        )  # fmt: skip
        return finished, output

    return job


@pytest.fixture(scope="module")
def by_cpu(run, tree):
    return files(run(tree, "--pca-components", "10"))


def device_of(output):
    return json.loads((output / "run_info/run_info_test/part-00000.json").read_text())["device"]


def test_same_bytes_as_the_cpu(opencl, job, by_cpu):
    finished, output = job(*OPENCL)
    assert finished.returncode == 0, finished.stderr
    assert files(output) == by_cpu
    device = device_of(output)
    assert device["name"].startswith("opencl:0, ")
    assert device["pictures"] == IMAGES and device["cpu_pictures"] == 0
    assert device["batches"] < IMAGES  # several pictures at a time
    assert device["busy_seconds"] > 0 and device["trouble"] == ""


def test_a_run_begun_on_one_goes_on_on_the_other(opencl, pomona, tree, tmp_path, by_cpu):
    command = [pomona, "run", tree, tmp_path / "out", "--run-id", "test", "--quiet"]
    command += ["--pca-components", "10", "--engine", "gpu", "--device", "opencl:0", "--shard"]
    subprocess.run([*command, "1/2"], check=True)
    cpu = [text for text in command if text not in ("--engine", "gpu", "--device", "opencl:0")]
    subprocess.run([*cpu, "2/2"], check=True)
    assert files(tmp_path / "out") == by_cpu


def test_no_gpu_is_said(job, by_cpu):
    """PoCL's device is no GPU, and is not taken for one."""
    finished, output = job("--engine", "gpu")
    assert finished.returncode == 1
    assert "device any: there is no GPU" in finished.stderr
    assert not (output / "run_info").exists()

    finished, output = job("--engine", "gpu", "--device", "auto")
    assert finished.returncode == 0, finished.stderr
    assert "the CPU computes: device auto: there is no GPU" in finished.stderr
    assert files(output) == by_cpu
    assert device_of(output)["cpu_pictures"] == IMAGES


def test_a_device_goes_with_the_engine(job):
    finished, _ = job("--device", "opencl:0")
    assert finished.returncode == 2
    assert "device opencl:0: goes with --engine gpu" in finished.stderr


def layer(parts, **faults):
    return {"OPENCL_LAYERS": str(parts / "libopencl_faults.so")} | {
        f"POMONA_FAULT_{name.upper()}": str(value) for name, value in faults.items()
    }


@pytest.mark.parametrize("fault", ["flushes", "twice"])
def test_other_arithmetic_is_refused(opencl, parts, job, fault):
    finished, output = job(*OPENCL, **layer(parts, **{fault: 1}))
    assert finished.returncode == 1
    assert "it does not compute as the engine needs it: x * y + z of" in finished.stderr
    assert not (output / "run_info").exists()


def test_little_memory_means_smaller_batches(opencl, parts, job, by_cpu):
    """Buffers of two pictures' activations, no more; or launches for two."""
    finished, output = job(*OPENCL, **layer(parts, bytes=12_000_000))
    assert finished.returncode == 0, finished.stderr
    assert files(output) == by_cpu
    assert device_of(output)["batches"] >= IMAGES / 2

    finished, output = job(*OPENCL, **layer(parts, items=120_000))
    assert finished.returncode == 0, finished.stderr
    assert files(output) == by_cpu
    device = device_of(output)
    assert device["batches"] >= IMAGES / 2 and device["cpu_pictures"] == 0


def test_no_memory_for_a_picture(opencl, parts, job):
    finished, _ = job(*OPENCL, **layer(parts, bytes=3_000_000))
    assert finished.returncode == 1
    assert "clCreateBuffer: the device's memory does not suffice" in finished.stderr


# An error of the device's, and one that NVIDIA's driver gives for many.
@pytest.mark.parametrize(
    ("call", "code"), [("clEnqueueNDRangeKernel", -36), ("clEnqueueReadBuffer", -5)]
)
def test_a_device_that_vanishes(opencl, parts, job, by_cpu, call, code):
    after = {"clEnqueueNDRangeKernel": 200, "clEnqueueReadBuffer": 4}[call]
    faults = layer(parts, call=call, code=code, after=after)
    finished, output = job(*OPENCL, **faults)
    assert finished.returncode == 1
    assert re.search(rf"opencl:0, [^:]*: {call}: .*{code}", finished.stderr), finished.stderr
    assert "--device auto would go on by the CPU" in finished.stderr
    assert not (output / "run_info").exists()


def test_cuda(cuda, job, by_cpu):
    finished, output = job("--engine", "gpu", **cuda)
    assert finished.returncode == 0, finished.stderr
    assert files(output) == by_cpu
    device = device_of(output)
    assert device["name"] == "cuda:0, a GPU of the tests"
    assert device["pictures"] == IMAGES


def test_a_gpu_that_vanishes_is_replaced(cuda, job, by_cpu):
    finished, output = job(
        "--engine", "gpu", "--device", "auto", **cuda, POMONA_FAULT_LAUNCHES="300"
    )
    assert finished.returncode == 0, finished.stderr
    said = "the CPU computes: cuda:0, a GPU of the tests: cuLaunchKernel: CUDA_ERROR_LAUNCH_FAILED"
    assert said in finished.stderr
    assert files(output) == by_cpu
    device = device_of(output)
    assert device["pictures"] > 0 and device["cpu_pictures"] > 0
    assert device["pictures"] + device["cpu_pictures"] == IMAGES


def test_a_gpu_that_does_not_start_is_replaced(cuda, job, by_cpu):
    lost = cuda | {"POMONA_FAULT_LAUNCHES": "1"}
    finished, _ = job("--engine", "gpu", **lost)
    assert finished.returncode == 1
    assert "cuda:0: cuLaunchKernel: CUDA_ERROR_LAUNCH_FAILED" in finished.stderr
    finished, output = job("--engine", "gpu", "--device", "auto", **lost)
    assert finished.returncode == 0, finished.stderr
    assert "the CPU computes: cuda:0: cuLaunchKernel" in finished.stderr
    assert files(output) == by_cpu
    assert device_of(output)["cpu_pictures"] == IMAGES


def test_version_lists_devices(opencl, cuda, pomona):
    said = subprocess.run(
        [pomona, "version"], check=True, capture_output=True, text=True, env=os.environ | cuda
    ).stdout
    devices = re.findall(r"device (\S+), (.*), (.*), (\d+) MiB", said)
    assert devices[0] == ("cuda:0", "a GPU of the tests", "CUDA 13.1", "1024")  # GPUs first
    assert devices[1][0] == "opencl:0"
