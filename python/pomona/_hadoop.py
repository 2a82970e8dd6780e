"""Single files and folders, through Hadoop: local, HDFS, S3."""

from __future__ import annotations

import concurrent.futures
import functools
import pathlib

from py4j.protocol import Py4JJavaError

# How many files are looked at at once.
_HEADS_AT_ONCE = 16


def all_of(error: Exception) -> str:
    """What an error says in all; of Java's own with what caused it."""
    texts = [str(error)]
    # py4j's errors have the one, those that PySpark makes of them the other.
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)
    while java is not None:
        texts.append(str(java.toString()))
        java = java.getCause()
    return "\n".join(texts)


def in_one_line(error: Exception) -> str:
    """What an error says; of Java's own the class and the message, which py4j's text lacks."""
    java = getattr(error, "java_exception", None)
    return str(error if java is None else java.toString()).strip().split("\n")[0]


def _naming(method):
    """With what Java raises as an OSError that names the path and the cause."""

    @functools.wraps(method)
    def called(self, path, *args):
        try:
            return method(self, path, *args)
        except Py4JJavaError as error:
            raise OSError(f"{path}: {in_one_line(error)}") from error

    return called


class Files:
    """All paths are URIs, as qualified() gives them: only a root has a slash at its end."""

    def __init__(self, spark):
        self._jvm = spark.sparkContext._jvm
        self._conf = spark.sparkContext._jsc.hadoopConfiguration()

    def _path(self, path):
        return self._jvm.org.apache.hadoop.fs.Path(path)

    def _system(self, path):
        return self._path(path).getFileSystem(self._conf)

    def qualified(self, path):
        try:
            return self._system(path).makeQualified(self._path(path)).toString()
        except Py4JJavaError as error:  # what makes it of a scheme that it has no client for
            raise ValueError(f"{path}: {in_one_line(error)}") from error

    @staticmethod
    def plain(uri):
        """As ps.plain_path() of a column."""
        if uri.startswith("file:"):
            return "/" + uri[len("file:") :].lstrip("/")
        return uri.replace("s3a://", "s3://", 1).replace("s3n://", "s3://", 1)

    def head(self, path, size):
        """The first bytes of a file that has at least so many; None if it cannot be read."""
        try:
            stream = self._system(path).open(self._path(path))
            try:
                return bytes(self._jvm.org.apache.commons.io.IOUtils.toByteArray(stream, size))
            finally:
                stream.close()
        except Py4JJavaError:
            return None

    def heads(self, paths, size):
        """Of each file, as head() gives it."""
        with concurrent.futures.ThreadPoolExecutor(_HEADS_AT_ONCE) as pool:
            return list(pool.map(lambda path: self.head(path, size), paths))

    @_naming
    def exists(self, path):
        return self._system(path).exists(self._path(path))

    @_naming
    def is_folder(self, path):
        return (
            self.exists(path) and self._system(path).getFileStatus(self._path(path)).isDirectory()
        )

    @_naming
    def write(self, path, content):
        stream = self._system(path).create(self._path(path), True)
        stream.write(bytearray(content.encode() if isinstance(content, str) else content))
        stream.close()

    def remove_checksums(self, folder):
        """Hadoop leaves a hidden one beside each local file; nothing needs them."""
        if folder.startswith("file:"):
            for file in pathlib.Path(self.plain(folder)).glob(".*.crc"):
                file.unlink(missing_ok=True)

    @_naming
    def remove(self, path):
        self._system(path).delete(self._path(path), True)

    @_naming
    def remove_if_empty(self, path):
        system = self._system(path)
        if self.exists(path) and len(system.listStatus(self._path(path))) == 0:
            self.remove(path)
