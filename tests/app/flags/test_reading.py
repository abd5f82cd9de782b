"""Flags in, settings out: Aurora's ways of writing, environment, file, and what is said of mistakes."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from hypothesis import given, strategies as st

from scheduler.app.flags.aurora import translate
from scheduler.app.flags.command import read
from scheduler.app.flags.environment import strangers
from scheduler.app.flags.groups import GROUPS, ROWS
from scheduler.app.flags.page import page
from scheduler.app.flags.rows import Flag, Unused, by_name, default_of, spelled
from scheduler.core.policy import Policy
from scheduler.settings import Settings, WrongSetting
from tests.packaging.tree import ROOT

SERVED = [row for group in GROUPS for row in group.rows if isinstance(row, Flag)]
UNUSED = [row for group in GROUPS for row in group.rows if isinstance(row, Unused)]


def refusal(*arguments: str) -> str:
    with pytest.raises(click.ClickException) as caught:
        read(arguments)
    return caught.value.format_message()


@pytest.mark.parametrize(
    "arguments",
    [
        ("-http_port=1234",),
        ("--http_port=1234",),
        ("--http-port=1234",),
        ("-http-port=1234",),
        ("--http-port", "1234"),
        ("-http_port", "1234"),
        ("--http-port=1", "-http_port=1234"),
    ],
)
def test_a_flag_may_be_written_as_aurora_does_or_as_unix_does(arguments: tuple[str, ...]) -> None:
    assert read(arguments)[0].http_port == 1234


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (["-autopause_after_last_batch"], True),
        (["-autopause_after_last_batch", "-ip=::1"], True),
        (["-no_autopause_after_last_batch"], False),
        (["--no-autopause-after-last-batch"], False),
        (["-autopause_after_last_batch=false"], False),
        (["-autopause_after_last_batch", "false"], False),
        (["--autopause-after-last-batch", "TRUE"], True),
    ],
)
def test_what_is_true_or_false_needs_no_value(arguments: list[str], value: bool) -> None:
    assert read(arguments)[0].policy.autopause_after_last_batch is value


def test_without_flags_everything_is_as_the_records_say() -> None:
    settings, warnings = read([])

    assert settings == Settings()
    assert warnings == []


def test_what_the_core_decides_by_is_set_too() -> None:
    settings, _ = read(["-flapping_task_threshold=1mins", "-kill_grace_ms=7", "-history_max_per_job_threshold", "0"])

    assert settings.policy == Policy(flapping_task_threshold_ms=60_000, kill_grace_ms=7, history_max_per_job=0)


# --- precedence ---


def test_flag_over_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "thesan.toml"
    file.write_text('http_port = 1\nthrift_port = 1\nip = "::1"\ncluster-name = "file"\n')
    monkeypatch.setenv("THESAN_HTTP_PORT", "2")
    monkeypatch.setenv("THESAN_THRIFT_PORT", "2")
    monkeypatch.setenv("THESAN_CLUSTER_NAME", "environment")

    settings, _ = read(["--config", str(file), "-http_port=3"])

    found = (settings.http_port, settings.thrift_port, settings.cluster_name, settings.ip, settings.engine)
    assert found == (3, 2, "environment", "::1", "local")


def test_the_file_may_be_named_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "thesan.toml"
    file.write_text('flapping_task_threshold = "2mins"\nautopause_after_last_batch = false\nkill_grace_ms = 10\n')
    monkeypatch.setenv("THESAN_CONFIG", str(file))

    policy = read([])[0].policy

    assert (policy.flapping_task_threshold_ms, policy.autopause_after_last_batch, policy.kill_grace_ms) == (
        120_000,
        False,
        10,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("htp_port = 1", "'htp_port' in FILE is no flag of this server; did you mean --http-port"),
        ("http_port = 70000", "'--http-port': 70000 in FILE is not allowed; it must be a whole number from 0 to 65535"),
        ("[http_port]\na = 1", "'http_port' in FILE is a table; it must be a value, as in: http_port = ..."),
        ("http_port = 1\nhttp-port = 2", "'http-port' in FILE says again what 'http_port' says"),
        ("http_port", "--config FILE is no TOML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "thesan.toml"
    file.write_text(text)

    assert said.replace("FILE", str(file)) in refusal(f"--config={file}")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(f"--config={tmp_path / 'no'}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("THESAN_HTTP_PROT", "; did you mean --http-port"),
        ("THESAN_http_port", "; did you mean --http-port"),
        ("THESAN_XYZZY", "; `thesan serve --help` lists them"),
    ],
)
def test_a_mistyped_variable_is_warned_of(monkeypatch: pytest.MonkeyPatch, name: str, said: str) -> None:
    monkeypatch.setenv(name, "3")

    _, (warning,) = read([])

    assert warning.startswith(f"{name} in the environment is no flag of this server{said}")


def test_no_variable_that_the_house_knows_is_warned_of() -> None:
    """Read off the sources: flags, the commands' variables, the tests', and those of tasks."""
    files = [*(ROOT / "scheduler").rglob("*.py"), *(path for path in (ROOT / "scripts").rglob("*") if path.is_file())]
    text = "".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    named = set(re.findall(r"\bTHESAN_[A-Z][A-Z_]*", text))
    assert {"THESAN_SERVER", "THESAN_ZK", "THESAN_FAILPOINT", "THESAN_TASK_ID", "THESAN_HTTP_PORT"} <= named
    assert strangers([*named, "THESAN_PORT_HTTP", "THESAN_CONFIG", "HOME"], ROWS) == []


def test_a_wrong_value_in_the_environment_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THESAN_HTTP_PORT", "x")

    said = refusal()

    assert "'x' in the environment (THESAN_HTTP_PORT) is not allowed; it must be a whole number from" in said


# --- refusals ---


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-http_port=x"], "'--http-port': 'x' is not allowed; it must be a whole number from 0 to 65535"),
        (["-http_port"], "'-http_port' needs a value: --http-port=VALUE"),
        (["-http_port", "-ip=::1"], "'-http_port' needs a value"),
        (["-http_prot=1"], "'-http_prot' is no flag of this server; did you mean --http-port"),
        (["-qqqqqqqqqqqq=1"], "`thesan serve --help` lists them"),
        (["-no_http_port"], "'-no_http_port' is no flag of this server"),
        (["-no_enable_preemptor=true"], "no_enable_preemptor takes no value"),
        (["http_port=1"], "'http_port=1' is no flag"),
        (["-"], "'-' is no flag"),
        (["--"], "'--' is no flag"),
        (["-http_port=9", "-thrift_port=9"], "--http-port and --thrift-port are both 9; they must differ"),
        (["-kerberos_debug=maybe"], "it must be true or false"),
    ],
)
def test_a_mistake_is_refused_and_named(arguments: list[str], said: str) -> None:
    assert said in refusal(*arguments)


@pytest.mark.parametrize("row", [row for row in UNUSED if row.only])
def test_a_flag_that_promises_safety_is_refused_where_it_gives_none(row: Unused) -> None:
    assert f"is not served: {row.why}; it must be {' or '.join(row.only)}" in refusal(
        f"-{row.name}={'true' if row.switch else 'OTHER'}"
    )
    for value in row.only:
        assert read([f"-{row.name}={value.lower()}"])[1]


@given(st.lists(st.text(min_size=1, max_size=12) | st.sampled_from(["-", "--", "-ip", "--http-port=1", "-no_", "="])))
def test_any_command_line_is_translated_or_refused(arguments: list[str]) -> None:
    try:
        out = translate(arguments, ROWS)
    except WrongSetting:
        return
    assert all(word.startswith("--") for word in out)


# --- the table ---

AURORAS = """
allow_container_volumes allow_docker_parameters allow_gpu_resource allowed_container_types allowed_job_environments
async_slot_stat_update_interval async_task_stat_update_interval async_worker_threads backup_dir backup_interval
cluster_name cron_scheduler_num_threads cron_scheduling_max_batch_size cron_start_initial_backoff
cron_start_max_backoff cron_timezone custom_executor_config default_docker_parameters dlog_max_entry_size
dlog_snapshot_interval enable_cors_for enable_mesos_fetcher enable_preemptor enable_revocable_cpus
enable_revocable_ram enable_update_affinity executor_user first_schedule_delay flapping_task_threshold
framework_announce_principal framework_authentication_file framework_failover_timeout framework_name
global_container_mounts history_max_per_job_threshold history_min_retention_threshold history_prune_threshold
hold_offers_forever host_maintenance_polling_interval hostname http_authentication_mechanism http_port
initial_flapping_task_delay initial_schedule_penalty initial_task_kill_retry_interval ip
job_update_history_per_job_threshold job_update_history_pruning_interval job_update_history_pruning_threshold
kerberos_debug kerberos_server_keytab kerberos_server_principal max_flapping_task_delay max_leading_duration
max_parallel_coordinated_maintenance max_registration_delay max_reschedule_task_delay_on_startup max_saved_backups
max_schedule_attempts_per_sec max_schedule_penalty max_sla_duration_secs max_status_update_batch_size
max_task_event_batch_size max_tasks_per_job max_tasks_per_schedule_attempt max_update_instance_failures mesos_driver
mesos_master_address mesos_role min_offer_hold_time min_required_instances_for_sla_check native_log_election_retries
native_log_election_timeout native_log_file_path native_log_quorum_size native_log_read_timeout
native_log_write_timeout native_log_zk_group_path offer_filter_duration offer_hold_jitter_window offer_order
offer_reservation_duration offer_set_module offer_static_ban_cache_max_size partition_aware populate_discovery_info
preemption_delay preemption_reservation_max_batch_size preemption_slot_finder_modules preemption_slot_hold_time
preemption_slot_search_initial_delay preemption_slot_search_interval receive_revocable_resources
reconciliation_explicit_batch_interval reconciliation_explicit_batch_size reconciliation_explicit_interval
reconciliation_implicit_interval reconciliation_initial_delay reconciliation_schedule_spread
require_docker_use_executor scheduling_max_batch_size serverset_endpoint_name serverset_path shiro_after_auth_filter
shiro_credentials_matcher shiro_ini_path shiro_realm_modules sla_aware_action_max_batch_size sla_aware_kill_non_prod
sla_aware_kill_retry_max_delay sla_aware_kill_retry_min_delay sla_coordinator_timeout sla_non_prod_metrics
sla_prod_metrics sla_stat_refresh_interval stat_retention_period stat_sampling_interval task_assigner_modules
thermos_executor_cpu thermos_executor_flags thermos_executor_path thermos_executor_ram thermos_executor_resources
thermos_home_in_sandbox thrift_method_interceptor_modules tier_config transient_task_state_timeout
unavailability_threshold update_affinity_reservation_hold_time viz_job_url_prefix webhook_config zk_chroot_path
zk_connection_timeout zk_digest_credentials zk_endpoints zk_in_proc zk_session_timeout
"""
"""Every flag of Aurora's documentation, "Scheduler configuration reference"."""


def test_every_flag_of_auroras_is_known() -> None:
    assert [name for name in AURORAS.split() if name not in ROWS] == []
    of_aurora = {row.name for row in SERVED if row.differs is not None} | {row.name for row in UNUSED}
    assert of_aurora <= set(AURORAS.split())


@pytest.mark.parametrize("row", UNUSED, ids=lambda row: row.name)
def test_a_flag_without_use_is_accepted_and_the_log_says_why(row: Unused) -> None:
    value = row.only[0] if row.only else "true" if row.switch else "anything"
    assert read([f"-{row.name}={value}"]) == (
        Settings(),
        [f"{spelled(row.name)} is accepted and does nothing: {row.why}"],
    )


@pytest.mark.parametrize("row", SERVED, ids=lambda row: row.name)
def test_a_served_flag_sets_a_field_that_there_is(row: Flag) -> None:
    default_of(row.to)
    assert row.help.endswith((".", "?"))
    assert row.why


def test_no_two_rows_set_one_field() -> None:
    assert len({row.to for row in SERVED}) == len(SERVED)


def test_no_two_rows_have_one_name() -> None:
    row = UNUSED[0]

    with pytest.raises(ValueError, match="two rows of flags are called"):
        by_name([row, row])


def test_help_shows_every_served_flag_and_its_default(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(IndexError):  # the help ends the command before there are settings
        read(["--help"])

    text = " ".join(capsys.readouterr().out.split())
    for row in SERVED:
        assert f"{spelled(row.name)} " in text
        assert f"[default: {row.default_text}; " in text
    for unused in UNUSED:
        assert f"{spelled(unused.name)} " not in text


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs" / "flags.md").read_text(encoding="utf-8") == page(), (
        "run: python -m scheduler.app.flags.page > docs/flags.md"
    )
