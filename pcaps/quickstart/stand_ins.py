"""Stand-ins for what a VPC provides: resolver, instance metadata, time service.

Without arguments it serves until it is ended; `ask-time ADDRESS` asks a time server once.
"""

import http.server
import socket
import struct
import sys
import threading

RESOLVERS = ["10.0.0.2", "198.51.100.53"]
TIME_SERVERS = ["169.254.169.123", "203.0.113.123"]
METADATA = "169.254.169.254"
ZONE = {1: socket.inet_aton("198.51.100.80"),
        28: socket.inet_pton(socket.AF_INET6, "2001:db8:80::80")}


def answer_query(query):
    """A DNS answer that says the same of every name (RFC 1035, section 4.1)."""
    end = query.index(b"\0", 12) + 5  # behind the name, its type and class
    question = query[12:end]
    address = ZONE.get(struct.unpack("!H", question[-4:-2])[0])
    header = query[:2] + struct.pack("!5H", 0x8580, 1, 1 if address else 0, 0, 0)
    if not address:
        return header + question
    record = b"\xc0\x0c" + question[-4:] + struct.pack("!IH", 60, len(address)) + address
    return header + question + record


def answer_time(_query):
    """A time server's reply with all times zero: leap 0, version 4, mode 4, stratum 1."""
    return struct.pack("!BBBb", 0x24, 1, 6, -20) + bytes(44)


def serve_udp(address, port, answer):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((address, port))
        while True:
            query, client = server.recvfrom(2048)
            server.sendto(answer(query), client)


class Metadata(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"i-0123456789abcdef0"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def serve():
    for address in RESOLVERS:
        threading.Thread(target=serve_udp, args=(address, 53, answer_query)).start()
    for address in TIME_SERVERS:
        threading.Thread(target=serve_udp, args=(address, 123, answer_time)).start()
    http.server.ThreadingHTTPServer((METADATA, 80), Metadata).serve_forever()


def ask_time(address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(b"\x23" + bytes(47), (address, 123))
        client.recvfrom(2048)


if sys.argv[1:2] == ["ask-time"]:
    ask_time(sys.argv[2])
else:
    serve()
