#!/usr/bin/env python3
"""Debian's pgbouncer on the library, in front of a PostgreSQL of its own: pgbench by two kinds of pools, a reload, a
restart of the server behind it, its end."""

import contextlib
import os
import pwd
import re
import signal
import subprocess
import time

from clients import (SHARED, accepts, check, check_library, environment, free_port, main, program, running, scratch,
                     terminate, until)

PLACES = [f"/usr/lib/postgresql/{version}/bin" for version in range(18, 12, -1)]
PGBOUNCER, PGBENCH, PSQL = (program(name, *PLACES) for name in ("pgbouncer", "pgbench", "psql"))
INITDB, POSTGRES = (program(name, *PLACES) for name in ("initdb", "postgres"))
USER = "postgres"


def as_user(command):
    """Neither program runs for the superuser."""
    if os.geteuid() != 0:
        return command
    return [program("setpriv"), f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *command]


def give(path):
    if os.geteuid() == 0:
        user = pwd.getpwnam(USER)
        os.chown(path, user.pw_uid, user.pw_gid)


def quietly(command, limit=120, **options):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=limit, text=True, check=False, **options)
    check(done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}")
    return done.stdout


@contextlib.contextmanager
def database(path, port, log):
    """A PostgreSQL on the data of a directory."""
    command = [POSTGRES, "-D", path, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-c",
               "unix_socket_directories=", "-c", "max_connections=60", "-c", "fsync=off"]
    with running(as_user(command), env=environment(), stdout=log, stderr=log, cwd="/") as process:
        until(lambda: accepts(port), "PostgreSQL listens")
        until(lambda: answers(port), "PostgreSQL answers")
        try:
            yield process
        finally:
            # With SIGKILL its children would be left behind; with this they end with it.
            if process.poll() is None:
                process.send_signal(signal.SIGQUIT)
                process.wait(20)


def connection(port, name="postgres"):
    return ["-h", "127.0.0.1", "-p", str(port), "-U", USER, name]


def answers(port):
    done = subprocess.run([PSQL, "-c", "select 1", *connection(port)], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20, check=False,
                          env=environment())
    return done.returncode == 0


@contextlib.contextmanager
def bouncer(library, path, port, behind, mode, log):
    """A pgbouncer with pools of one kind."""
    configuration = os.path.join(path, f"{mode}-{port}.ini")
    users = os.path.join(path, "users.txt")
    with open(users, "w", encoding="utf-8") as file:
        file.write(f'"{USER}" ""\n')
    with open(configuration, "w", encoding="utf-8") as file:
        file.write(f"[databases]\n* = host=127.0.0.1 port={behind} user={USER}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
                   f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\nauth_file = {users}\n"
                   f"pool_mode = {mode}\nmax_client_conn = 300\ndefault_pool_size = 20\nadmin_users = {USER}\n"
                   "server_login_retry = 0.2\nignore_startup_parameters = extra_float_digits\n")
    with running(as_user([PGBOUNCER, configuration]), env=environment(library), stdout=log, stderr=log,
                 cwd="/") as process:
        until(lambda: accepts(port), "pgbouncer listens")
        if library:
            check_library(process.pid, os.path.join(library, SHARED))
        yield process


def bench(port, clients, transactions, *options):
    """Runs pgbench and returns its transactions a second."""
    output = quietly([PGBENCH, "-n", "-c", str(clients), "-j", "2", "-t", str(transactions), *options,
                      *connection(port)], env=environment())
    check(f"{clients * transactions}/{clients * transactions}" in output, f"transactions are lost:\n{output}")
    return float(re.search(r"tps = ([0-9.]+)", output).group(1))


@contextlib.contextmanager
def everything(library, mode):
    with scratch() as path, open(os.path.join(path, "log"), "w+", encoding="utf-8") as log:
        give(path)
        data, behind, port = os.path.join(path, "data"), free_port(), free_port()
        quietly(as_user([INITDB, "-D", data, "-A", "trust", "-U", USER, "-N"]), env=environment(), cwd="/")
        with database(data, behind, log), bouncer(library, path, port, behind, mode, log) as process:
            quietly([PGBENCH, "-i", "-q", "-s", "1", *connection(behind)], env=environment())
            yield process, port, behind, path, log


def balance(port):
    """The sums that pgbench keeps equal."""
    query = ("select (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from pgbench_branches) and "
             "(select sum(bbalance) from pgbench_branches) = (select sum(tbalance) from pgbench_tellers)")
    return quietly([PSQL, "-At", "-c", query, *connection(port)], env=environment()).strip()


def end(process):
    """On SIGTERM pgbouncer leaves at once, with 1."""
    terminate(process, accepted=(1,))


def pools_of_transactions(library):
    with everything(library, "transaction") as (process, port, *_):
        bench(port, 100, 20)
        bench(port, 50, 5, "-C")
        check(balance(port) == "t", "the sums differ")
        end(process)


def pools_of_sessions(library):
    with everything(library, "session") as (process, port, *_):
        bench(port, 15, 50, "-M", "prepared")
        check(balance(port) == "t", "the sums differ")
        # Signals: a reload, then the end that waits for sessions.
        process.send_signal(signal.SIGHUP)
        bench(port, 10, 10)
        process.send_signal(signal.SIGINT)
        check(process.wait(20) == 0, "pgbouncer does not end well")


def timeouts_and_large_rows(library):
    with everything(library, "transaction") as (process, port, *_):
        output = quietly([PSQL, "-At", "-c", "select md5(string_agg(repeat(i::text, 100), '')) from "
                          "generate_series(1, 20000) i", *connection(port)], env=environment())
        large = quietly([PSQL, "-At", "-c", "select repeat(i::text, 100) from generate_series(1, 20000) i",
                         *connection(port)], env=environment())
        check(len(output.strip()) == 32 and large.count("\n") == 20000, "rows are lost")
        start = time.monotonic()
        quietly([PSQL, "-c", "select pg_sleep(0.3)", *connection(port)], env=environment())
        check(time.monotonic() - start >= 0.3, "the answer came early")
        admin = quietly([PSQL, "-At", "-c", "show pools", *connection(port, "pgbouncer")], env=environment())
        check("postgres" in admin, f"pools: {admin}")
        end(process)


def throughput(library):
    """Told, not judged: the two in turn before the same database."""
    with everything(library, "transaction") as (process, port, behind, path, log):
        other = free_port()
        with bouncer(None, path, other, behind, "transaction", log) as original:
            ratios = sorted(bench(port, 20, 500, "-S") / bench(other, 20, 500, "-S") for _ in range(5))
            print(f"transactions a second, this library to the system's: {ratios[2]:.2f} "
                  f"({ratios[0]:.2f} to {ratios[-1]:.2f} in {len(ratios)} pairs of runs)")
            end(original)
        end(process)


main([pools_of_transactions, pools_of_sessions, timeouts_and_large_rows, throughput])
