"""The commands of a script that Aurora's interface does not know: what monitors say, and what people do about it."""

from __future__ import annotations

from collections.abc import Callable

from scheduler.core.answers import Answer
from scheduler.core.updates import expiring, set_aside
from scheduler.core.updates.explain import explain
from scheduler.core.updates.records import UpdateKey
from scheduler.core.updates.verdicts import Heartbeat, MonitorVerdict, heartbeat
from scheduler.testing.narration import NOBODY
from scheduler.testing.stage import Stage
from scheduler.testing.words import Options, ids, milliseconds


class Monitoring:
    """A part of `script.Script`."""

    @property
    def stage(self) -> Stage:
        raise NotImplementedError

    def key(self, name: str | None = None) -> UpdateKey:
        raise NotImplementedError

    def _named(self, words: tuple[str, ...]) -> tuple[UpdateKey, Options]:
        """The update that is meant, and the other words."""
        named = [word for word in words if word[:1] == "u" and word[1:].isdigit()]
        return self.key(*named), Options([word for word in words if word not in named])

    def do_heartbeat(self, verdict: str, *words: str) -> Answer:
        key, options = self._named(words)
        source, link, user = options.take("source"), options.take("link"), options.take("user", NOBODY)
        options.done()
        told = Heartbeat(key, MonitorVerdict[verdict], options.message or "", link, source)
        return self.stage.ask(heartbeat, told, user)

    def do_override(self, how_long: str, *words: str) -> Answer:
        return self._for_a_while(expiring.override, how_long, words)

    def do_pause_for(self, how_long: str, *words: str) -> Answer:
        return self._for_a_while(expiring.pause_for, how_long, words)

    def _for_a_while(self, decision: Callable[..., Answer], how_long: str, words: tuple[str, ...]) -> Answer:
        key, options = self._named(words)
        user = options.take("user", NOBODY)
        options.done()
        return self.stage.ask(decision, key, milliseconds(how_long), user, options.message)

    def do_retry(self, instances: str, *words: str) -> Answer:
        return self._set_aside(set_aside.retry, instances, words)

    def do_skip(self, instances: str, *words: str) -> Answer:
        return self._set_aside(set_aside.skip, instances, words)

    def _set_aside(self, decision: Callable[..., Answer], instances: str, words: tuple[str, ...]) -> Answer:
        key, options = self._named(words)
        user = options.take("user", NOBODY)
        options.done()
        return self.stage.ask(decision, key, ids(instances), user, options.message)

    def do_explain(self, *words: str) -> Answer:
        return self.stage.controller.read_now(explain, self.key(*words)).answer
