#!/bin/sh
# gpu.sh DEVICE [TFLOPS]: the network on a device beside the CPU, over 20,000 sample images: that the
# features are the same, bit for bit; how fast either is; and what the device did meanwhile. DEVICE: as
# `pomona version` lists it. TFLOPS: its limit in float32, by its maker, for the share of it that was
# reached. IMAGES=1000 takes fewer; PROGRAM names another program than build/pomona. Minutes.
set -eu
cd "$(dirname "$0")/.."
device=$1 tflops=${2:-0}
program=${PROGRAM:-build/pomona}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$program" version | grep -e "^cpu" -e "^device"
"$program" sample "$scratch/tree" --images "${IMAGES:-20000}" >/dev/null
# In turns, so that both read the tree from memory; the first pair is not counted.
for round in 0 1 2 3; do
  for engine in "native" "gpu --device $device"; do
    # shellcheck disable=SC2086  # the option's value has its own option behind it
    "$program" run "$scratch/tree" "$scratch/${engine%% *}$round" --run-id gpu --quiet \
      --report none --engine $engine
  done
done
python3 - "$scratch" "$tflops" <<'PYTHON'
import hashlib, json, pathlib, statistics, sys

scratch, tflops = pathlib.Path(sys.argv[1]), float(sys.argv[2])
FLOP = 601e6  # of an image (docs/performance.md)


def features(output):
    parts = sorted((output / "features").rglob("part-*")) + sorted((output / "pca").rglob("part-*"))
    return [hashlib.sha256(part.read_bytes()).hexdigest() for part in parts]


def info(output):
    return json.loads((output / "run_info/run_info_gpu/part-00000.json").read_text())


assert len(features(scratch / "native0")) >= 4
for round in range(4):
    assert features(scratch / f"native{round}") == features(scratch / f"gpu{round}"), round
rates = {}
for engine in ("native", "gpu"):
    infos = [info(scratch / f"{engine}{round}") for round in (1, 2, 3)]
    rates[engine] = statistics.median(each["images_per_second"] for each in infos)
    print(f"{engine:7} {rates[engine]:8.0f} images/s, {infos[0]['threads']} threads")
devices = [each["device"] for each in infos]
busy = statistics.median(each["pictures"] / each["busy_seconds"] for each in devices)
print(f"{devices[0]['name']}: {rates['gpu'] / rates['native']:.2f} of the CPU's rate; the same features")
print(f"while busy {busy:.0f} images/s, {busy * FLOP / 1e12:.3f} TFLOP/s", end="")
print(f", {busy * FLOP / 1e12 / tflops:.2f} of {tflops}" if tflops else "")
for each in devices:
    waited = each["waiting_seconds"] / (each["waiting_seconds"] + each["busy_seconds"])
    print(f"{each['pictures'] / each['batches']:.1f} pictures a batch; it waited for pictures {waited:.0%}")
PYTHON
