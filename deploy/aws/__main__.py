#!/usr/bin/env python3
"""Runs Pomona on AWS: docs/aws.md. Needs boto3 and PyYAML."""

import sys

from pomona_aws import Failure, interruption
from pomona_aws.arguments import parse
from pomona_aws.progress import complain


def main():
    interruption.watch()
    try:
        options = parse(sys.argv[1:], description=__doc__)
        from pomona_aws import commands  # brings boto3, which --help does without

        return commands.execute(options)
    except ModuleNotFoundError as error:
        complain(
            f"there is no {error.name} in {sys.executable}; install what this script needs: "
            f"{sys.executable} -m pip install boto3 pyyaml"
        )
    except (Failure, KeyboardInterrupt) as error:
        complain(error)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 1


if __name__ == "__main__":
    sys.exit(main())
