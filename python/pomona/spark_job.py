"""spark-submit "$(pomona spark-job)" INPUT OUTPUT [MODE [PCA_COMPONENTS]] [pomona run's options]"""

from __future__ import annotations

import argparse
import sys

from pomona import _core


def parse(arguments: list[str] | None = None) -> tuple[str, str, dict]:
    """INPUT, OUTPUT and the options of `pomona.run` that a command line gives.

    Needs no PySpark. Exits with 2, as argparse does, where the command line is wrong.
    """
    parser = _parser()
    given = vars(parser.parse_args(arguments))
    source, output = given.pop("INPUT"), given.pop("OUTPUT")
    for positional in ("MODE", "PCA_COMPONENTS"):
        name, value = positional.lower(), given.pop(positional)
        if value is None:
            continue
        if given[name] is not None:
            parser.error(f"{positional} and --{name.replace('_', '-')} are the same: give one")
        given[name] = value
    options = {name: value for name, value in given.items() if value is not None}
    try:
        _core.RunOptions(**options)
    except ValueError as error:
        option, _, problem = str(error).partition(" ")  # as Python spells it
        parser.error(f"{option.replace('_', '-')} {problem}")
    return source, output, options


def _parser():
    parser = argparse.ArgumentParser(
        prog="spark_job.py",
        description="Features and PCA of a tree of images, on Spark.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "INPUT", help="folder of labelled images: of all nodes, s3:// or what Hadoop reads"
    )
    parser.add_argument("OUTPUT", help="folder to publish the run in")
    parser.add_argument("MODE", nargs="?", help="as --mode")
    parser.add_argument("PCA_COMPONENTS", nargs="?", help="as --pca-components")
    for spec in _core.option_specs():
        if spec.name == "shard":
            continue  # Spark shares the work out
        help = spec.help.replace("%", "%%")
        if spec.is_switch:
            parser.add_argument(spec.flag, action="store_const", const=True, help=help)
        else:
            action = "append" if spec.is_list else "store"
            parser.add_argument(spec.flag, metavar=spec.value, action=action, help=help)
    return parser


def main() -> int:
    """Returns the exit code of `pomona run`."""
    source, output, options = parse()
    from pomona import spark_run  # brings PySpark, which the command line does without

    return spark_run.main(source, output, options)


if __name__ == "__main__":
    sys.exit(main())
