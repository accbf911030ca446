"""The laboratory: starts the program and sends requests to it."""

from __future__ import annotations

import base64
import json
import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Union

from . import _clients
from ._binary import find_binary
from ._capture import PlayInput, capture_bytes
from ._copies import Columns, Copies, CopyBatch
from ._errors import LabError
from ._events import EventStream
from ._http import ApiClient, path_of
from ._play import Decision, PlayResult
from ._process import LabProcess

PCAP = "application/vnd.tcpdump.pcap"
LENGTH_PREFIXED = "application/octet-stream"
COLUMNS = "application/vnd.traffic-mirror.columns+json"

Path = Union[str, "os.PathLike[str]"]


class Lab:
    """An EC2 endpoint with traffic mirroring, whose network interfaces exist only in memory.

    It needs no root and no AWS account. It is a context manager; `start` and `close` do the same
    without `with`.
    """

    def __init__(
        self,
        *,
        network_interfaces: Mapping[str, str] | None = None,
        config: Path | Sequence[Path] = (),
        upstream: str | None = None,
        default_target: str | None = None,
        strict_targets: bool = False,
        state: Path | None = None,
        seed: int | None = None,
        region: str = "us-east-1",
        arguments: Sequence[str] = (),
        binary: Path | None = None,
        start_timeout_s: float = 10.0,
        request_timeout_s: float = 60.0,
    ) -> None:
        """Stores the options. The program is started by `start`.

        network_interfaces: the ids of network interfaces, each with its address (`10.0.0.5`) or
            with a capture that it plays (`pcap:trace.pcap`).
        config: configuration files, as `traffic-mirror --config` reads them.
        upstream: the URL of an emulator, such as moto's server, for requests that are not about
            traffic mirroring.
        default_target: the address of targets without another address.
        strict_targets: reject targets whose address is not known.
        state: a file that keeps the resources when the laboratory ends.
        seed: the seed of ids, VirtualNetworkIds and all other random values.
        region: the default region of `client` and `environment`.
        arguments: further arguments of `traffic-mirror lab`.
        binary: the path of the program, see `find_binary`.
        """
        command = ["lab", "--listen", "127.0.0.1:0", "--end-with-stdin"]
        for eni, address in (network_interfaces or {}).items():
            command += ["--network-interface", f"{eni}={address}"]
        for file in [config] if isinstance(config, (str, os.PathLike)) else config:
            command += ["--config", os.fspath(file)]
        values = {
            "--upstream": upstream,
            "--default-target": default_target,
            "--state": None if state is None else os.fspath(state),
            "--seed": None if seed is None else str(seed),
        }
        for option, value in values.items():
            if value is not None:
                command += [option, value]
        if strict_targets:
            command.append("--strict-targets")
        self.region = region
        self._arguments = [*command, *arguments]
        self._binary = binary
        self._start_timeout_s = start_timeout_s
        self._request_timeout_s = request_timeout_s
        self._process: LabProcess | None = None
        # The copies of one play end before those of the next one begin.
        self._play_lock = threading.Lock()

    def start(self) -> Lab:
        """Starts the program and waits until it listens.

        Raises LabStartError if the program is not found, ends, or does not listen in time.
        """
        if self._process is None:
            command = [find_binary(self._binary), *self._arguments]
            self._process = LabProcess(command, self._start_timeout_s)
        return self

    def close(self) -> None:
        """Ends the program."""
        process, self._process = self._process, None
        if process is not None:
            process.end()

    def __enter__(self) -> Lab:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The URL of the endpoint, for example `http://127.0.0.1:34567`."""
        host, port = self._running().address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def pid(self) -> int:
        """The process id of the program."""
        return self._running().pid

    @property
    def log(self) -> str:
        """What the program wrote to standard error so far."""
        return self._running().log()

    def client(self, service: str = "ec2", region: str | None = None, **options: Any) -> Any:
        """Returns a boto3 client whose endpoint is this laboratory.

        `options` are passed to boto3's `Session.client`. Raises ImportError without boto3.
        """
        return _clients.client(self.url, service, region or self.region, options)

    def environment(self, region: str | None = None) -> dict[str, str]:
        """Returns environment variables for the AWS CLI, Terraform and SDKs of other languages."""
        return _clients.environment(self.url, region or self.region)

    def play(
        self,
        eni: str,
        frames: PlayInput | None = None,
        *,
        speed: str | None = None,
        direction: str | None = None,
        explain: bool = False,
    ) -> PlayResult:
        """Plays frames through the sessions of a network interface, and returns the copies.

        frames: the path of a capture, the bytes of a capture, the bytes of one Ethernet frame, or
            an iterable of frames. A frame is bytes, `Frame(content, timestamp_ns)`, or an object
            that `bytes()` converts, such as a packet of scapy. None plays the capture that the
            interface has.
        speed: `max` (the default), `original`, `2x`, `50kpps`, `1Gbps`, as for `replay`.
        direction: `ingress` or `egress` for every frame. Else the MAC and IP addresses of the
            frame decide.
        explain: return the decision about each frame in `decisions`.
        """
        query = {"speed": speed, "direction": direction, "explain": explain or None}
        content = b"" if frames is None else capture_bytes(frames)
        api = self._api()
        if speed not in {None, "max"}:
            api.timeout_s = None  # A play lasts as long as its capture.
        with self._play_lock:
            first = self._next_copies()
            path = path_of("network-interfaces", eni, "frames")
            report = api.post(path, content, PCAP, query)
            targets = [
                session["traffic_mirror_target_id"]
                for session in report["sessions"]
                if session["mirrored"]
            ]
            batches = [self._batch(one, first.get(one, 0)) for one in dict.fromkeys(targets)]
        decisions = [Decision(one) for one in report.pop("explain", None) or []]
        result = PlayResult(report, Copies(batches), decisions)
        if result.error is not None:
            message = f"{eni}: the capture ended early, after {result.received} frames: "
            warnings.warn(message + result.error, stacklevel=2)
        return result

    def copies(self, target: str) -> Copies:
        """Returns all copies that were sent to a target since the last reset."""
        counts = {
            one["traffic_mirror_target_id"]: int(one["next_copy"]) - int(one["copies"])
            for one in self.snapshot()["targets"]
        }
        return Copies([self._batch(target, counts.get(target, 0))])

    def capture(self, target: str, format: str = "pcap") -> bytes:
        """Returns all copies of a target as a file, `pcap` or `pcapng`."""
        types = {"pcap": PCAP, "pcapng": "application/x-pcapng"}
        if format not in types:
            raise ValueError(f"format {format!r}: expected 'pcap' or 'pcapng'")
        return self._api().send("GET", _copies_path(target), accept=types[format])

    def delete_copies(self, target: str) -> None:
        """Deletes the copies of a target."""
        self._api().json("DELETE", _copies_path(target))

    def reset(self) -> None:
        """Removes everything that was created, played and pinned since the start."""
        self._api().json("POST", "reset")

    def seed(self, seed: int) -> None:
        """Sets the seed of ids, VirtualNetworkIds and all other random values."""
        self._api().json("POST", "seed", {"seed": seed})

    def clock(self, now_s: int | None) -> None:
        """Stops the clock at a time in seconds since 1970. None sets it to that of the machine."""
        self._api().json("PUT", "clock", {"now_s": now_s})

    def pin_network_interface(
        self,
        eni: str,
        *,
        private_ip_addresses: Sequence[str] | None = None,
        mac_address: str | None = None,
        capture: Path | None = None,
        device: str | None = None,
    ) -> None:
        """Sets addresses, a capture or a device of a network interface, and creates the interface
        if it does not exist. Clients of EC2 do not see the values as tags."""
        pin = {
            "private_ip_addresses": private_ip_addresses and list(private_ip_addresses),
            "mac_address": mac_address,
            "capture": None if capture is None else os.path.abspath(capture),
            "device": device,
        }
        given = {key: value for key, value in pin.items() if value is not None}
        self._api().json("PUT", path_of("network-interfaces", eni), given)

    def pin_target(self, target: str, *addresses: str) -> None:
        """Sets the addresses of a target, for example `192.0.2.10:4789`. Clients of EC2 do not
        see the values as tags. Without addresses, an earlier call has no effect any more."""
        self._api().json("PUT", path_of("targets", target, "address"), {"addresses": addresses})

    def explain(
        self,
        eni: str,
        direction: str | None = None,
        *,
        flow: str | None = None,
        frame: bytes | None = None,
    ) -> Decision:
        """Returns what the sessions of a network interface decide about a flow or a frame.

        Nothing is mirrored. `flow` is a text such as `tcp 10.0.0.6:40000 > 10.0.0.5:443`.
        """
        if (flow is None) == (frame is None):
            raise ValueError("expected either flow or frame")
        question: dict[str, Any] = {"network_interface_id": eni}
        if direction is not None:
            question["direction"] = direction
        if frame is not None:
            question["frame"] = base64.b64encode(frame).decode()
        else:
            question["flow"] = flow
        return Decision(self._api().json("POST", "explain", question))

    def snapshot(self) -> dict[str, Any]:
        """Returns the resources, the pins and the counters."""
        return dict(self._api().json("GET", "snapshot"))

    def health(self) -> str:
        """Returns `ok`, and a line for each target without an address."""
        return self._api().send("GET", "health", accept="*/*").decode()

    def events(self) -> EventStream:
        """Returns an iterator over snapshots: the present one, and one after each change."""
        return EventStream(self._api().open("GET", "events", accept="text/event-stream"))

    def _batch(self, target: str, first: int) -> CopyBatch:
        """The copies of a target from number `first` on."""
        path, api, query = _copies_path(target), self._api(), {"first": first}

        def fetch_columns() -> Columns:
            columns: Columns = json.loads(api.send("GET", path, accept=COLUMNS, query=query))
            return columns

        buffer = api.send("GET", path, accept=LENGTH_PREFIXED, query=query)
        return CopyBatch(target, first, buffer, fetch_columns)

    def _next_copies(self) -> dict[str, int]:
        """The number of the next copy of each target."""
        targets = self.snapshot()["targets"]
        return {one["traffic_mirror_target_id"]: int(one["next_copy"]) for one in targets}

    def _running(self) -> LabProcess:
        if self._process is None:
            raise LabError("not_started", "the laboratory is not started: use `with Lab() as lab`")
        return self._process

    def _api(self) -> ApiClient:
        process = self._running()
        code = process.exit_code()
        if code is not None:
            raise LabError(
                "not_running", f"the laboratory exited with code {code}:\n{process.log()}".strip()
            )
        return ApiClient(*process.address, self._request_timeout_s)


def _copies_path(target: str) -> str:
    return path_of("targets", target, "copies")
