"""Job files: what they stand for, and what is said about a wrong one."""

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.client.admin.hosts import _wanted
from scheduler.client.errors import Usage
from scheduler.client.job_file import UPDATE_ID_METADATA, JobFile, load_job_file
from scheduler.client.plain import plain
from tests.packaging.tree import ROOT

SMALL = "job: www-data/devel/hello\ncommand: sleep 100\n"


def load(tmp_path: Path, text: str) -> JobFile:
    path = tmp_path / "job.yaml"
    path.write_text(text, encoding="utf-8")
    return load_job_file(path)


def executor(job: JobFile) -> Any:
    return json.loads(job.task_config.executorConfig.data)


def amounts(job: JobFile) -> list[dict[str, Any]]:
    return [plain(resource) for resource in job.task_config.resources]


def test_the_smallest_file_is_a_service_with_small_needs(tmp_path: Path) -> None:
    job = load(tmp_path, SMALL)
    assert (job.job.path, job.instances, job.task_config.isService) == ("www-data/devel/hello", 1, True)
    assert amounts(job) == [{"numCpus": 0.1}, {"ramMb": 64}, {"diskMb": 64}]
    assert job.task_config.executorConfig.name == "AuroraExecutor"
    assert executor(job) == {
        "lifecycle": {},
        "task": {"name": "hello", "processes": [{"name": "command", "cmdline": "sleep 100"}]},
    }
    assert plain(job.settings) == {
        "updateGroupSize": 1,
        "maxPerInstanceFailures": 0,
        "maxFailedInstances": 0,
        "minWaitInInstanceRunningMs": 45_000,
        "rollbackOnFailure": True,
        "waitForBatchCompletion": False,
        "updateStrategy": {"queueStrategy": {"groupSize": 1}},
    }


def test_everything_a_file_can_say(tmp_path: Path) -> None:
    job = load(
        tmp_path,
        """
job: devcluster/www-data/prod/shop
instances: 16
service: false
processes:
  - {name: fetch, command: "fetch it", max_failures: 3, min_duration: 2s}
  - {name: serve, command: "serve {{thermos.ports[http]}} {{here}}/it", daemon: true}
  - {name: log, command: ship, ephemeral: true}
order: [fetch, serve]
env: {NAME: it's me, LEVEL: 5}
ports: [admin, health]
stop_wait: 10s
health: {path: /ok, response: fine, code: 200, grace: 5s, interval: 2s, timeout: 500ms,
  max_failures: 4, min_successes: 2}
shutdown: {port: admin, graceful_path: /bye, graceful_wait: 1s, path: /now, wait: 2s}
resources: {cpus: 1.5, ram: 2GB, disk: 10GB, gpus: 2}
tier: preferred
priority: 7
max_task_failures: -1
constraints: {rack: [a, b], host: "limit:2", dedicated: "!x"}
contact: someone@localhost
links: {docs: "http://localhost/"}
metadata: {team: shop}
update:
  batch_sizes: [1, 2, 8]
  pause_after_batch: true
  watch: 0
  max_failures_per_instance: 2
  max_failed_instances: 3
  rollback: false
  pulse_timeout: 1m
""",
    )
    assert (job.job.cluster, job.job.path, job.instances) == ("devcluster", "www-data/prod/shop", 16)
    task = executor(job)["task"]
    setup = "export NAME='it'\"'\"'s me' LEVEL=5\n"
    assert [process["cmdline"] for process in task["processes"]] == [
        f"{setup}fetch it",
        f"{setup}serve {{{{thermos.ports[http]}}}} {tmp_path.resolve()}/it",
        f"{setup}ship",
    ]
    assert task["processes"][0] | {"cmdline": ""} == {
        "name": "fetch", "cmdline": "", "max_failures": 3, "min_duration": 2.0}  # fmt: skip
    assert (task["processes"][1]["daemon"], task["processes"][2]["ephemeral"]) == (True, True)
    assert (task["constraints"], task["finalization_wait"]) == ([{"order": ["fetch", "serve"]}], 10.0)
    assert executor(job)["lifecycle"]["http"]["graceful_shutdown_endpoint"] == "/bye"
    assert executor(job)["health_check_config"] == {
        "health_checker": {"http": {"endpoint": "/ok", "expected_response": "fine", "expected_response_code": 200}},
        "initial_interval_secs": 5.0,
        "interval_secs": 2.0,
        "timeout_secs": 0.5,
        "max_consecutive_failures": 4,
        "min_consecutive_successes": 2,
    }
    ports = [one["namedPort"] for one in amounts(job) if "namedPort" in one]
    assert ports == ["admin", "health", "http"]
    assert amounts(job)[:4] == [{"numCpus": 1.5}, {"ramMb": 2048}, {"diskMb": 10_240}, {"numGpus": 2}]
    config = plain(job.task_config)
    assert {k: config[k] for k in ("tier", "priority", "maxTaskFailures", "contactEmail", "isService")} == {
        "tier": "preferred", "priority": 7, "maxTaskFailures": -1, "contactEmail": "someone@localhost",
        "isService": False}  # fmt: skip
    assert config["constraints"] == [
        {"constraint": {"limit": {"limit": 2}}, "name": "host"},
        {"constraint": {"value": {"negated": False, "values": ["a", "b"]}}, "name": "rack"},
        {"constraint": {"value": {"negated": True, "values": ["x"]}}, "name": "dedicated"},
    ]
    assert config["taskLinks"] == {"docs": "http://localhost/"}
    assert config["metadata"] == [{"key": "team", "value": "shop"}]
    settings = plain(job.settings)
    assert settings["updateStrategy"] == {"varBatchStrategy": {"groupSizes": [1, 2, 8], "autopauseAfterBatch": True}}
    assert (settings["blockIfNoPulsesAfterMs"], settings["minWaitInInstanceRunningMs"]) == (60_000, 0)
    assert (settings["maxPerInstanceFailures"], settings["maxFailedInstances"]) == (2, 3)
    assert settings["rollbackOnFailure"] is False


WRONG = {
    "an unknown key": ("instanses: 3", "3: instanses: is not known here.", "Did you mean instances?"),
    "an unknown key inside": ("resources:\n  cpu: 1", "4: resources.cpu: is not known", "Allowed: cpus, ram, disk"),
    "a number without a unit": ("resources: {ram: 128}", "3: resources.ram: must be a size with its unit", "'128'"),
    "a time without a unit": ("update:\n  watch: 45", "4: update.watch: must be a time with its unit", "such as"),
    "a text for a number": ("instances: three", "3: instances: must be a whole number", "'three'"),
    "no instances": ("instances: 0", "3: instances: must be at least 1", "not 0"),
    "YAML 1.1's no": ("service: no", "3: service: must be true or false", "'no'"),
    "a list for a mapping": ("update: [1]", "3: update: must be a mapping", "not a list"),
    "a text for a mapping": ("env: A=1", "3: env: must be a mapping", "'A=1'"),
    "a mapping for a text": ("tier: {a: b}", "3: tier: must be a text", "a mapping"),
    "twice": ("instances: 1\ninstances: 2", "4: instances: stands here twice", "line 3"),
    "both forms": ("processes: []", "a job has either a command or processes", ""),
    "health without its port": ("health: {}", "3: health: needs a port named health", "{{thermos.ports[health]}}"),
    "shutdown without its port": ("shutdown: {port: admin}", "no port named 'admin'", "it has none"),
    "a variable's name": ("env: {A-B: 1}", "3: env.A-B: is no name for an environment variable", ""),
    "a strategy nobody knows": ("update: {strategy: canary}", "must be one of queue, batch, variable", "'canary'"),
    "sizes for a queue": ("update: {strategy: queue, batch_sizes: [1]}", "variable, and it alone", ""),
    "pause in a queue": ("update: {pause_after_batch: true}", "a queue has no batches", ""),
    "a batch of none": ("update: {batch_sizes: [1, 0]}", "3: update.batch_sizes[1]: must be at least 1", ""),
    "a broken limit": ("constraints: {host: 'limit:x'}", "3: constraints.host: must be limit:NUMBER", ""),
    "not a number": ("resources: {cpus: .nan}", "resources.cpus: must be a number", ".nan"),
    "infinite": ("resources: {cpus: .inf}", "resources.cpus: must be a number", ".inf"),
    "a process that is none": ("order: [a]", "'a' is no process of this job", "it has command"),
    "an infinite wait": ("update: {pulse_timeout: 9999d}", "update.pulse_timeout: must be at most", ""),
    "broken YAML": ("update: {a: [", "is no YAML", ""),
    "a tab": ("\tx: 1", "is no YAML", ""),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, mistake: str) -> None:
    text, begins, has = WRONG[mistake]
    with pytest.raises(Usage) as refused:
        load(tmp_path, SMALL + text + "\n")
    said = refused.value.format_message()
    assert said.startswith(f"{tmp_path}/job.yaml:")
    assert begins in said and has in said
    assert refused.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("- a\n", "must be a mapping of keys to values, not a list"),
        ("command: x\n", "job: is missing"),
        ("job: hello\ncommand: x\n", ":1: job: must be role/environment/name"),
        ("job: a/b/c d\ncommand: x\n", "'c d' in 'a/b/c d' must consist of"),
        ("job: a/b/c\n", "a job has either a command or processes"),
        ("job: a/b/c\ncommand: ''\n", ":2: command: must not be empty"),
        ("job: a/b/c\nprocesses: []\n", "must have at least one process"),
        ("job: a/b/c\nprocesses: [{name: x}]\n", "processes[0].command: is missing"),
    ],
)
def test_what_is_no_job_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(Usage) as refused:
        load(tmp_path, text)
    assert expected in refused.value.format_message()


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path, expected in ((tmp_path / "none.yaml", "no such file"), (tmp_path, "is a directory")):
        with pytest.raises(Usage, match=expected):
            load_job_file(path)
    (tmp_path / "latin.yaml").write_bytes(b"job: \xe4\n")
    with pytest.raises(Usage, match="not UTF-8"):
        load_job_file(tmp_path / "latin.yaml")


def test_the_same_file_gives_the_same_configuration(tmp_path: Path) -> None:
    """Else an update would replace instances that are as they should be."""
    one, other = load(tmp_path, SMALL), load(tmp_path, "command: sleep 100\njob: www-data/devel/hello\n")
    assert one.task_config == other.task_config


def test_an_update_request_is_marked_and_leaves_the_file_alone(tmp_path: Path) -> None:
    job = load(tmp_path, SMALL)
    request = job.update_request("my-mark", (0, 1, 5))
    assert plain(request)["metadata"] == [{"key": UPDATE_ID_METADATA, "value": "my-mark"}]
    assert [(one.first, one.last) for one in request.settings.updateOnlyTheseInstances] == [(0, 1), (5, 5)]
    assert job.settings.updateOnlyTheseInstances is None


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_our_examples_are_job_files(path: Path) -> None:
    assert load_job_file(path).instances > 0


def test_a_folder_with_a_space_is_quoted_for_the_shell(tmp_path: Path) -> None:
    folder = tmp_path / "my jobs"
    folder.mkdir()
    job = load(folder, "job: a/devel/c\ncommand: ls {{here}}\n")
    assert executor(job)["task"]["processes"][0]["cmdline"] == f"ls '{folder.resolve()}'"


@pytest.mark.parametrize(("said", "sent"), [
    ("sla: {percentage: 95, duration: 30m}", {"percentageSlaPolicy": {"percentage": 95.0, "durationSecs": 1800}}),
    ("sla: {count: 18}", {"countSlaPolicy": {"count": 18, "durationSecs": 0}}),
    ("sla: {coordinator: 'http://c.example/'}",
     {"coordinatorSlaPolicy": {"coordinatorUrl": "http://c.example/", "statusKey": "drain"}}),
    ("sla: {coordinator: 'http://c.example/', status_key: may-go}",
     {"coordinatorSlaPolicy": {"coordinatorUrl": "http://c.example/", "statusKey": "may-go"}}),
])  # fmt: skip
def test_what_must_stay_up(tmp_path: Path, said: str, sent: dict[str, Any]) -> None:
    assert plain(load(tmp_path, f"{SMALL}{said}\n").task_config.slaPolicy) == sent


@pytest.mark.parametrize(("said", "sent"), [
    ("partition: {}", {"reschedule": True, "delaySecs": 0}),
    ("partition: {delay: 10m}", {"reschedule": True, "delaySecs": 600}),
    ("partition: {reschedule: false}", {"reschedule": False, "delaySecs": 0}),
])  # fmt: skip
def test_patience_with_silent_hosts(tmp_path: Path, said: str, sent: dict[str, Any]) -> None:
    assert plain(load(tmp_path, f"{SMALL}{said}\n").task_config.partitionPolicy) == sent


@pytest.mark.parametrize(("said", "sentence"), [
    ("sla: {}", "exactly one of percentage, count, coordinator must be given"),
    ("sla: {count: 2, percentage: 5}", "exactly one of percentage, count, coordinator must be given"),
    ("sla: {count: 2, status_key: drain}", "goes with coordinator, not with count"),
    ("sla: {coordinator: 'http://c.example/', duration: 1m}", "goes with percentage or count, not with coordinator"),
    ("sla: {count: many}", "sla.count"),
    ("partition: {wait: 1m}", "partition.wait"),
])  # fmt: skip
def test_policies_that_are_none(tmp_path: Path, said: str, sentence: str) -> None:
    with pytest.raises(Usage) as wrong:
        load(tmp_path, f"{SMALL}{said}\n")
    assert "job.yaml:3: " in str(wrong.value)
    assert sentence in str(wrong.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("instances: 0b1", "2: instances: must be a whole number, not '0b1'"),
        ("instances: !!int x", "2: instances: must be a whole number, not 'x'"),
        (f"instances: {'9' * 400}", f"2: instances: must be at most 2147483647, not {'9' * 60}..."),
        (f"resources: {{cpus: {'9' * 400}}}", "2: resources.cpus: must be a number, not '999"),
        ("resources: {cpus: 1e999}", "2: resources.cpus: must be a number, not '1e999'"),
        ("resources: {cpus: !!float x}", "2: resources.cpus: must be a number, not 'x'"),
        ("service: !!bool x", "2: service: must be true or false, not 'x'"),
        (f"stop_wait: {'9' * 400}s", "2: stop_wait: must be a time with its unit"),
        ("env: " + "[" * 3000, "is nested too deeply"),
    ],
)
def test_what_yaml_lets_through(tmp_path: Path, line: str, says: str) -> None:
    with pytest.raises(Usage) as wrong:
        load(tmp_path, f"job: www-data/devel/hello\n{line}\ncommand: sleep 100\n")
    assert says in wrong.value.format_message()


@pytest.mark.timeout(20)
def test_a_file_without_an_end_is_not_read_to_it() -> None:
    with pytest.raises(Usage, match="/dev/zero: is larger than the 1000000 bytes"):
        load_job_file(Path("/dev/zero"))
    with pytest.raises(Usage, match="--filename: /dev/zero cannot be read: is larger than the 1000000 bytes"):
        _wanted(None, Path("/dev/zero"))
