"""--metrics of runs that read and write a bucket."""

import json

from prometheus_client.parser import text_string_to_metric_families
from proxy import Proxy


def metrics(file):
    """Values by name, direction and bound."""
    return {
        (sample.name, sample.labels.get("direction"), sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
        if sample.name.startswith("pomona_s3")
    }


def test_requests_are_counted_and_timed(sample_bucket, new_bucket, tmp_path, monkeypatch):
    """An answer takes at least as long as it is held up."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    output, file = new_bucket(), tmp_path / "pomona.prom"
    with Proxy(sample_bucket.endpoint, latency=0.05) as proxy:
        finished = sample_bucket.run(
            *("run", sample_bucket.url("in"), output.url("out"), "--metrics", file),
            *("--run-id", "r", "--pca-components", "3", "--s3-endpoint", proxy.endpoint),
        )
    assert finished.returncode == 0, finished.stderr
    info = json.loads(output.get("out/run_info/run_info_r/part-00000.json"))
    values = metrics(file)
    for direction, counts in (("read", info["s3"]["reads"]), ("write", info["s3"]["writes"])):

        def value(name, direction=direction, bound=None):
            return values[f"pomona_s3_{name}", direction, bound]

        # The last files are written after run_info.
        assert value("listings_total") == counts["listings"]
        for name in ("requests", "bytes"):
            extra = value(f"{name}_total") - counts[name]
            assert extra == 0 if direction == "read" else extra > 0, name
        assert value("retries_total") == counts["retries"] == 0
        requests = value("requests_total") + value("listings_total")
        for name in ("first_byte", "request"):
            assert value(f"{name}_seconds_count") >= requests > 0
            assert value(f"{name}_seconds_bucket", bound="0.032768") == 0
            assert value(f"{name}_seconds_sum") >= 0.05 * value(f"{name}_seconds_count")
        assert value("first_byte_seconds_sum") <= value("request_seconds_sum")
    # Each request that went through the proxy, of whatever kind.
    counted = [values["pomona_s3_request_seconds_count", way, None] for way in ("read", "write")]
    assert sum(counted) == proxy.requests.total()
