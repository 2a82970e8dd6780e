"""The table of docs/aws.md is what `estimate` says."""

import re

import pytest
from account import ROOT

# The options that the text below the table names, for 10^8 images.
LARGE = {
    "batch": ["MaxVcpus=1024"],
    "serverless": ["MaxVcpus=1026"],
    "cluster": ["CoreInstanceCount=4", "TaskInstanceCount=124"],
}
IMAGES = {"67,692": 67692, "10^6": 10**6, "10^8": 10**8}


@pytest.mark.parametrize("row", IMAGES)
def test_table(aws, row):
    document = (ROOT / "docs/aws.md").read_text()
    [header] = re.findall(r"^\| images \|.*$", document, re.MULTILINE)
    [line] = re.findall(rf"^\| {re.escape(row)} \|.*$", document, re.MULTILINE)
    ways = re.findall(r"`(\w+)`", header)
    cells = re.findall(r"(\d+) min, ([\d.]+) USD", line)
    assert len(ways) == len(cells) == 3
    for way, (minutes, dollars) in zip(ways, cells, strict=True):
        given = LARGE[way] if row == "10^8" else []
        options = [word for each in given for word in ("--set", each)]
        code, output, errors = aws.deploy(way, "estimate", "--images", IMAGES[row], *options)
        assert code == 0, errors
        [time] = re.findall(r"^time +([\d.]+) min", output, re.MULTILINE)
        [total] = re.findall(r"^total +([\d.]+) USD", output, re.MULTILINE)
        assert (round(float(time)), total) == (int(minutes), dollars), way
