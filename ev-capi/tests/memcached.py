#!/usr/bin/env python3
"""Debian's memcached on the library: four threads, 200 connections, expiry, the limit of connections, its end, and its
throughput beside that with the system's libevent."""

import contextlib
import os
import random
import selectors
import socket
import statistics
import threading
import time

from clients import (SHARED, check, check_library, environment, free_port, accepts, main, program, running, terminate,
                     until)

MEMCACHED = program("memcached")
USER = ["-u", "nobody"] if os.geteuid() == 0 else []


@contextlib.contextmanager
def server(library, *options):
    """A memcached of four threads, and its port."""
    port = free_port()
    command = [MEMCACHED, *USER, "-l", "127.0.0.1", "-p", str(port), "-U", "0", "-t", "4", *options]
    with running(command, env=environment(library)) as process:
        until(lambda: accepts(port), "memcached listens")
        if library:
            check_library(process.pid, os.path.join(library, SHARED))
        yield process, port


class Client:
    """One connection, with answers checked."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def close(self):
        self.file.close()
        self.socket.close()

    def ask(self, request):
        self.socket.sendall(request)
        return self.line()

    def line(self):
        return self.file.readline().rstrip(b"\r\n")

    def set(self, key, value, expiry=0):
        answer = self.ask(b"set %s 7 %d %d\r\n%s\r\n" % (key, expiry, len(value), value))
        check(answer == b"STORED", f"set {key}: {answer}")

    def get(self, key):
        answer = self.ask(b"get %s\r\n" % key)
        if answer == b"END":
            return None
        word, found, flags, length = answer.split()
        check((word, found, flags) == (b"VALUE", key, b"7"), f"get {key}: {answer}")
        value = self.file.read(int(length))
        check(self.line() == b"" and self.line() == b"END", f"get {key}: no end")
        return value

    def delete(self, key):
        return self.ask(b"delete %s\r\n" % key)

    def statistics(self):
        self.socket.sendall(b"stats\r\n")
        found = {}
        while (line := self.line()) != b"END":
            _, name, value = line.split(b" ", 2)
            found[name.decode()] = value.decode()
        return found


def mixed_work(client, seed, rounds):
    """Sets, gets and deletes keys of its own, whose values it knows."""
    choose = random.Random(seed)
    known = {}
    for _ in range(rounds):
        key = b"key-%d-%d" % (seed, choose.randrange(20))
        action = choose.random()
        if action < 0.4:
            known[key] = choose.randbytes(choose.choice([1, 10, 100, 5000, 60000]))
            client.set(key, known[key])
        elif action < 0.9:
            check(client.get(key) == known.get(key), f"get {key}: another value")
        else:
            wanted = b"DELETED" if known.pop(key, None) is not None else b"NOT_FOUND"
            check(client.delete(key) == wanted, f"delete {key}")


def in_threads(jobs):
    """Runs functions at the same time; the first failure of any is the failure of all."""
    failures = []

    def guarded(job):
        try:
            job()
        except Exception as error:  # Whatever it is, it is told by the main thread.
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def two_hundred_connections(library):
    with server(library, "-m", "256") as (process, port):
        clients = [Client(port) for _ in range(200)]
        # Each thread drives ten connections in turn, so that all 200 are used at the same time.
        def drive(first):
            for turn in range(5):
                for seed in range(first, first + 10):
                    mixed_work(clients[seed], 1000 * turn + seed, 30)
        in_threads([lambda first=first: drive(first) for first in range(0, 200, 10)])
        found = clients[0].statistics()
        check(found["threads"] == "4", f"threads: {found['threads']}")
        check(int(found["curr_connections"]) >= 200, f"connections: {found['curr_connections']}")
        for client in clients:
            client.close()
        check(process.poll() is None, "memcached has ended")
        terminate(process)


def values_expire(library):
    with server(library) as (process, port):
        client = Client(port)
        client.set(b"short", b"value", expiry=2)
        client.set(b"long", b"value", expiry=1000)
        check(client.get(b"short") == b"value", "gone at once")
        until(lambda: client.get(b"short") is None, "the value expires")
        check(client.get(b"long") == b"value", "the other is gone too")
        client.close()
        terminate(process)


def a_limit_of_connections(library):
    """At the limit new connections wait or are refused; when others go, they are served."""
    with server(library, "-c", "100") as (process, port):
        clients = []
        refused = 0
        for _ in range(150):
            with contextlib.suppress(OSError):
                clients.append(Client(port))
        served = []
        for client in clients:
            client.socket.settimeout(1)
            try:
                served += [client] if client.ask(b"version\r\n").startswith(b"VERSION") else []
            except OSError:
                refused += 1
        check(0 < len(served) < 150, f"{len(served)} of 150 are served")
        for client in clients:
            client.close()

        def is_served():
            with contextlib.suppress(OSError):
                client = Client(port)
                client.socket.settimeout(2)
                answer = client.ask(b"version\r\n")
                client.close()
                return answer.startswith(b"VERSION")
            return False

        until(is_served, "memcached serves again")
        terminate(process)


def ends_with_connections_open(library):
    with server(library) as (process, port):
        clients = [Client(port) for _ in range(50)]
        for seed, client in enumerate(clients):
            mixed_work(client, seed, 5)
        terminate(process)
        check(clients[0].line() == b"", "the connection is not closed")
        for client in clients:
            client.close()


def requests_in(port, seconds, connections=50):
    """How many gets 50 connections do, each with one outstanding request, in a time."""
    request, answer = b"get key\r\n", b"VALUE key 7 100\r\n" + b"x" * 100 + b"\r\nEND\r\n"
    selector = selectors.DefaultSelector()
    first = Client(port)
    first.set(b"key", b"x" * 100)
    first.close()
    sockets = []
    for _ in range(connections):
        connection = socket.create_connection(("127.0.0.1", port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        sockets.append(connection)
    for connection in sockets:
        connection.sendall(request * 16)
    count = 0
    pending = {connection: b"" for connection in sockets}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in selector.select(1):
            connection = key.fileobj
            data = pending[connection] + connection.recv(65536)
            if len(data) >= 16 * len(answer):
                check(data == answer * 16, "a wrong answer")
                count += 16
                data = b""
                connection.sendall(request * 16)
            pending[connection] = data
    for connection in sockets:
        connection.close()
    return count


def measured(library):
    """The requests of a second, and the processor time that memcached took for them."""
    with server(library) as (process, port):
        count = requests_in(port, 1.0)
        with open(f"/proc/{process.pid}/stat", encoding="utf-8") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return count, int(fields[11]) + int(fields[12])


def throughput(library):
    """The two in turn, so that both meet the same machine. Told, not judged."""
    rates, costs = [], []
    for _ in range(7):
        (our_count, our_time), (their_count, their_time) = (measured(where) for where in (library, None))
        rates.append(our_count / their_count)
        costs.append((our_time / our_count) / (their_time / their_count))
    for what, ratios in (("requests a second", rates), ("processor time a request", costs)):
        print(f"{what}, this library to the system's: {statistics.median(ratios):.2f} "
              f"({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} pairs of runs)")


main([two_hundred_connections, values_expire, a_limit_of_connections, ends_with_connections_open, throughput])
