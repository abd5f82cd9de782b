"""Every figure a real server shows has its line in docs/compatibility.md, and every line of a served one its figure."""

from __future__ import annotations

import re
from pathlib import Path

import requests

from scheduler.testing.cluster import Cluster
from scheduler.web.metrics import prometheus

PAGE = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text(encoding="utf-8")
ELSEWHERE = re.compile(r"sla_<job>_|zk_|log_|standby_|checkpoint_|snapshot_|shiro_|http_auth|tls_")
"""Figures of jobs, of ZooKeeper mode and of security, which this server has not."""

AURORAS = """
framework_registered task_store_LOST jvm_uptime_secs system_load_avg process_cpu_cores_utilized
scheduler_resource_offers scheduler_log_native_append_nanos_total scheduler_log_native_append_events
scheduler_log_bytes_written scheduler_log_entries_written scheduler_log_bytes_read scheduler_log_entries_read
scheduler_log_bad_frames_read scheduler_log_snapshots scheduler_log_un_snapshotted_transactions timed_out_tasks
http_500_responses_events scheduler_lifecycle_ACTIVE scheduler_backup_success scheduler_backup_failed
status_updates_queue_size async_tasks_completed async_executor_uncaught_exceptions timeout_queue_size
uncaught_exceptions outstanding_offers offer_accept_races offer_cancel_failures offers_rescinded
statically_banned_offers_size statically_banned_offers_hit_rate globally_banned_offers_size veto_evaluated_offers
schedule_attempts_fired schedule_attempts_failed schedule_attempts_no_match schedule_attempts_blocks
scheduled_task_penalty_events assigner_launch_failures task_schedule_attempt_events scheduling_veto_static
scheduling_veto_dynamic scheduling_veto_mixed scheduling_veto_insufficient_resources scheduling_veto_maintenance
tasks_LOST_x tasks_FAILED_x tasks_lost_rack_x tasks_lost_dedicated_x task_lost_SOURCE_MASTER task_exit_REASON
task_delivery_delay_SOURCE_MASTER scheduler_illegal_task_state_transitions task_kill_retries task_throttle_events
tasks_pruned job_updates_pruned update_transition_FAILED update_instance_transition_INSTANCE_UPDATED
preemptor_task_processor_runs preemptor_slot_search_attempts_for_prod preemptor_slot_search_attempts_for_non_prod
preemptor_slot_search_successful_for_prod preemptor_slot_search_failed_for_prod preemptor_slot_validation_successful
preemptor_tasks_preempted_prod preemptor_missing_attributes reservation_cache_size preemption_slot_cache_size
resources_total_consumed_cpu_cores resources_free_pool_consumed_ram_mb resources_quota_consumed_disk_mb
resources_dedicated_consumed_disk_mb resources_allocated_quota_cpu_cores resources_per_role_cpu_cores
quota_per_role_ram_mb empty_slots_small scheduler_thrift_createJob_events scheduler_thrift_createJob_nanos_total
scheduler_thrift_createJob_nanos_per_event scheduler_thrift_response_OK scheduler_thrift_workload_getJobs
thrift_workload_createJob storage_write_lock_wait_events mem_storage_attribute_size job_update_store_events
task_store_index_job_items task_queries_by_id scheduler_framework_disconnects scheduler_framework_reregisters
scheduler_lost_executors slaves_lost scheduler_inverse_offers scheduler_status_update reconciliation_explicit_runs
reconciliation_implicit_runs cron_job_triggers cron_job_misfires cron_job_parse_failures cron_job_collisions
cron_job_concurrent_runs cron_job_launch_failures cron_jobs_loaded quartz_scheduler_running
missing_maintenance_request maintenance_countdown_ms_x sla_coordinator_attempts webhooks_attempts
shiro_authorization_failures shiro_bad_requests zk_connection_state_CONNECTED sla_cluster_platform_uptime_percent
sla_x_job_uptime_50_00_sec sla_cluster_mtta_ms job_update_recovery_errors
"""
"""The figures that Aurora's documentation names ("Monitoring your Aurora cluster", "SLA metrics")."""

COUNTERS = """
jvm_uptime_secs process_uptime_secs process_cpu_secs scheduler_thrift_<rpc>_events scheduler_thrift_<rpc>_nanos_total
scheduler_thrift_response_<code> task_transition_<status> timed_out_tasks tasks_pruned job_updates_pruned
update_transition_<status> update_instance_transition_<action> cron_job_triggers cron_job_misfires cron_job_collisions
schedule_attempts_fired schedule_attempts_no_match preemptor_task_processor_runs
preemptor_slot_search_attempts_for_<class> preemptor_slot_search_successful_for_<class>
preemptor_slot_search_failed_for_<class> preemptor_tasks_preempted_<class> reconciliation_explicit_runs
reconciliation_implicit_runs uncaught_exceptions sla_coordinator_attempts sla_coordinator_success
sla_coordinator_errors sla_coordinator_user_errors sla_coordinator_lock_starvation http_<status>_responses_events
scheduler_backup_success scheduler_backup_failed rpc_connections_refused rpc_unfinished_messages_refused
events_tail_reads
"""
"""What only grows. Everything else that a server without ZooKeeper and security shows goes up and down."""

GROWS_BY_ITS_NAME = re.compile(r"_(events|refused|runs|reads|total|attempts|success)\Z")

COUNTERS_ELSEWHERE = """
http_authentications_failed http_authentications_refused rpc_calls_limited shiro_authorization_failures
shiro_bad_requests shiro_ini_reloads_failed tls_certificate_reloads_failed tls_handshakes_failed log_cut_entries
"""
GAUGES_ELSEWHERE = """
tls_certificate_expires_timestamp_secs tls_handshakes_at_hand zk_connection_state_CONNECTED zk_session_timeout_ms
log_head_offset log_replayed_entries_at_start standby_lag_entries standby_staleness_ms checkpoint_offset
checkpoint_age_ms checkpoint_is_behind snapshot_offset snapshot_generation snapshot_failed
sla_coordinator/prod/some_events_mtta_ms sla_a/b/c_platform_uptime_percent
"""
"""With ZooKeeper, with security, with jobs."""


def types_of(exposition: str) -> dict[str, str]:
    return dict(re.findall(r"^# TYPE (\S+) (\w+)$", exposition, re.MULTILINE))


def lines() -> dict[str, str]:
    section = PAGE.partition("\n## Metrics\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| (\S+) \| (same|differs|ours|not served) \|", section, re.MULTILINE))


STATES = {"status", "state", "code", "action"}
"""Parts of names that are in capitals."""


def matches(line: str, name: str) -> bool:
    def part(found: re.Match[str]) -> str:
        return "[A-Z0-9_]+" if found[1] in STATES else r"\w+"

    return re.fullmatch(re.sub(r"<(\w+)>", part, line), name) is not None


def test_no_line_contradicts_another() -> None:
    """None is part of a line of what is served that says something else. One that stands twice: test_compatibility."""
    served = {line: here for line, here in lines().items() if here != "not served"}
    samples = {line: re.sub(r"<(\w+)>", lambda found: found[1].upper(), line) for line in lines()}
    wrong = {
        (line, other)
        for line, name in samples.items()
        for other, here in served.items()
        if matches(other, name) and here != lines()[line]
    }
    assert wrong == set()


def test_every_figure_has_its_line() -> None:
    served = [line for line, here in lines().items() if here != "not served"]
    with Cluster(engine="simulated") as cluster:
        scheduler = cluster.scheduler()
        scheduler.start()
        base = f"http://127.0.0.1:{scheduler.http_port}"
        requests.post(f"{base}/apibeta/getJobs", timeout=10)
        names = set(requests.get(f"{base}/vars.json", timeout=10).json())
        types = types_of(requests.get(f"{base}/metrics", timeout=10).text)

    grow = {name for name, what in types.items() if what == "counter"}
    assert {name for name in types if any(matches(line, name) for line in COUNTERS.split())} == grow
    assert {line for line in COUNTERS.split() if not any(matches(line, name) for name in grow)} == set()
    assert {name for name in set(types) - grow if GROWS_BY_ITS_NAME.search(name)} == set()
    assert {name for name in names if not any(matches(line, name) for line in served)} == set()
    unseen = {line for line in served if not any(matches(line, name) for name in names)}
    assert {line for line in unseen if not ELSEWHERE.match(line)} == set()


def test_what_grows_elsewhere_is_a_counter_too() -> None:
    counters, gauges = COUNTERS_ELSEWHERE.split(), GAUGES_ELSEWHERE.split()
    types = types_of(bytes(prometheus(lambda: dict.fromkeys(counters + gauges, 0)).body).decode())
    assert {name for name, what in types.items() if what == "counter"} == set(counters)
    assert len(types) == len(counters + gauges)


def test_every_figure_of_auroras_has_its_line() -> None:
    assert [name for name in AURORAS.split() if not any(matches(line, name) for line in lines())] == []
