"""What the scripts share that run programs of others on the library.

A script is called with the directory of the libraries. It ends with 0, with 77 where a program is not installed, and
with 1 where something is wrong. Programs listen on loopback, and are ended by their number.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SHARED = "libevent_core-2.1.so.7"
PRELOAD = "libev_preload.so"


class Failure(Exception):
    """Something is not as it should be."""


def directory():
    """The directory of the libraries."""
    if len(sys.argv) != 2 or not os.path.exists(os.path.join(sys.argv[1], SHARED)):
        sys.exit(f"usage: {sys.argv[0]} DIRECTORY, of the libraries that `cargo xtask capi` makes")
    return os.path.realpath(sys.argv[1])


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def program(name, *places):
    """The path of a program, which may lie where only the superuser looks."""
    path = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", *places]))
    if path is None:
        skip(f"{name} is not installed")
    return path


def check(condition, text):
    if not condition:
        raise Failure(text)


def until(condition, what, limit=20.0):
    """Waits for `condition` to hold and returns what it gave."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        check(time.monotonic() < end, f"{what}: not within {limit} s")
        time.sleep(0.01)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    return False


def mapped(pid):
    """The files that a process has mapped."""
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as maps:
        return {line.split(maxsplit=5)[5].strip() for line in maps if len(line.split(maxsplit=5)) == 6}


def check_library(pid, path, others_allowed=False):
    """The process has mapped this library, and no libevent besides unless that is expected."""
    files = mapped(pid)
    check(path in files, f"process {pid} has not mapped {path}")
    others = {file for file in files if "libevent" in os.path.basename(file) and file != path}
    check(others_allowed or not others, f"process {pid} has mapped {others} as well")


def environment(library=None):
    """The environment of a program: with the libraries of a directory, or the system's."""
    variables = {name: value for name, value in os.environ.items() if name not in ("LD_LIBRARY_PATH", "LD_PRELOAD")}
    if library:
        variables["LD_LIBRARY_PATH"] = library
    return variables


@contextlib.contextmanager
def running(command, **options):
    """A program that is ended with the block, whatever happens in it."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, **options) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def terminate(process, accepted=(0,), limit=20.0):
    """Asks a program to end, which it has to do well and soon."""
    process.send_signal(signal.SIGTERM)
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"process {process.pid} does not end") from error
    check(code in accepted, f"process {process.pid} ended with {code}")


@contextlib.contextmanager
def scratch():
    """A directory that everyone may enter, gone with the block."""
    with tempfile.TemporaryDirectory(prefix="ev-capi-") as path:
        os.chmod(path, 0o755)
        yield path


def main(tests):
    """Runs the tests, functions of the library's directory, and tells which failed."""
    library = directory()
    failed = 0
    for test in tests:
        start = time.monotonic()
        try:
            test(library)
            print(f"ok {test.__name__} ({time.monotonic() - start:.1f} s)", flush=True)
        except (Failure, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"FAILED {test.__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)
