#!/usr/bin/env python3
"""A TCP flow of the mirrored host's own: bulk one way, also at a wire's pace, or one byte there and back.

    flow.py serve ADDRESS PORT            answers each connection, until it is ended
    flow.py bulk ADDRESS PORT SECONDS     prints bytes a second, counted by the receiver
    flow.py paced ADDRESS PORT SECONDS    the same at a gigabit a second
    flow.py turns ADDRESS PORT SECONDS    prints the round trips in nanoseconds, sorted
"""
import contextlib
import json
import socket
import sys
import time

CHUNK = 1 << 18
BULK, TURNS = b"b", b"t"
PACE = 125_000_000
SO_MAX_PACING_RATE = 47  # asm-generic/socket.h


def serve(address, port):
    with socket.create_server((address, port)) as server:
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            with connection, contextlib.suppress(ConnectionError):
                answer(connection)


def answer(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if connection.recv(1) == TURNS:
        while byte := connection.recv(1):
            connection.sendall(byte)
        return
    room, received, begin = bytearray(CHUNK), 0, time.monotonic()
    while count := connection.recv_into(room):
        received += count
    connection.sendall(json.dumps(received / (time.monotonic() - begin)).encode())


def bulk(connection, seconds):
    chunk, end = bytes(CHUNK), time.monotonic() + seconds
    while time.monotonic() < end:
        connection.sendall(chunk)
    connection.shutdown(socket.SHUT_WR)
    return json.loads(connection.recv(CHUNK))


def turns(connection, seconds):
    """At most two a millisecond, so that the wire is quiet in between."""
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.perf_counter_ns()
        connection.sendall(b".")
        connection.recv(1)
        found.append(time.perf_counter_ns() - begin)
        time.sleep(0.0005)
    return sorted(found)


def main():
    what, address, port, *seconds = sys.argv[1:]
    if what == "serve":
        return serve(address, int(port))
    with socket.create_connection((address, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if what == "paced":
            connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, PACE)
        connection.sendall(TURNS if what == "turns" else BULK)
        how = turns if what == "turns" else bulk
        print(json.dumps(how(connection, float(seconds[0]))))
    return None


if __name__ == "__main__":
    main()
