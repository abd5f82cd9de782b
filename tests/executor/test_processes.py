"""Which process runs when, and how a task ends: Thermos' rules, without a single process."""

from __future__ import annotations

from typing import Any

from scheduler.executor.processes import Processes


def made(*specs: dict[str, Any], max_failures: int = 1, max_concurrency: int = 0) -> Processes:
    defaults = {"argv": [], "after": [], "max_failures": 1, "min_duration_secs": 5, "daemon": False, "ephemeral": False}
    return Processes(
        [{**defaults, **spec} for spec in specs], max_failures=max_failures, max_concurrency=max_concurrency
    )


class Play:
    """Runs a table of processes: names are started when ready, and ended as told."""

    def __init__(self, processes: Processes) -> None:
        self.table = processes
        self.now = 0.0
        self.go()

    def go(self, now: float | None = None) -> list[str]:
        self.now = self.now if now is None else now
        started = self.table.ready(self.now)
        for p in started:
            self.table.started(p, 100 + self.table.all.index(p), self.now)
        return [p.name for p in started]

    def end(self, name: str, code: int = 0) -> list[str]:
        self.table.ended(next(p for p in self.table.running() if p.name == name), code)
        return self.go()

    @property
    def running(self) -> list[str]:
        return [p.name for p in self.table.running()]


def test_without_an_order_all_start_at_once() -> None:
    play = Play(made({"name": "a"}, {"name": "b"}))
    assert play.running == ["a", "b"]
    assert play.table.by_pid(101) is play.table.all[1]
    assert play.table.by_pid(999) is None


def test_one_after_the_other() -> None:
    play = Play(made({"name": "a"}, {"name": "b", "after": ["a"]}, {"name": "c", "after": ["a", "b"]}))
    assert play.running == ["a"]
    assert play.end("a") == ["b"]
    assert play.table.outcome() is None
    assert play.end("b") == ["c"]
    assert play.end("c") == []
    assert play.table.outcome() == ("FINISHED", "finished")


def test_long_and_tangled_orders_come_to_an_end() -> None:
    chain = made(*({"name": f"p{i}", "after": [f"p{i + 1}"] if i < 999 else []} for i in range(1000)), max_failures=0)
    assert Play(chain).running == ["p999"]
    assert chain.outcome() is None
    chain.ended(chain.all[999], 1)
    assert chain.outcome() == ("FINISHED", "finished, though p999 failed")

    layers = [{"name": f"{s}{i}", "after": [f"a{i - 1}", f"b{i - 1}"] if i else []} for i in range(40) for s in "ab"]
    tangle = made(*reversed(layers), max_failures=0)
    play = Play(tangle)
    assert tangle.outcome() is None
    play.end("a0", 1)
    assert tangle.outcome() is None, "b0 still runs"
    play.end("b0")
    assert tangle.outcome() == ("FINISHED", "finished, though a0 failed")


def test_at_most_so_many_at_once() -> None:
    play = Play(made({"name": "a"}, {"name": "b"}, {"name": "c"}, max_concurrency=2))
    assert play.running == ["a", "b"]
    assert play.table.next_due() is None  # nothing to wake for: the end of one will wake us
    assert play.end("b") == ["c"]


def test_a_failed_process_is_run_again_not_sooner_than_allowed() -> None:
    play = Play(made({"name": "a", "max_failures": 3}))
    play.now = 2
    assert play.end("a", 1) == []
    assert play.table.next_due() == 5
    assert play.go(4.9) == []
    assert play.go(5) == ["a"]
    play.now = 30
    assert play.end("a", -9) == ["a"]  # it ran longer than that
    assert play.table.outcome() is None
    assert play.end("a", 4) == []
    assert play.table.outcome() == ("FAILED", "process a exited with code 4, run 3 times")


def test_max_failures_0_is_for_ever() -> None:
    play = Play(made({"name": "a", "max_failures": 0, "min_duration_secs": 0}))
    for _ in range(100):
        assert play.end("a", 1) == ["a"]
    assert play.end("a") == []
    assert play.table.outcome() == ("FINISHED", "finished")


def test_a_daemon_runs_again_after_success() -> None:
    play = Play(made({"name": "d", "daemon": True, "min_duration_secs": 0}))
    assert play.end("d") == ["d"]
    assert play.table.outcome() is None
    assert play.end("d", -11) == []
    assert play.table.outcome() == ("FAILED", "process d was ended by signal 11, run 2 times")


def test_ephemeral_ones_are_not_waited_for() -> None:
    play = Play(made({"name": "a"}, {"name": "logs", "ephemeral": True, "daemon": True}))
    assert play.end("a") == []
    assert play.running == ["logs"]
    assert play.table.outcome() == ("FINISHED", "finished")


def test_what_waits_for_a_failed_one_never_runs() -> None:
    play = Play(
        made({"name": "a"}, {"name": "b", "after": ["a"]}, {"name": "c", "after": ["b"]}, {"name": "d"}, max_failures=2)
    )
    assert play.end("a", 1) == []
    assert play.table.outcome() is None
    assert play.end("d") == []
    assert play.table.outcome() == ("FINISHED", "finished, though a failed")


def test_the_task_fails_with_its_nth_failed_process() -> None:
    play = Play(made({"name": "a"}, {"name": "b"}, {"name": "c"}, max_failures=2))
    play.end("a", 1)
    assert play.table.outcome() is None
    play.end("b", 2)
    assert play.running == ["c"]
    assert play.table.outcome() == ("FAILED", "process b exited with code 2")
    assert play.table.summary() == [
        {"name": "a", "runs": 1, "exit_code": 1},
        {"name": "b", "runs": 1, "exit_code": 2},
        {"name": "c", "runs": 1, "exit_code": None, "pid": 102, "start_time": 0},
    ]


def test_max_failures_0_of_the_task_tolerates_all() -> None:
    play = Play(made({"name": "a"}, {"name": "b"}, max_failures=0))
    play.end("a", 1)
    play.end("b", 1)
    assert play.table.outcome() == ("FINISHED", "finished, though a, b failed")
