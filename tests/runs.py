"""The run that most tests make."""

RUN_ID = "test"

# Columns of the PCA, in what is run on Spark.
COMPONENTS = 8


def told_again(path, content):
    """What of a published file is the same however often its run is made: of the report all but the
    line that says how it was made."""
    if not str(path).endswith("/report.html"):
        return content
    lines = content.splitlines(keepends=True)
    same = [line for line in lines if b'id="data-making"' not in line]
    assert len(same) == len(lines) - 1
    return b"".join(same)


def files(output):
    """The bytes of each file that is the same however often its run is made, by its path."""
    return {
        str(path.relative_to(output)): told_again(path, path.read_bytes())
        for path in output.rglob("*")
        if path.is_file() and path.relative_to(output).parts[0] != "run_info"
    }
