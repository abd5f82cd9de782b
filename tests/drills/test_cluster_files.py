"""What stands in `vagrant/` fits together. The cluster itself is too slow for here: `vagrant/README.md`."""

from __future__ import annotations

import ipaddress
import json
import re
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from scheduler.testing.drills.__main__ import main
from scheduler.testing.drills.machines import FOLDER, Machines, NoMachines

SCRIPTS = ("build-box", "prepare", "provision")


def test_all_machines_are_in_the_network_of_the_host() -> None:
    (host,) = re.findall(r'^HOST = "(\S+)"', (FOLDER / "Vagrantfile").read_text(), re.M)
    network = ipaddress.ip_network(f"{host}/24", strict=False)
    machines = json.loads((FOLDER / "machines.json").read_text())
    assert len(machines) == 3
    assert {ipaddress.ip_address(one) for one in machines.values()} < set(network)
    assert host not in machines.values()
    assert f"{host}/24 dev thesanbr0" in (FOLDER / "prepare").read_text()
    assert all(len(f"veth-{name}") <= 15 for name in machines), "longer than a network interface may be called"


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_scripts_can_be_read_by_bash(name: str) -> None:
    subprocess.run(["bash", "-n", str(FOLDER / name)], check=True)


def test_a_cluster_that_is_not_there_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoMachines, match="vagrant cannot be run"), Machines(tmp_path):
        pass
    handler = signal.getsignal(signal.SIGTERM)
    try:
        done = CliRunner().invoke(main, ["leader-killed", "--on", "vagrant", "--page", str(tmp_path / "page.html")])
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert done.exit_code == 1
    assert "vagrant cannot be run" in done.stderr
