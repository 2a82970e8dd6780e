"""The command `pomona`: hands over to the program in the package.

It stands beside the package, so that a call of the program does not wait for `import pomona`.
"""

import os
import pathlib
import sys


def main():
    program = pathlib.Path(__file__).parent / "pomona" / "pomona"
    os.execv(program, ["pomona", *sys.argv[1:]])
