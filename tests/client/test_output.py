"""What others wrote reaches a terminal as text."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click
import pytest

from scheduler.client.errors import CommandError, Refused
from scheduler.client.explained import explained_of
from scheduler.client.output import echo, print_json, write_table
from scheduler.client.progress import events_of
from scheduler.interface import aurora, thesan

EVIL, SHOWN = "a\n\x1b]0;pwn\x07bad", "a\\n\\x1b]0;pwn\\x07bad"


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    echo(f"Why: {EVIL}")
    echo(EVIL, err=True)
    write_table(("user",), [(EVIL,)])
    CommandError(f"first\n{EVIL[2:]}").show()
    Refused("ERROR", EVIL).show()
    out, err = capsys.readouterr()
    assert out == f"Why: {SHOWN}\nuser\n{SHOWN}\n"
    assert err == f"{SHOWN}\nthesan: first\n{SHOWN[3:]}\nthesan: {SHOWN}\n"


def test_a_disk_that_is_full_is_a_sentence_and_an_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stdout", full)
        for write in (lambda: echo("a"), lambda: print_json([]), lambda: write_table(("A",), [])):
            with pytest.raises(CommandError, match="cannot write to stdout: no space left on device"):
                write()
        monkeypatch.setattr("sys.stderr", full)
        CommandError("nobody reads it").show()


def test_a_colour_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(click, "echo", lambda text, **_: said.append(text))
    echo("x ", ("\x1b[31mok", "green"))
    assert said == ["x " + click.style("\\x1b[31mok", fg="green")]


def test_what_is_drawn_is_shown_too() -> None:
    event = aurora.JobUpdateEvent(status=0, timestampMs=1, message=EVIL)
    (one,) = events_of(aurora.JobUpdateDetails(updateEvents=[event]))
    assert one.text == f"ROLLING_FORWARD: {SHOWN}"
    remark: Any = thesan.Remark(timestampMs=1, user=EVIL, message=EVIL)
    waiting: Any = thesan.WaitingInstance(instanceId=0, reason=EVIL)
    why = explained_of(
        thesan.Explanation(
            sentence=EVIL, who=EVIL, why=EVIL, heartbeatSource=EVIL, waitingInstances=[waiting], remarks=[remark]
        )
    )
    assert {why.sentence, why.who, why.why, why.heartbeat_source, why.waiting[0].reason} == {SHOWN}
    assert why.remarks[0].text == f"{SHOWN} (by {SHOWN})"
