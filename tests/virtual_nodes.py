"""Nodes on one machine: each has a name, processes and a network of its own (Linux namespaces), and the disk in common.

A node can crash, lose its power or its network, and come back, as a machine can. Needs root, ``iproute2`` and
``util-linux``.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

PROGRAMS = ("ip", "unshare", "nsenter", "mount")
INIT = 'mount --bind "$1" /etc/hosts && hostname "$2" && while :; do sleep 1000; done'
"""The first process of a node; it reaps what others leave behind."""


def missing() -> list[str]:
    """What a machine lacks for nodes."""
    return ["root"] * (os.geteuid() != 0) + [name for name in PROGRAMS if shutil.which(name) is None]


class Network:
    """``count`` nodes that are up, ``node0`` to ``node{count - 1}``, on one switch; a context manager."""

    def __init__(self, folder: Path, count: int):
        """``folder`` holds the list of hosts."""
        self.folder, self.switch = folder, f"altiplano-{os.getpid()}"
        self.nodes = [Node(self, number) for number in range(count)]

    def __enter__(self) -> list["Node"]:
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self.nodes

    def _build(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        hosts = [f"{node.address} {node.name}\n" for node in self.nodes]
        (self.folder / "hosts").write_text("127.0.0.1 localhost\n" + "".join(hosts))
        ip("netns", "add", self.switch)
        self.at_switch("link", "add", "bridge", "type", "bridge")
        self.at_switch("link", "set", "bridge", "up")
        for node in self.nodes:
            ip("netns", "add", node.netns)
            self.at_switch("link", "add", node.name, "type", "veth", "peer", "name", "eth0", "netns", node.netns)
            self.at_switch("link", "set", node.name, "master", "bridge", "up")
            ip("-n", node.netns, "address", "add", f"{node.address}/24", "dev", "eth0")
            ip("-n", node.netns, "link", "set", "lo", "up")
            ip("-n", node.netns, "link", "set", "eth0", "up")
            node.boot()

    def __exit__(self, *error: object) -> None:
        for node in self.nodes:
            node.crash()
            with suppress(subprocess.CalledProcessError):
                ip("netns", "delete", node.netns)
        with suppress(subprocess.CalledProcessError):
            ip("netns", "delete", self.switch)

    def at_switch(self, *arguments: str) -> None:
        ip("-n", self.switch, *arguments)


class Node:
    def __init__(self, network: Network, number: int):
        self.network, self.number = network, number
        self.name, self.address = f"node{number}", f"10.77.0.{number + 1}"
        self.netns = f"{network.switch}-{number}"
        self.outside: subprocess.Popen[bytes] | None = None
        self.started: list[Any] = []
        self.init = 0
        """The process id, outside, of the node's first process; 0 while it is down."""

    def boot(self) -> None:
        """Start it, with its network."""
        self.mend()
        hosts = self.network.folder / "hosts"
        command = ["nsenter", f"--net=/run/netns/{self.netns}", "unshare", "--mount", "--uts", "--pid", "--fork"]
        command += ["--kill-child", "--mount-proc", "bash", "-c", INIT, "init", str(hosts), self.name]
        # unshare complains when its child is killed.
        nothing = subprocess.DEVNULL
        self.outside = subprocess.Popen(command, stdin=nothing, stderr=nothing, start_new_session=True)
        end = time.monotonic() + 60
        while not self._is_ready(self.outside.pid):
            if time.monotonic() > end or self.outside.poll() is not None:
                raise RuntimeError(f"{self.name} did not start")
            time.sleep(0.02)

    def _is_ready(self, outside: int) -> bool:
        """Its first process sleeps in a process of its own once the host has its name."""
        with suppress(OSError, IndexError):
            first = int(Path(f"/proc/{outside}/task/{outside}/children").read_text().split()[0])
            if Path(f"/proc/{first}/task/{first}/children").read_text().strip():
                named = run_in(first, ["hostname"], stdout=subprocess.PIPE).communicate()[0]
                if named.decode().strip() == self.name:
                    self.init = first
                    return True
        return False

    def start(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> Any:
        """``command`` in the node, appending what it says to ``log``. Signals are for ``processes``, not for what is
        returned: that only waits for it."""
        with log.open("ab") as file:
            process = run_in(self.init, command, stdout=file, stderr=file, env=environment, start_new_session=True)
        self.started.append(process)
        return process

    def output(self, *command: str, environment: Mapping[str, str] | None = None) -> str:
        process = run_in(self.init, command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        return str(process.communicate()[0].decode())

    def processes(self, *words: str) -> list[int]:
        """Process ids, outside, of what runs in the node with all ``words`` in its command line, oldest first."""
        found, here = [], _namespace(self.init) if self.init else None
        for folder in Path("/proc").glob("[0-9]*"):
            pid = int(folder.name)
            with suppress(OSError):
                line = (folder / "cmdline").read_bytes().split(b"\0")
                if here and _namespace(pid) == here and all(word.encode() in line for word in words):
                    found.append((_started(pid), pid))
        return [pid for _, pid in sorted(found)]

    def crash(self) -> None:
        """All of its processes end at once; the kernel still closes their connections."""
        self.wake()
        if self.outside is not None:
            with suppress(ProcessLookupError):
                os.kill(self.init or self.outside.pid, signal.SIGKILL)
            self.outside.wait()
        self.outside, self.init = None, 0

    def wake(self) -> None:
        """nsenter stops itself when what it waits for is stopped, and does not hear that this goes on."""
        for process in self.started:
            process.send_signal(signal.SIGCONT)

    def lose_power(self) -> None:
        """Nobody hears anything from it any more."""
        self.cut()
        self.crash()

    def cut(self) -> None:
        """Nothing passes between it and the switch: no packet, and no word that none passes."""
        self.network.at_switch("link", "set", self.name, "down")

    def mend(self) -> None:
        self.network.at_switch("link", "set", self.name, "up")


def run_in(init: int, command: Sequence[str], **how: IO[bytes] | int | bool | Mapping[str, str] | None) -> Any:
    inside = ["nsenter", f"--target={init}", "--mount", "--uts", "--net", "--pid", "--"]
    return subprocess.Popen([*inside, *command], stdin=subprocess.DEVNULL, **how)  # type: ignore[call-overload]


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _namespace(pid: int) -> str:
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


def _started(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
