#!/usr/bin/env python3
"""A TCP flow of the mirrored host itself: bulk data as fast as possible or paced, or one byte to and fro.

    flow.py serve ADDRESS PORT                  serves connections until it is ended
    flow.py bulk ADDRESS PORT SECONDS           prints bytes per second, counted by the receiver
    flow.py paced ADDRESS PORT SECONDS          the same at 1 Gbit/s
    flow.py round-trips ADDRESS PORT SECONDS    prints the round trip times in nanoseconds, sorted
"""
import contextlib
import json
import socket
import sys
import time

CHUNK_LEN = 1 << 18
BULK, ROUND_TRIPS = b"b", b"t"  # the first byte of a connection
PACE = 125_000_000              # bytes per second
PAUSE_SECONDS = 0.0005          # between round trips, so that no other packet is underway
SO_MAX_PACING_RATE = 47         # asm-generic/socket.h


def serve(address, port):
    with socket.create_server((address, port)) as server:
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            with connection, contextlib.suppress(ConnectionError):
                serve_connection(connection)


def serve_connection(connection):
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if connection.recv(1) == ROUND_TRIPS:
        while byte := connection.recv(1):
            connection.sendall(byte)
        return
    buffer, received, begin = bytearray(CHUNK_LEN), 0, time.monotonic()
    while count := connection.recv_into(buffer):
        received += count
    connection.sendall(json.dumps(received / (time.monotonic() - begin)).encode())


def send_bulk(connection, seconds):
    """Bytes per second, as the receiver counted them."""
    chunk, end = bytes(CHUNK_LEN), time.monotonic() + seconds
    while time.monotonic() < end:
        connection.sendall(chunk)
    connection.shutdown(socket.SHUT_WR)
    return json.loads(connection.recv(CHUNK_LEN))


def measure_round_trips(connection, seconds):
    """The round trip times in nanoseconds, sorted; at most 2,000 per second."""
    times_ns, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.perf_counter_ns()
        connection.sendall(b".")
        if not connection.recv(1):
            raise ConnectionError("the server closed the connection")
        times_ns.append(time.perf_counter_ns() - begin)
        time.sleep(PAUSE_SECONDS)
    return sorted(times_ns)


def main():
    mode, address, port, *seconds = sys.argv[1:]
    if mode == "serve":
        return serve(address, int(port))
    with socket.create_connection((address, int(port))) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if mode == "paced":
            connection.setsockopt(socket.SOL_SOCKET, SO_MAX_PACING_RATE, PACE)
        connection.sendall(ROUND_TRIPS if mode == "round-trips" else BULK)
        measurement = measure_round_trips if mode == "round-trips" else send_bulk
        print(json.dumps(measurement(connection, float(seconds[0]))))
    return None


if __name__ == "__main__":
    main()
