"""A place in virtual machines: the cluster of `vagrant/`, which must be up. Faults are those of real machines.

For as long as a drill lasts the three schedulers have other settings: a path in ZooKeeper, data folders and an engine
of the drill's own. What they hold otherwise is not touched, and theirs again afterwards.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from kazoo.client import KazooClient

from scheduler.contracts import TaskReport
from scheduler.engines.simulated import Address, SimulatedEngine
from scheduler.testing.drills.local import tasks_in
from scheduler.testing.drills.machines import Machine, Machines, NoMachines
from scheduler.testing.drills.place import Node

__all__ = ["Vagrant", "vagrant"]

HTTP_PORT: Final = 8081
THRIFT_PORT: Final = 8082
ZOOKEEPER_PORT: Final = 2181
ENGINE_PORT: Final = 8084
SESSION_MS: Final = 4_000
START_S: Final = 60.0

_END: Final = f"""
while iptables -D OUTPUT -p tcp --dport {ZOOKEEPER_PORT} -j DROP 2>/dev/null; do :; done
while iptables -D INPUT -p tcp --sport {ZOOKEEPER_PORT} -j DROP 2>/dev/null; do :; done
systemctl kill -s CONT thesan 2>/dev/null || :
systemctl stop thesan
systemctl stop thesan-drill-engine 2>/dev/null || :
rm -rf /run/systemd/system/thesan.service.d/drill.conf /run/thesan-drill.env /var/lib/thesan/drill
systemctl daemon-reload
"""
"""No fault, no scheduler, and nothing of a drill."""

_BEGIN: Final = """
install -d -o thesan -m 700 /var/lib/thesan/drill
install -d /run/systemd/system/thesan.service.d
printf '[Service]\\nEnvironmentFile=/run/thesan-drill.env\\n' > /run/systemd/system/thesan.service.d/drill.conf
cat > /run/thesan-drill.env <<'SETTINGS'
{settings}
SETTINGS
systemctl daemon-reload
systemctl start thesan
"""


class Vagrant:
    """Implements `place.Place`."""

    def __init__(self, folder: Path, machines: list[Machine]) -> None:
        self.folder = folder
        self.nodes = [Node(one.name, one.address, THRIFT_PORT, HTTP_PORT) for one in machines]
        self.session_ms = SESSION_MS
        self.tick_ms = int(_number("tickTime", machines[0].run("cat /etc/zookeeper/zoo.cfg")))
        self._machines = {machine.name: machine for machine in machines}
        self._engine = Address(machines[0].address, ENGINE_PORT)

    def _run(self, node: Node, script: str) -> str:
        return self._machines[node.name].run(script)

    def kill(self, node: Node) -> None:
        """systemd starts it again after two seconds, as it would anywhere."""
        self._run(node, "systemctl kill -s KILL --kill-whom=main thesan")

    def restart(self, node: Node) -> None:
        self._run(node, "systemctl start thesan")

    def freeze(self, node: Node) -> None:
        self._run(node, "systemctl kill -s STOP --kill-whom=main thesan")

    def thaw(self, node: Node) -> None:
        self._run(node, "systemctl kill -s CONT --kill-whom=main thesan")

    def cut_zookeeper(self, node: Node) -> None:
        """Its own server of ZooKeeper too; what that one has to do with others goes on."""
        drops = (f"OUTPUT -p tcp --dport {ZOOKEEPER_PORT}", f"INPUT -p tcp --sport {ZOOKEEPER_PORT}")
        self._run(node, "\n".join(f"iptables -I {drop} -j DROP" for drop in drops))

    def heal_zookeeper(self, node: Node) -> None:
        drops = (f"OUTPUT -p tcp --dport {ZOOKEEPER_PORT}", f"INPUT -p tcp --sport {ZOOKEEPER_PORT}")
        self._run(node, "\n".join(f"iptables -D {drop} -j DROP" for drop in drops))

    def engine_tasks(self, leader: Any) -> dict[str, TaskReport]:
        engine = SimulatedEngine(self._engine, cluster=leader.clusterName)
        return asyncio.run(tasks_in(engine, leader.lineage, leader.epoch))

    def last_words(self) -> str:
        said = (f"--- {one.name} last said:\n{self._run(one, _LAST_WORDS)}" for one in self.nodes)
        return "\n".join(said)

    def begin(self, chroot: str) -> None:
        """Start the engine and the schedulers with the drill's settings, and wait. Raises NoMachines."""
        settings = {
            "THESAN_CLUSTER_NAME": "drill",
            "THESAN_DATA_DIR": "/var/lib/thesan/drill",
            "THESAN_ZK_CHROOT_PATH": chroot,
            "THESAN_ZK_SESSION_TIMEOUT": f"{SESSION_MS}ms",
            "THESAN_SIMULATED_ADDRESS": str(self._engine),
        }
        self.end()
        command = f"/opt/thesan/bin/thesan simulated-engine --listen {self._engine} --hosts 100"
        self._run(self.nodes[0], f"systemd-run -q --collect --unit thesan-drill-engine -p DynamicUser=yes {command}")
        script = _BEGIN.format(settings="\n".join(f"{name}={value}" for name, value in settings.items()))
        for node in self.nodes:
            self._run(node, script)
        give_up_at = time.monotonic() + START_S
        while sorted(map(_leader_health, self.nodes)) != [200, 503, 503]:
            if time.monotonic() > give_up_at:
                raise NoMachines(f"no leader with two that follow within {START_S:g} s\n{self.last_words()}")
            time.sleep(0.2)

    def end(self) -> None:
        for node in self.nodes:
            self._run(node, _END)

    def give_back(self) -> None:
        """The schedulers as they were before."""
        self.end()
        for node in self.nodes:
            self._run(node, "systemctl start thesan")


_LAST_WORDS: Final = "journalctl -q -u thesan -n 15 -o cat --no-pager"


def _number(name: str, config: str) -> str:
    found = re.search(rf"^{name}=(\d+)$", config, re.M)
    if found is None:
        raise NoMachines(f"ZooKeeper's configuration has no {name}")
    return found[1]


def _leader_health(node: Node) -> int:
    """200: leads; 503: follows; 0: does not answer, or not yet so."""
    connection = http.client.HTTPConnection(node.host, node.http_port, timeout=2)
    with suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/leaderhealth")
        return connection.getresponse().status
    connection.close()
    return 0


@contextmanager
def vagrant() -> Iterator[Vagrant]:
    """A new cluster on the machines that are up, with a leader and two that follow. Raises NoMachines."""
    with tempfile.TemporaryDirectory(prefix="thesan-") as folder, Machines(Path(folder)) as machines:
        place = Vagrant(Path(folder), machines.all)
        chroot = f"/drill-{uuid.uuid4().hex[:8]}"
        try:
            place.begin(chroot)
            yield place
        finally:
            place.give_back()
            _forget(f"{place.nodes[0].host}:{ZOOKEEPER_PORT}", chroot)


def _forget(address: str, chroot: str) -> None:
    client = KazooClient(address)
    client.start(timeout=10)
    try:
        client.delete(chroot, recursive=True)
    finally:
        client.stop()
        client.close()
