#!/bin/bash
# PoCL 3.0 (pocl-binary-distribution) on a CPU with fused multiply-adds fuses x*y+z, and rounds mad() twice.
#
# Expected: mad(x, y, z) is what OpenCL has for speed, with whatever precision, so the fused instruction
# where there is one; x*y+z, as it stands there, gives NumPy's float32 bits.
# Seen: the other way round. x*y+z is contracted (OpenCL allows it unless FP_CONTRACT is OFF): a quarter
# of its results differ from NumPy's. mad() is a product and a sum, each rounded: NumPy's bits, and two
# instructions. Whoever wants a device's bits to be a CPU's writes fma(), or the pragma.
#
# Prints for four ways to write it how many of 65,536 results equal NumPy's, which are rounded twice,
# and how many are rounded once. Exits with 1 where this is no longer so.
set -euo pipefail
grep -qw fma /proc/cpuinfo || { echo "this CPU has no fused multiply-add to show it with"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
  pyopencl==2026.1.4 pocl-binary-distribution==3.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import pyopencl as cl

platform = next(p for p in cl.get_platforms() if "PoCL 3.0" in p.version)
device = platform.get_devices()[0]
context = cl.Context([device])
queue = cl.CommandQueue(context)
print(platform.version, "on", device.name)

N = 65536
x, y, z = (np.random.default_rng(i).standard_normal(N).astype(np.float32) for i in range(3))
twice = x * y + z
once = (x.astype(np.float64) * y + z).astype(np.float32)  # the product is exact in float64


def computed(line, before=""):
    text = f"""{before}
    kernel void k(global const float *x, global const float *y, global const float *z,
                  global float *out) {{
      const int i = get_global_id(0);
      out[i] = {line};
    }}"""
    kernel = cl.Program(context, text).build().k
    flags = cl.mem_flags
    given = [cl.Buffer(context, flags.READ_ONLY | flags.COPY_HOST_PTR, hostbuf=a) for a in (x, y, z)]
    out = cl.Buffer(context, flags.WRITE_ONLY, x.nbytes)
    kernel(queue, (N,), None, *given, out)
    result = np.empty_like(x)
    cl.enqueue_copy(queue, result, out)
    return result


PLAIN = "x[i] * y[i] + z[i]"
seen = {}
for name, line, before in [
    ("x*y+z", PLAIN, ""),
    ("x*y+z, FP_CONTRACT OFF", PLAIN, "#pragma OPENCL FP_CONTRACT OFF"),
    ("fma(x, y, z)", "fma(x[i], y[i], z[i])", ""),
    ("mad(x, y, z)", "mad(x[i], y[i], z[i])", ""),
]:
    result = computed(line, before)
    same = int((result == twice).sum()), int((result == once).sum())
    print(f"{name:24} as NumPy {same[0]:6}, rounded once {same[1]:6}")
    seen[name] = "once" if same[1] > same[0] else "twice"
expected = dict(zip(seen, ["once", "twice", "once", "twice"]))
sys.exit(seen != expected)
PYTHON
