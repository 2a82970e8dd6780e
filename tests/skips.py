"""Which tests may be skipped where everything is to run: under CI any other skip is a failure.

pytest asks by tests/conftest.py; for ctest, `python3 skips.py FOLDER/ctest.xml` reads its report.
"""

import os
import re
import sys
import xml.etree.ElementTree as ElementTree

# What a reason says, and why it may.
ALLOWED = {
    "this machine lacks": "vector instructions: not every processor has AVX-512",
    "this machine or build lacks it": "the same, in the words of --cpu",
    "no control group of version 1": "a machine has one of the two versions, as it was started",
    "the program reads CSV as it reads Parquet": "of two by two cases, three are different",
    "SCIPY_ARRAY_API is not set": "test_pca.py runs that check in a process of its own",
    "needs privileges": "where no bare Debian can be made, CI may lack them",
    "other users cannot run the program": "a clone below root's home",
    "GiB free": "a million pictures take room that CI's machines need not have",
}


def under_ci():
    return os.environ.get("CI", "") not in ("", "0", "false")


def is_allowed(reason):
    return any(words in reason for words in ALLOWED)


def skipped(report):
    """(test, reason) of each test that a JUnit report of ctest has as not run."""
    for case in ElementTree.parse(report).iter("testcase"):
        if case.get("status") == "notrun" or case.find("skipped") is not None:
            said = case.findtext("system-out", "")
            # GoogleTest prints the place, then the reason, before "[  SKIPPED ]".
            lines = re.findall(r"Skipped\n(.*)\n", said) or [said.strip()]
            yield case.get("name"), " / ".join(lines)


def main(report):
    refused = 0
    for test, reason in skipped(report):
        print(f"SKIPPED {test}: {reason}")
        refused += not is_allowed(reason)
    if refused and under_ci():
        sys.exit(f"{refused} tests were skipped for reasons that tests/skips.py does not allow")


if __name__ == "__main__":
    main(*sys.argv[1:])
