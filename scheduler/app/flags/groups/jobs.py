"""What a job may ask for."""

from __future__ import annotations

from scheduler.app.flags.kinds import File, Number, Regex, Switch
from scheduler.app.flags.rows import Flag, Group, Unused

REFUSED = "jobs that ask for it are refused, with the field's name: no engine here can honour it"

GROUP = Group(
    "Jobs",
    (
        Flag(
            "max_tasks_per_job",
            Number(1),
            "policy.max_tasks_per_job",
            "The most instances of one job.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "allowed_job_environments",
            Regex(),
            "policy.allowed_job_environments",
            "What the environment of a job must match.",
            "as Aurora",
            differs="Python's regular expressions instead of Java's",
        ),
        Flag(
            "tier_config",
            File(),
            "tier_config",
            "A file of tiers, in Aurora's form, instead of preferred, preemptible and revocable.",
            "as Aurora",
            differs="",
        ),
        Flag(
            "allow_gpu_resource",
            Switch(),
            "policy.allow_gpu_resource",
            "Jobs may ask for GPUs. Of the engines here only the simulated one has any.",
            "as Aurora",
            differs="",
        ),
        Unused("allowed_container_types", "containers of type MESOS are served, others refused, with the field's name"),
        Unused("allow_docker_parameters", REFUSED, switch=True),
        Unused("default_docker_parameters", REFUSED),
        Unused("require_docker_use_executor", REFUSED, switch=True),
        Unused("allow_container_volumes", REFUSED, switch=True),
        Unused("enable_mesos_fetcher", REFUSED, switch=True),
        Unused("global_container_mounts", REFUSED),
    ),
)
