"""The power fails at any moment of a run: what was not flushed is lost, in whole or in part. The
calls that fault.cc recorded are replayed into a model of a disk that knows what is durable."""

import random
import shutil

import pytest
from conftest import RUN, files_of, is_published


class File:
    def __init__(self):
        self.data = bytearray()
        self.durable = b""

    def flush(self, _disk):
        self.durable = bytes(self.data)


class Folder:
    def __init__(self):
        self.entries = {}  # as programs see it
        self.durable = {}

    def flush(self, disk):
        """Makes the changes durable that concern this folder, each as a whole."""
        for change in disk.pending:
            if any(folder is self for folder, _, _ in change):
                make_durable(change)
        disk.pending = [
            change for change in disk.pending if not any(folder is self for folder, _, _ in change)
        ]


def make_durable(change):
    for folder, name, node in change:
        if node is None:
            folder.durable.pop(name, None)
        else:
            folder.durable[name] = node


class Disk:
    """Files and folders under `root`. A change of names is a list of (folder, name, what is there
    from now on) and is not durable until one of its folders is flushed."""

    def __init__(self, root):
        self.prefix = str(root)
        self.root = Folder()
        self.pending = []

    def find(self, path):
        node = self.root
        for part in path[len(self.prefix) :].strip("/").split("/"):
            node = node.entries[part] if part else node
        return node

    def place(self, path):
        folder, name = path.rsplit("/", 1)
        return self.find(folder), name

    def change(self, *edits):
        for folder, name, node in edits:
            if node is None:
                del folder.entries[name]
            else:
                folder.entries[name] = node
        self.pending.append(edits)

    def call(self, call, path, *words):
        if call == "failed":
            return
        assert path == self.prefix or path.startswith(self.prefix + "/"), path
        if call in ("create", "touch"):
            folder, name = self.place(path)
            if name not in folder.entries:
                self.change((folder, name, File()))
            elif call == "create":
                folder.entries[name].data = bytearray()
        elif call == "write":
            file = self.find(path)
            assert int(words[0]) == len(file.data)
            file.data += words[1]
        elif call == "mkdir":
            self.change((*self.place(path), Folder()))
        elif call == "rename":
            self.change((*self.place(words[0]), self.find(path)), (*self.place(path), None))
        elif call in ("unlink", "rmdir"):
            self.change((*self.place(path), None))
        elif call == "fsync":
            self.find(path).flush(self)
        else:
            raise AssertionError(call)


def write_tree(folder, target, content):
    target.mkdir(parents=True, exist_ok=True)
    for name, node in folder.durable.items():
        if isinstance(node, Folder):
            write_tree(node, target / name, content)
        else:
            (target / name).write_bytes(content(node))


def zeros(file):
    """The length has reached the disk before the data."""
    return file.durable + bytes(len(file.data) - len(file.durable))


def check_power_loss(lab, step):
    """Cuts the power after every `step`-th call, with what is not durable lost in several ways."""
    output = lab.folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    records = lab.calls(output, root=lab.folder)
    numbers = random.Random(step)
    losses = 0
    for end in range(1, len(records) + 1, step):
        for way in ("all", "data", "some"):
            disk = Disk(lab.folder)
            for record in records[:end]:
                disk.call(*record)
            content = {
                "all": lambda file: file.durable,
                "data": zeros,
                "some": lambda file: (
                    bytes(file.data)
                    if numbers.random() < 0.5
                    else (file.durable if numbers.random() < 0.5 else zeros(file))
                ),
            }[way]
            for change in disk.pending:
                if way == "data" or (way == "some" and numbers.random() < 0.5):
                    make_durable(change)
            shutil.rmtree(output, ignore_errors=True)
            write_tree(disk.root.durable.get("output", Folder()), output, content)

            if is_published(output):
                assert files_of(output, RUN) == lab.expected, (end, way, records[end - 1][:2])
            else:
                finished = lab.run(output)
                assert finished.returncode == 0, (end, way, finished.stderr)
                assert files_of(output, RUN) == lab.expected, (end, way, records[end - 1][:2])
            losses += 1
    return losses


def test_a_sample_of_power_losses(lab):
    assert check_power_loss(lab, step=11) > 60


@pytest.mark.long
def test_power_loss_after_every_call(lab):
    losses = check_power_loss(lab, step=1)
    print(f"{losses} power losses")
    assert losses > 800


@pytest.mark.parametrize("missing", ["/features/csv", ".parquet", "/publish/errors/errors_r"])
def test_the_model_loses_what_was_not_flushed(lab, missing):
    """The proof is worth as much as the model: without these flushes the run does not survive."""
    output = lab.folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    records = lab.calls(output, root=lab.folder)
    flushes = [r for r in records if r[0] == "fsync" and r[1].endswith(missing)]
    assert flushes
    disk = Disk(lab.folder)
    for record in records:
        if record not in flushes:
            disk.call(*record)
    shutil.rmtree(output)
    write_tree(disk.root.durable["output"], output, lambda file: file.durable)
    assert is_published(output)
    assert files_of(output, RUN) != lab.expected
