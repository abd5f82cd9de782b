"""The event stream of a real scheduler: the same events, in the same order, from whichever life they are read."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
import requests

from scheduler.testing.asking import job
from scheduler.testing.cluster import Cluster, Scheduler
from tests.failover.story import OK

pytestmark = pytest.mark.slow


def rows(batch: Any) -> list[tuple[Any, ...]]:
    return [(e.cursor, e.index, e.kind, e.taskId, e.taskStatus, e.updateStatus, e.message) for e in batch.events]


def everything(scheduler: Scheduler, cursor: int = 0, limit: int = 3) -> list[tuple[Any, ...]]:
    """Read in small answers until there is no more. Checks that no offset is left out."""
    found: list[tuple[Any, ...]] = []
    with scheduler.client() as client:
        while True:
            batch = client.watchEvents(cursor, limit, 0)
            assert batch.responseCode == OK, batch.details
            assert all(cursor < event.cursor <= batch.nextCursor for event in batch.events)
            if batch.nextCursor == cursor:
                return found
            found += rows(batch)
            cursor = batch.nextCursor


def test_order_density_and_the_same_after_kill_9() -> None:
    with Cluster(engine="simulated") as cluster:
        scheduler = cluster.scheduler()
        scheduler.start()
        assert scheduler.ask("createJob", job("web", "sleep 600", 3)).responseCode == OK
        deadline = time.monotonic() + 20
        cursor, seen = 0, list[tuple[Any, ...]]()
        with scheduler.client(timeout_s=20) as client:
            while sum(row[4] == 2 for row in seen) < 3:  # three times RUNNING
                assert time.monotonic() < deadline, seen
                batch = client.watchEvents(cursor, 100, 5000)
                assert batch.responseCode == OK
                assert batch.nextCursor > cursor or not batch.events
                seen += rows(batch)
                cursor = batch.nextCursor
        assert seen == sorted(seen, key=lambda row: row[:2])
        for offset in {row[0] for row in seen}:
            indexes = [row[1] for row in seen if row[0] == offset]
            assert indexes == list(range(len(indexes)))
        scheduler.kill()
        scheduler.start()
        again = everything(scheduler)
        assert again[: len(seen)] == seen
        assert [row[2] for row in again].count(1) == 2, "each life says that it leads"


def test_a_long_poll_ends_with_what_happens_and_with_the_server() -> None:
    with Cluster(engine="simulated") as cluster:
        scheduler = cluster.scheduler()
        scheduler.start()
        end = scheduler.ask("watchEvents", None, 0, 0).nextCursor
        answers: list[Any] = []

        def wait() -> None:
            with scheduler.client(timeout_s=20) as client:
                answers.append(client.watchEvents(end, 0, 15_000))

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert scheduler.ask("createJob", job("web", "sleep 600", 1)).responseCode == OK
        waiting.join(10)
        assert answers[0].events[0].cursor == end + 1
        begun = time.monotonic()
        quiet = scheduler.ask("watchEvents", 10**9, 0, 15_000)
        assert quiet.responseCode == 0 and "ahead of the log" in quiet.details[0]
        assert time.monotonic() - begun < 5
        waiting = threading.Thread(target=wait_at_end, args=(scheduler, answers))
        waiting.start()
        time.sleep(0.5)
        assert scheduler.stop() == 0
        waiting.join(10)
        assert answers[1].responseCode == 6 and "stopping" in answers[1].details[0]


def wait_at_end(scheduler: Scheduler, answers: list[Any]) -> None:
    with scheduler.client(timeout_s=20) as client:
        while (batch := client.watchEvents(None, 0, 15_000)).events:
            pass
        answers.append(batch)


def listen(scheduler: Scheduler, last_id: str, until: int, found: list[tuple[int, int]]) -> str:
    """Read /events from `last_id` on until so many events came; returns the last id, as a browser would keep it."""
    url = f"http://127.0.0.1:{scheduler.http_port}/events"
    with requests.get(url, headers={"Last-Event-ID": last_id}, stream=True, timeout=10) as answer:
        assert answer.status_code == 200, answer.text
        name, data, new_id = "", "", ""
        for line in answer.iter_lines(decode_unicode=True):
            field, _, value = line.partition(": ")
            if line:
                name, data, new_id = (value, data, new_id) if field == "event" else (name, data, new_id)
                data = value if field == "data" else data
                new_id = value if field == "id" else new_id
                continue
            last_id = new_id or last_id
            if data and not name:
                event = json.loads(data)
                found.append((event["cursor"], event["index"]))
            name, data, new_id = "", "", ""
            if len(found) >= until:
                return last_id
    return last_id


def test_a_listener_goes_on_after_kill_9_where_its_last_id_was() -> None:
    """At least once and nothing left out: what it has from both lives is what a reader of the second finds."""
    with Cluster(engine="simulated") as cluster:
        scheduler = cluster.scheduler()
        scheduler.start()
        assert scheduler.ask("createJob", job("web", "sleep 600", 3)).responseCode == OK
        found: list[tuple[int, int]] = []
        last_id = listen(scheduler, "0", 3, found)
        scheduler.kill()
        scheduler.start()
        assert scheduler.ask("createJob", job("api", "sleep 600", 2)).responseCode == OK
        deadline = time.monotonic() + 20
        while len(whole := [row[:2] for row in everything(scheduler)]) < 12:
            assert time.monotonic() < deadline, whole
        before = len(found)
        missing = [place for place in whole if place > (int(last_id), 10**9)]
        listen(scheduler, last_id, before + len(missing), found)
        assert set(found) >= set(whole), "nothing is left out"
        assert found[before:] == sorted(found[before:]), "in order"
        assert min(found[before:]) > (int(last_id), 0), "it went on, and did not begin again"
