"""Metrics under Aurora's names: /vars as lines, /vars.json as an object, /metrics for Prometheus."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

Metrics = Callable[[], Mapping[str, int | float | str]]

_NOT_ALLOWED: Final = re.compile(r"[^A-Za-z0-9_/.\-]")


def vars_text(metrics: Metrics) -> Response:
    """One `name value` per line, sorted by name."""
    return PlainTextResponse("".join(f"{name} {value}\n" for name, value in _sorted(metrics).items()))


def vars_json(metrics: Metrics, request: Request) -> Response:
    """An object of names and numbers or strings; `?pretty` indents it."""
    pretty = request.query_params.get("pretty")
    indent = 2 if pretty is not None and pretty.lower() not in ("false", "0") else None
    return Response(json.dumps(_sorted(metrics), indent=indent), media_type="application/json")


def _sorted(metrics: Metrics) -> dict[str, int | float | str]:
    """Characters that Aurora's names may not have become underscores."""
    return {_NOT_ALLOWED.sub("_", name): value for name, value in sorted(metrics().items())}


# --- Prometheus ------------------------------------------------------------------------------------------------------

_COUNTERS: Final = re.compile(
    "|".join(
        (
            r"(jvm_uptime|process_uptime|process_cpu)_secs",
            r"scheduler_thrift_\w+_(events|nanos_total)",
            r"scheduler_thrift_response_\w+",
            r"http_\d+_responses_events",
            r"http_authentications_(failed|refused)",
            r"rpc_(connections_refused|calls_limited|unfinished_messages_refused)",
            r"(task|update|update_instance)_transition_\w+",
            r"timed_out_tasks|tasks_pruned|job_updates_pruned|uncaught_exceptions",
            r"cron_job_\w+",
            r"schedule_attempts_\w+",
            r"preemptor_\w+",
            r"reconciliation_(explicit|implicit)_runs",
            r"sla_coordinator_(attempts|success|errors|user_errors|lock_starvation)",
            r"scheduler_backup_(success|failed)",
            r"events_tail_reads|log_cut_entries",
            r"shiro_\w+",
            r"tls_certificate_reloads_failed|tls_handshakes_failed",
        )
    )
)
"""Whole names of what only grows as long as this process lives, or leads; the rest goes up and down."""

_NOT_A_NAME: Final = re.compile(r"[^A-Za-z0-9_:]")


def prometheus(metrics: Metrics) -> Response:
    """The same figures in Prometheus' text format 0.0.4, under the same names.

    A name that Prometheus does not allow, as of a job, becomes one that it does, with the whole name as the label
    `name`, so that no two become one. A text is a label of a figure that is always 1.
    """
    families: dict[str, list[str]] = {}
    for name, value in _sorted(metrics).items():
        family = _NOT_A_NAME.sub("_", name if name[0].isalpha() or name[0] == "_" else f"_{name}")
        labels = {} if family == name else {"name": name}
        if isinstance(value, str):
            family, labels, value = f"{family}_info", {**labels, "value": value}, 1
        families.setdefault(family, []).append(f"{family}{_labels(labels)} {value}\n")
    parts = [
        f"# TYPE {family} {'counter' if _COUNTERS.fullmatch(family) else 'gauge'}\n{''.join(samples)}"
        for family, samples in sorted(families.items())
    ]
    return Response("".join(parts), media_type="text/plain; version=0.0.4")


def _labels(labels: Mapping[str, str]) -> str:
    def escaped(text: str) -> str:
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{escaped(text)}"' for name, text in labels.items()) + "}" if labels else ""
