"""Every transcript comes out as it is written, through the real codec too, and with a restart after any command.

`python -m scheduler.testing.script --write tests/scenarios/*.txt` writes them anew: read what changed, then commit.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scheduler.core.records import JobKey
from scheduler.core.updates import pulses, requests
from scheduler.testing.script import Script, commands, replay

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("*.txt"))
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in FILES}


@pytest.mark.parametrize("name", TEXTS)
def test_transcript(name: str) -> None:
    assert replay(TEXTS[name]).splitlines() == TEXTS[name].splitlines()


@pytest.mark.parametrize("name", TEXTS)
def test_the_codec_changes_nothing(name: str) -> None:
    assert replay(TEXTS[name], Script(through_codec=True)) == replay(TEXTS[name])


@pytest.mark.parametrize("name", TEXTS)
def test_a_transcript_begins_with_what_it_shows(name: str) -> None:
    assert TEXTS[name].startswith("# ")


# --- interrupted -----------------------------------------------------------------------------------------------------


def tell(story: list[str], restart_after: set[int]) -> Script:
    """The story, with a death of the scheduler after some of its commands, and brought to its end."""
    script = Script()
    for number, command in enumerate(story):
        script.do(command)
        if number in restart_after:
            _restart(script)
    _bring_to_an_end(script)
    return script


def _restart(script: Script) -> None:
    """The next leader has heard no heartbeat; monitors that were beating, and did not say wait, send theirs at once."""
    stage = script.stage
    active = list(stage.state.updates.active.values())
    gated = [u for u in active if u.is_coordinated and u.notes.hold is None]
    beating = [u.key for u in gated if pulses.is_fresh(stage.state, u, stage.clock.mono_ms())]
    script.do("restart")
    for key in beating:
        stage.ask(requests.pulse, key)


def _bring_to_an_end(script: Script) -> None:
    script.do("hosts on")
    for job in sorted(script.stage.state.updates.by_job, key=str):
        script.do(f"on {job.name}")
        for _ in range(10):
            script.do("pulse")
            script.do("resume")
            script.do("finish beating")


def outcome(script: Script) -> tuple[dict[JobKey, dict[int, str]], list[str]]:
    """What runs in the end, and what became of every update."""
    updates = script.stage.state.updates
    known = [updates.get(key) for key in script.narrator.updates]
    return script.contents(), ["forgotten" if update is None else update.status.name for update in known]


@pytest.mark.parametrize("name", TEXTS)
def test_a_restart_after_any_command_changes_no_outcome(name: str) -> None:
    story = commands(TEXTS[name])
    expected = outcome(tell(story, set()))
    first = 1 + next((i for i, command in enumerate(story) if command.startswith("job")), 0)
    for position in range(first, len(story)):
        assert outcome(tell(story, {position})) == expected, f"after {story[position]!r} ({position})"
    assert outcome(tell(story, set(range(first, len(story))))) == expected, "after every command"


# --- differences -----------------------------------------------------------------------------------------------------


def test_every_marked_difference_is_in_the_documentation_and_the_other_way_round() -> None:
    page = (HERE.parents[1] / "docs" / "compatibility.md").read_text(encoding="utf-8")
    section = page.split("## Updates: where we differ\n")[1].split("\n## ")[0]
    marked = {name for name, text in TEXTS.items() if "\n# differs: " in text}
    assert marked == set(re.findall(r"`([a-z-]+)`", section)) & TEXTS.keys()
