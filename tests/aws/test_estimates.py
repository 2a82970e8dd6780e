"""The table of docs/aws.md is what `estimate` says."""

import re

import pytest
from account import ROOT

IMAGES = {"67,692": 67692, "10^6": 10**6, "10^8": 10**8}


@pytest.mark.parametrize("row", IMAGES)
def test_table(aws, row):
    document = (ROOT / "docs/aws.md").read_text()
    # By way, the commands below the table, for 10^8 images.
    commands = re.findall(r"^python3 deploy/aws (\w+ estimate .*)$", document, re.MULTILINE)
    large = {command.split()[0]: command for command in commands}
    [header] = re.findall(r"^\| images \|.*$", document, re.MULTILINE)
    [line] = re.findall(rf"^\| {re.escape(row)} \|.*$", document, re.MULTILINE)
    ways = re.findall(r"`(\w+)`", header)
    cells = re.findall(r"(\d+) min, ([\d.]+) USD", line)
    assert len(ways) == len(cells) == 3
    for way, (minutes, dollars) in zip(ways, cells, strict=True):
        as_it_comes = f"{way} estimate --images {IMAGES[row]}"
        command = large[way] if row == "10^8" else as_it_comes
        assert command.startswith(as_it_comes)
        code, output, errors = aws.deploy(*command.split())
        assert code == 0, errors
        [time] = re.findall(r"^time +([\d.]+) min", output, re.MULTILINE)
        [total] = re.findall(r"^total +([\d.]+) USD", output, re.MULTILINE)
        assert (round(float(time)), total) == (int(minutes), dollars), way
