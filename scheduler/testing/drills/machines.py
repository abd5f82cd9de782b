"""Machines of the cluster in `vagrant/`, reached by ssh as Vagrant says, one lasting connection to each."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final

from attrs import frozen

__all__ = ["FOLDER", "Machine", "Machines", "NoMachines"]

FOLDER: Final = Path(__file__).parents[3] / "vagrant"
CONNECT_S: Final = 30.0
COMMAND_S: Final = 60.0


class NoMachines(Exception):
    """The cluster is not up, or cannot be reached; the sentence says what to do."""


@frozen
class Machine:
    name: str
    address: str
    _ssh: tuple[str, ...]
    """The words before a host's name."""

    def run(self, script: str) -> str:
        """What it writes; it is bash, as root, and ends at the first command that fails. Raises NoMachines."""
        words = [*self._ssh, self.name, "sudo", "bash", "-seu"]
        done = subprocess.run(words, input=script, capture_output=True, text=True, timeout=COMMAND_S, check=False)
        if done.returncode:
            raise NoMachines(f"{self.name}: exit code {done.returncode}: {done.stderr.strip()}\n{script}")
        return done.stdout


class Machines:
    """All of them. Use as a context; `folder` is for what ssh needs to keep, and goes away with the caller."""

    def __init__(self, folder: Path) -> None:
        addresses: dict[str, str] = json.loads((FOLDER / "machines.json").read_text(encoding="utf-8"))
        self._config = folder / "ssh-config"
        options = ("-o", "LogLevel=ERROR", "-o", f"ControlPath={folder}/%n")
        self._ssh = ("ssh", "-F", str(self._config), *options)
        self.all = [Machine(name, address, self._ssh) for name, address in addresses.items()]
        self._stack = ExitStack()

    def __enter__(self) -> Machines:
        """Raises NoMachines."""
        self._config.write_text(_ssh_config(), encoding="utf-8")
        try:
            for machine in self.all:
                self._connect(machine)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _connect(self, machine: Machine) -> None:
        words = [*self._ssh, "-M", "-N", machine.name]
        nothing = subprocess.DEVNULL
        master = subprocess.Popen(words, stdin=nothing, stdout=nothing, stderr=nothing)
        self._stack.callback(master.wait)
        self._stack.callback(master.terminate)
        give_up_at = time.monotonic() + CONNECT_S
        while subprocess.run([*self._ssh, "-O", "check", machine.name], capture_output=True, check=False).returncode:
            if master.poll() is not None or time.monotonic() > give_up_at:
                raise NoMachines(f"{machine.name} cannot be reached by ssh")
            time.sleep(0.05)


def _ssh_config() -> str:
    """Of all machines. Raises NoMachines."""
    try:
        done = subprocess.run(["vagrant", "ssh-config"], cwd=FOLDER, capture_output=True, text=True, check=False)
    except OSError as wrong:
        raise NoMachines(f"vagrant cannot be run in {FOLDER}: {wrong.strerror}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip()
        raise NoMachines(f"the cluster is not up; vagrant/README.md says how to begin. Vagrant says: {said}")
    return done.stdout
