#!/usr/bin/env python3
"""Debian's tmux with the library preloaded: its buffers and bufferevents are libevent's own, and work on this core.
Sessions, windows and panes, jobs, 48,000 lines of output, key strokes, hooks, signals, the end of the server."""

import contextlib
import os
import signal
import subprocess
import time

from clients import PRELOAD, check, check_library, environment, main, program, scratch, until

TMUX = program("tmux")


class Server:
    """A tmux with a socket of its own."""

    def __init__(self, path, library):
        self.socket = os.path.join(path, "socket")
        self.environment = {**environment(), "TERM": "xterm", "SHELL": "/bin/sh", "HOME": path, "LC_ALL": "C.UTF-8"}
        if library:
            self.environment["LD_PRELOAD"] = os.path.join(library, PRELOAD)

    def run(self, *arguments, limit=30):
        return subprocess.run([TMUX, "-S", self.socket, "-f", "/dev/null", *arguments], env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=limit, check=False)

    def ask(self, *arguments):
        done = self.run(*arguments)
        check(done.returncode == 0, f"tmux {' '.join(arguments)}: {done.returncode}, {done.stdout}")
        return done.stdout.rstrip("\n")

    def pid(self):
        return int(self.ask("display-message", "-p", "#{pid}"))


@contextlib.contextmanager
def server(library):
    """A server with one session of one shell."""
    with scratch() as path:
        tmux = Server(path, library)
        tmux.ask("new-session", "-d", "-s", "first", "-x", "100", "-y", "40", "exec sh")
        pid = tmux.pid()
        try:
            if library:
                check_library(pid, os.path.join(library, PRELOAD), others_allowed=True)
            yield tmux, pid, path
        finally:
            tmux.run("kill-server")
            until(lambda: not os.path.exists(f"/proc/{pid}"), "the server ends")


def sessions_windows_and_panes(library):
    with server(library) as (tmux, _, _):
        for number in range(10):
            tmux.ask("new-session", "-d", "-s", f"session-{number}", "exec sh")
            tmux.ask("new-window", "-t", f"session-{number}", "-n", "second", "exec sh")
            tmux.ask("split-window", "-t", f"session-{number}:second", "exec sh")
        check(len(tmux.ask("list-sessions").splitlines()) == 11, "sessions are missing")
        check(len(tmux.ask("list-panes", "-a").splitlines()) == 31, "panes are missing")
        tmux.ask("kill-window", "-t", "session-0:second")
        tmux.ask("kill-session", "-t", "session-1")
        check(len(tmux.ask("list-panes", "-a").splitlines()) == 26, "panes are left")


def keys_and_echo(library):
    with server(library) as (tmux, _, _):
        for number in range(30):
            tmux.ask("send-keys", "-t", "first", f"echo answer-$(({number} * 7))", "Enter")

        def answers():
            # A prompt may stand before an answer, where keys came before the prompt did.
            lines = tmux.ask("capture-pane", "-p", "-S", "-200", "-t", "first").splitlines()
            return [line.lstrip("#$ ") for line in lines if line.lstrip("#$ ").startswith("answer-")]

        until(lambda: "answer-203" in answers(), "the last answer")
        check(answers() == [f"answer-{7 * number}" for number in range(30)], "answers are missing")


def much_output(library):
    """48,000 lines through a terminal, a bufferevent and a screen; the history keeps the last ones."""
    with server(library) as (tmux, _, _):
        tmux.ask("set-option", "-g", "history-limit", "50000")
        tmux.ask("new-window", "-t", "first", "-n", "much", "seq 1 48000; echo the end; exec sleep 1000")
        until(lambda: "the end" in tmux.ask("capture-pane", "-p", "-t", "first:much").splitlines(), "the last line", 60)
        lines = tmux.ask("capture-pane", "-p", "-S", "-", "-t", "first:much").splitlines()
        check([line for line in lines if line.isdigit()] == [str(n) for n in range(1, 48001)], "lines are missing")


def jobs(library):
    with server(library) as (tmux, _, path):
        tmux.ask("run-shell", f"echo from a job > {path}/job")
        check(read(f"{path}/job") == "from a job\n", "a job is not waited for")
        check(tmux.ask("display-message", "-p", "#{pane_in_mode}") == "0", "a silent job shows something")
        tmux.ask("run-shell", "seq 1 5000")
        check(tmux.ask("display-message", "-p", "#{pane_in_mode}") == "1", "a job's output is not shown")
        for number in range(20):
            tmux.ask("run-shell", "-b", f"touch {path}/job-{number}")
        until(lambda: all(os.path.exists(f"{path}/job-{number}") for number in range(20)), "background jobs")
        start = time.monotonic()
        tmux.ask("run-shell", "-d", "0.3", "true")
        check(time.monotonic() - start >= 0.25, "a delay is too short")
        tmux.ask("if-shell", "exit 1", "set-buffer yes", "set-buffer no")
        check(tmux.ask("show-buffer") == "no", "a condition")


def waiting_clients(library):
    with server(library) as (tmux, _, path):
        waiting = subprocess.Popen([TMUX, "-S", tmux.socket, "wait-for", "channel"], env=tmux.environment,
                                   stdin=subprocess.DEVNULL)
        try:
            time.sleep(0.2)
            check(waiting.poll() is None, "it does not wait")
            tmux.ask("wait-for", "-S", "channel")
            check(waiting.wait(20) == 0, "it is not woken")
        finally:
            if waiting.poll() is None:
                waiting.kill()
        tmux.ask("pipe-pane", "-t", "first", f"cat > {path}/piped")
        tmux.ask("send-keys", "-t", "first", "echo pi''ped", "Enter")
        until(lambda: os.path.exists(f"{path}/piped") and "piped" in read(f"{path}/piped"), "the pipe")


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def large_buffers(library):
    with server(library) as (tmux, _, path):
        with open(f"{path}/large", "w", encoding="utf-8") as file:
            file.writelines(f"line {number}\n" for number in range(40000))
        tmux.ask("load-buffer", f"{path}/large")
        tmux.ask("save-buffer", f"{path}/saved")
        check(read(f"{path}/saved") == read(f"{path}/large"), "the buffer is another")
        check(tmux.run("show-buffer").stdout == read(f"{path}/large"), "the buffer is shown otherwise")


def signals(library):
    """SIGCHLD ends panes, SIGUSR1 makes the socket anew, SIGTERM ends the server."""
    with server(library) as (tmux, pid, _):
        tmux.ask("new-window", "-t", "first", "-n", "short", "sleep 0.2")
        until(lambda: "short" not in tmux.ask("list-windows", "-t", "first"), "the window ends")
        os.unlink(tmux.socket)
        os.kill(pid, signal.SIGUSR1)
        until(lambda: os.path.exists(tmux.socket), "the socket is made anew")
        check(tmux.pid() == pid, "another server")
        os.kill(pid, signal.SIGTERM)
        until(lambda: not os.path.exists(f"/proc/{pid}"), "the server ends")


main([sessions_windows_and_panes, keys_and_echo, much_output, jobs, waiting_clients, large_buffers, signals])
