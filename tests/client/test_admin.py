"""`thesan admin` against a real scheduler with two pretended hosts; the command itself runs in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from scheduler.client.cli import cli
from scheduler.testing import asking
from scheduler.testing.cluster import Cluster, Scheduler
from tests.client.waiting import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


@pytest.fixture(scope="module")
def server() -> Iterator[Scheduler]:
    with Cluster(engine="simulated", flags=["--simulated-hosts", "2"]) as cluster:
        one = cluster.scheduler()
        one.start()
        yield one


def admin(server: Scheduler, *arguments: str, code: int = 0) -> str:
    """What the command says, on stdout and then on stderr; `code` is what it must exit with."""
    environment = {"THESAN_SERVER": server.url, "THESAN_CLUSTER": None, "THESAN_ZK": None}
    done = CliRunner().invoke(cli, ["admin", *arguments], env=environment)
    assert done.exit_code == code, (arguments, done.output, done.exception)
    return done.stdout + done.stderr


def run_job(server: Scheduler, name: str, instances: int = 2) -> None:
    assert server.ask("createJob", asking.job(name, "sleep 600", instances)).responseCode == 1
    until(lambda: admin(server, "query", "www", name).count(" RUNNING ") == instances, f"{name} runs", wait_s=60)


def test_quota_is_set_and_added_to(server: Scheduler) -> None:
    assert admin(server, "set_quota", "www", "2", "4GB", "1024") == "www: 2 CPUs, 4096 MB RAM, 1024 MB disk\n"
    assert admin(server, "increase_quota", "www", "0.5", "1GB", "0") == "www: 2.5 CPUs, 5120 MB RAM, 1024 MB disk\n"
    found = server.ask("getQuota", "www").result.getQuotaResult.quota
    amounts = {name: value for one in found.resources for name, value in vars(one).items() if value is not None}
    assert amounts == {"numCpus": 2.5, "ramMb": 5120, "diskMb": 1024}


def test_tasks_are_listed_by_role_and_job(server: Scheduler) -> None:
    run_job(server, "listed")
    lines = admin(server, "query", "www", "listed").splitlines()
    assert [line.rpartition(" ")[0] for line in lines] == [f"www/prod/listed/{i} RUNNING" for i in (0, 1)]
    form = "%jobName%:%shardId% on %slaveHost%"
    (line,) = admin(server, "query", "www", "listed", "--shards", "1", "-l", form).splitlines()
    assert line.startswith("listed:1 on host-")
    assert admin(server, "query", "www", "listed", "--states", "PENDING,assigned") == ""
    assert "--force does it" in admin(server, "query", code=2)
    assert "--force does it" in admin(server, "query", "www", "listed", "--states", "FINISHED", code=2)
    assert "www/prod/listed/0 RUNNING" in admin(server, "query", "--force")
    assert "SLEEPING is no state; there are ASSIGNED," in admin(server, "query", "--states", "SLEEPING", code=2)
    assert "%name% is not known; there are %role%" in admin(server, "query", "www", "listed", "-l", "%name%", code=2)


def test_tasks_that_ended_are_pruned(server: Scheduler) -> None:
    run_job(server, "pruned")
    server.ask("killTasks", asking.job_key("pruned"), None, None)
    ended = ("query", "www", "pruned", "--force", "--states", "KILLED")
    until(lambda: admin(server, *ended).count("KILLED") == 2, "both have ended", wait_s=60)
    assert admin(server, "prune_tasks", "--role", "www", "--states", "KILLED") == "tasks were pruned\n"
    assert admin(server, *ended) == ""
    assert "RUNNING" in admin(server, "prune_tasks", "--states", "RUNNING", code=1)


def test_a_backup_is_made_looked_at_edited_and_made_the_state(server: Scheduler) -> None:
    run_job(server, "kept")
    assert admin(server, "scheduler_snapshot") == "snapshot written\n"
    assert admin(server, "scheduler_list_backups") == "There are no backups.\n"
    assert admin(server, "scheduler_backup_now") == "backup written\n"
    name = admin(server, "scheduler_list_backups").strip()
    assert name.startswith("scheduler-backup-")

    assert admin(server, "scheduler_stage_recovery", name) == f"{name} is staged\n"
    first, second = (line for line in admin(server, "scheduler_print_recovery_tasks").splitlines() if "/kept/" in line)
    admin(server, "scheduler_delete_recovery_tasks", first.split()[-1])
    assert second in admin(server, "scheduler_print_recovery_tasks")
    assert first not in admin(server, "scheduler_print_recovery_tasks")
    assert admin(server, "scheduler_unload_recovery") == "unloaded\n"
    assert admin(server, "scheduler_print_recovery_tasks", code=1)
    assert admin(server, "query", "www", "kept").count("RUNNING") == 2, "only what was staged was edited"

    admin(server, "scheduler_stage_recovery", name)
    admin(server, "scheduler_delete_recovery_tasks", first.split()[-1])
    assert "is the state now" in admin(server, "scheduler_commit_recovery")
    until(lambda: second in admin(server, "query", "www", "kept"), "it leads again", wait_s=60)
    assert first not in admin(server, "query", "www", "kept")


def test_a_backup_that_is_not_there_is_refused(server: Scheduler) -> None:
    assert "scheduler-backup-1999-01-01-00-00" in admin(
        server, "scheduler_stage_recovery", "scheduler-backup-1999-01-01-00-00", code=1
    )


def test_hosts_go_out_of_service_and_come_back(server: Scheduler, tmp_path: Path) -> None:
    run_job(server, "moved", 4)
    assert admin(server, "host_status", "--hosts", "host-0,host-1").splitlines() == [
        "host-0 is in state NONE",
        "host-1 is in state NONE",
    ]
    assert admin(server, "host_deactivate", "--hosts", "host-1") == "host-1 is in state SCHEDULED\n"
    assert admin(server, "sla_host_drain", "--hosts", "host-1", "--wait", "--timeout", "60s") == (
        "host-1 is in state DRAINED\n"
    )
    on = admin(server, "query", "--force", "-l", "%slaveHost%").split()
    assert on and set(on) == {"host-0"}
    assert admin(server, "host_activate", "--hosts", "host-1") == "host-1 is in state NONE\n"

    (tmp_path / "hosts").write_text("# the first rack\nhost-0  # the old one\n\n")
    told = admin(server, "host_drain", "--filename", str(tmp_path / "hosts"), "--post_drain_script", "true")
    assert told == "host-0 is in state DRAINED\n"
    assert "false host-0 ended with 1" in admin(
        server, "host_drain", "--hosts", "host-0", "--post_drain_script", "false", code=1
    )
    assert admin(server, "host_activate", "--hosts", "host-0,host-1").count("NONE") == 2


def test_hosts_that_are_not_known_or_not_named(server: Scheduler, tmp_path: Path) -> None:
    assert admin(server, "host_status", "--hosts", "host-0,host-7", code=1).splitlines() == [
        "host-0 is in state NONE",
        "thesan: not known to the scheduler: host-7",
    ]
    assert "either --hosts or --filename" in admin(server, "host_status", code=2)
    assert "cannot be read" in admin(server, "host_status", "--filename", str(tmp_path / "none"), code=2)
    (tmp_path / "empty").write_text("# nobody\n")
    assert "names no host" in admin(server, "host_status", "--filename", str(tmp_path / "empty"), code=2)
    assert "'a,,b' must be words" in admin(server, "host_status", "--hosts", "a,,b", code=2)


def test_a_drain_that_takes_longer_goes_on_without_the_command(server: Scheduler) -> None:
    job = asking.job("slow", "sleep 600", 1)
    job.taskConfig.metadata = [asking.aurora.Metadata(key="simulate", value="stop_ms=60000")]
    server.ask("createJob", job)
    until(lambda: "RUNNING" in admin(server, "query", "www", "slow"), "it runs", wait_s=60)
    host = admin(server, "query", "www", "slow", "-l", "%slaveHost%").strip()
    told = admin(server, "host_drain", "--hosts", host, "--timeout", "100ms", code=4).splitlines()
    assert told == [
        f"{host} is in state DRAINING",
        "thesan: 1 host still to be drained; it goes on without this command",
    ]
    admin(server, "host_activate", "--hosts", host)


def test_who_leads_and_what_the_engine_has(server: Scheduler) -> None:
    assert admin(server, "get_scheduler") == f"Found leading scheduler at: {server.url}\n"
    assert admin(server, "reconcile_tasks", "-b", "10") == "an explicit reconciliation was begun\n"
    assert admin(server, "reconcile_tasks", "--type", "implicit") == "an implicit reconciliation was begun\n"
