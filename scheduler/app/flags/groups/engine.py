"""What runs the tasks."""

from __future__ import annotations

from scheduler.app.flags.kinds import Choice, File, MegaBytes, MilliCpus, Number
from scheduler.app.flags.places import HostPort, PortRange
from scheduler.app.flags.rows import Flag, Group, Unused
from scheduler.settings import ENGINES

NO_MESOS = "there is no Mesos here; --engine says what runs tasks"
NO_THERMOS = "tasks are run by Thesan's own executor"
NO_REVOCABLE = "no engine here has revocable resources"

GROUP = Group(
    "Engine",
    (
        Flag("engine", Choice(*ENGINES), "engine", "What runs tasks.", "real processes on this machine"),
        Flag(
            "port_range",
            PortRange(),
            "port_range",
            "Ports the local engine hands out to tasks, both ends included.",
            "as a Mesos agent's, and below the ports that Linux hands out itself",
        ),
        Flag(
            "engine_dir",
            File(),
            "engine_dir",
            "Where the engine keeps its tasks. The schedulers of one machine share it.",
            "a scheduler alone needs one folder only",
            default="in the data directory",
        ),
        Flag("simulated_hosts", Number(1), "simulated_hosts", "With --engine simulated.", "a small cluster"),
        Flag(
            "simulated_hosts_file",
            File(),
            "simulated_hosts_file",
            "With --engine simulated: a TOML file of hosts, instead of a number of them.",
            "hosts of one size are enough for most",
        ),
        Flag(
            "simulated_address",
            HostPort(),
            "simulated_address",
            "With --engine simulated: where an engine lives that schedulers of several machines share.",
            "the schedulers of one machine start one for themselves",
            default="an engine of this machine's own",
        ),
        Flag("simulated_seed", Number(0), "simulated_seed", "With --engine simulated.", "runs can be repeated"),
        Flag(
            "thermos_executor_cpu",
            MilliCpus(),
            "policy.executor_milli_cpus",
            "What the executor takes on a host beside each task, in cores.",
            "Thesan's executor sleeps nearly always",
            differs="0 by default; Aurora: 0.25",
        ),
        Flag(
            "thermos_executor_ram",
            MegaBytes(),
            "policy.executor_ram_mb",
            "The same of memory.",
            "Thesan's executor takes 3.4 MB",
            differs="0 by default; Aurora: 128 MB",
        ),
        Unused("mesos_master_address", NO_MESOS),
        Unused("mesos_role", NO_MESOS),
        Unused("mesos_driver", NO_MESOS),
        Unused("executor_user", "tasks run as the user of the server"),
        Unused("framework_name", NO_MESOS),
        Unused("framework_failover_timeout", "tasks outlive their scheduler for as long as it takes"),
        Unused("framework_authentication_file", NO_MESOS),
        Unused("framework_announce_principal", NO_MESOS, switch=True),
        Unused("populate_discovery_info", NO_MESOS, switch=True),
        Unused("receive_revocable_resources", NO_REVOCABLE, switch=True),
        Unused("enable_revocable_cpus", NO_REVOCABLE, switch=True),
        Unused("enable_revocable_ram", NO_REVOCABLE, switch=True),
        Unused("custom_executor_config", NO_THERMOS),
        Unused("thermos_executor_path", NO_THERMOS),
        Unused("thermos_executor_flags", NO_THERMOS),
        Unused("thermos_executor_resources", NO_THERMOS),
        Unused("thermos_home_in_sandbox", NO_THERMOS, switch=True),
        Unused(
            "webhook_config",
            "a webhook that is down loses events; clients read /events or watchEvents, in order, from where they stood",
        ),
    ),
)
