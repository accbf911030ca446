#!/usr/bin/env python3
"""Draws wireshark.svg: what Wireshark shows of the copies that the first command of the README writes.

    cargo build --locked && docs/pictures/draw.py

Every text in the picture is the output of tshark for the written capture. Needs tshark. PROGRAM=PATH
names another build of traffic-mirror than target/debug/traffic-mirror.
"""

import os
import subprocess
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = os.environ.get("PROGRAM", str(ROOT / "target/debug/traffic-mirror"))
QUICKSTART = ROOT / "pcaps/quickstart"
PICTURE = Path(__file__).with_name("wireshark.svg")

# Title, tshark's name of the column, left edge in pixels, longest text in characters.
COLUMNS = [
    ("No.", "%m", 14, 4),
    ("Time", "%t", 54, 8),
    ("Source", "%s", 130, 15),
    ("Destination", "%d", 246, 15),
    ("VNI", "%Cus:vxlan.vni", 366, 5),
    ("Protocol", "%p", 412, 8),
    ("Length", "%L", 482, 5),
    ("Info", "%i", 536, 58),
]
# The copies to show: some of each session. The first of them is selected.
ROWS = [1, 2, 4, 6, 61, 68, 69, 77, 123, 129]
WIDTH, LINE, FONT = 980, 19, 12

# Colour of a row by protocol, close to Wireshark's default rules.
ROW_COLOURS = {"TCP": "#e7e6ff", "HTTP": "#e4ffc7", "DNS": "#daeeff", "NTP": "#daeeff", "TLSv1": "#e7e6ff"}


def tshark(capture, *arguments):
    """The lines that tshark prints of a capture."""
    command = ["tshark", "-n", "-r", capture, *arguments]
    result = subprocess.run(command, check=True, capture_output=True, text=True)
    return result.stdout.splitlines()


def packet_list(capture):
    """One list of column texts for each copy of ROWS."""
    columns = ",".join(f'"{title}","{name}"' for title, name, _, _ in COLUMNS)
    wanted = " or ".join(f"frame.number == {row}" for row in ROWS)
    lines = tshark(capture, "-T", "tabs", "-Y", wanted, "-o", f"gui.column.format:{columns}")
    # tshark prints an arrow between the columns of source and destination.
    cells = [[cell.strip() for cell in line.split("\t")] for line in lines]
    return [[cell for cell in row if cell != "→"] for row in cells]


def packet_details(capture):
    """The layers of the first copy of ROWS, and its comment."""
    lines = tshark(capture, "-V", "-Y", f"frame.number == {ROWS[0]}")
    layers = [line for line in lines if line and not line.startswith(" ")]
    comment = next(line.strip() for line in lines if line.strip().startswith("session "))
    vni = next(line.strip() for line in lines if "Identifier (VNI):" in line)
    details = []
    for layer in layers:
        if layer == "Packet comments":
            details.append(("▾ Packet comments", 0))
            details.append((comment, 1))
        elif layer.startswith("Virtual eXtensible"):
            details.append(("▾ " + layer, 0))
            details.append((vni, 1))
        else:
            details.append(("▸ " + layer, 0))
    return details


def shorten(text, longest):
    return text if len(text) <= longest else text[: longest - 1] + "…"


def text(x, y, content, **attributes):
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in attributes.items())
    return f'<text x="{x}" y="{y}"{extra}>{escape(content)}</text>'


def bar(y, height, colour):
    return f'<rect x="1" y="{y}" width="{WIDTH - 2}" height="{height}" fill="{colour}"/>'


def draw(rows, details):
    parts, y = [], 0
    parts += [bar(y + 1, 26, "#dcdcdc"), text(14, y + 18, "out.pcapng", font_weight="bold")]
    y += 27
    parts += [bar(y, 26, "#f4f4f4"), text(14, y + 18, "vxlan", fill="#1a7f37")]
    y += 26
    parts.append(bar(y, LINE + 2, "#ececec"))
    parts += [text(x, y + 14, title, font_weight="bold") for title, _, x, _ in COLUMNS]
    y += LINE + 2
    for number, row in enumerate(rows):
        protocol = row[5]
        parts.append(bar(y, LINE, "#9cc3f0" if number == 0 else ROW_COLOURS.get(protocol, "#fce0ff")))
        for (_, _, x, longest), cell in zip(COLUMNS, row):
            cell = cell[:longest] if x == COLUMNS[1][2] else shorten(cell, longest)
            parts.append(text(x, y + 14, cell))
        y += LINE
    parts.append(bar(y, 5, "#dcdcdc"))
    y += 9
    for line, indent in details:
        parts.append(text(14 + 24 * indent, y + 14, shorten(line, 130)))
        y += LINE
    height = y + 6
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="Menlo, Consolas, monospace" '
        f'font-size="{FONT}" fill="#12272e" xml:space="preserve">'
    )
    title = "<title>Copies of the quickstart capture as Wireshark shows them</title>"
    frame = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff" stroke="#b0b0b0"/>'
    return "\n".join([head, title, frame, *parts, "</svg>", ""])


def main():
    with tempfile.TemporaryDirectory() as folder:
        capture = f"{folder}/out.pcapng"
        inputs = [str(QUICKSTART / "input.pcap"), "--config", str(QUICKSTART / "mirror.toml")]
        command = [PROGRAM, "replay", *inputs, "--write", capture]
        subprocess.run(command, check=True, capture_output=True)
        picture = draw(packet_list(capture), packet_details(capture))
    PICTURE.write_text(picture, encoding="utf-8")
    print(f"{PICTURE}: {len(picture.encode())} bytes")


if __name__ == "__main__":
    main()
