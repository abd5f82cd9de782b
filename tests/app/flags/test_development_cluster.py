"""The command line of Aurora's development cluster (its getting-started guide, "vagrant") starts Thesan.

Flag by flag: what it becomes here, or the warning that says why nothing becomes of it.
"""

from __future__ import annotations

from scheduler.app.flags.command import read

COMMAND_LINE = [
    "-cluster_name=devcluster",
    "-hostname=aurora.local",
    "-http_port=8081",
    "-native_log_quorum_size=1",
    "-zk_endpoints=localhost:2181",
    "-mesos_master_address=zk://localhost:2181/mesos",
    "-serverset_path=/aurora/scheduler",
    "-native_log_zk_group_path=/aurora/replicated-log",
    "-native_log_file_path=/var/db/aurora",
    "-backup_dir=/var/lib/aurora/backups",
    "-thermos_executor_path=/home/vagrant/aurora/dist/thermos_executor.pex",
    "-thermos_executor_flags=--announcer-ensemble localhost:2181",
    "-allowed_container_types=MESOS,DOCKER",
    "-http_authentication_mechanism=BASIC",
    "-shiro_ini_path=/home/vagrant/aurora/etc/shiro.example.ini",
    "-mesos_role=aurora-role",
    "-populate_discovery_info=true",
    "-receive_revocable_resources=true",
    "-enable_revocable_cpus=true",
    "-enable_revocable_ram=true",
    "-partition_aware=true",
    "-allow_gpu_resource=true",
    "-allow_container_volumes=true",
    "-offer_filter_duration=0secs",
    "-mesos_driver=V1_DRIVER",
    "-unavailability_threshold=1mins",
    "-min_required_instances_for_sla_check=2",
    "-min_offer_hold_time=1mins",
]


def test_it_starts_thesan() -> None:
    settings, _ = read(COMMAND_LINE)

    assert (settings.cluster_name, settings.hostname, settings.http_port) == ("devcluster", "aurora.local", 8081)


def test_every_mesos_flag_gets_a_warning() -> None:
    _, warnings = read(COMMAND_LINE)

    warned = {warning.partition(" ")[0] for warning in warnings}
    assert {"--mesos-master-address", "--mesos-driver", "--native-log-quorum-size", "--thermos-executor-path"} <= warned
    assert all(": " in warning for warning in warnings)
