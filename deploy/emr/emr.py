#!/usr/bin/env python3
"""Runs Pomona's Spark job on an EMR cluster of its own: docs/emr.md. Needs boto3 and PyYAML."""

import signal
import sys

from pomona_emr import Failure
from pomona_emr.arguments import parse
from pomona_emr.progress import complain


def interrupt(*_):
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGTERM, interrupt)
    try:
        options = parse(sys.argv[1:], description=__doc__)
        from pomona_emr import commands  # brings boto3, which --help does without

        commands.execute(options)
    except ModuleNotFoundError as error:
        complain(
            f"there is no {error.name} in {sys.executable}; install what this script needs: "
            f"{sys.executable} -m pip install boto3 pyyaml"
        )
        return 1
    except (Failure, KeyboardInterrupt) as error:
        complain(error)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
