"""Who may call which method, when security is on. Every method of the interface is in exactly one of the tables here.

Reads need nothing. What changes a job needs `thrift.AuroraSchedulerManager:<rpc>:<role>:<env>:<name>`, what changes the
cluster `thrift.AuroraAdmin:<rpc>`. Thesan's own calls about an update are asked for as if Aurora's manager had them, so
that a team's `thrift.AuroraSchedulerManager:*:<role>` holds for them too. Source: Aurora's documentation, "Securing
your Aurora Cluster".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from scheduler.core.answers import Answer, Code, invalid
from scheduler.core.records import JobKey
from scheduler.core.validation import is_valid_key
from scheduler.interface import aurora, thesan
from scheduler.rpc.callers import Caller
from scheduler.rpc.from_thrift.keys import job_key
from scheduler.security.permissions import Grants

MANAGER: Final = "thrift.AuroraSchedulerManager"
ADMIN: Final = "thrift.AuroraAdmin"

Keys = Callable[[Any], Iterable[Any]]
"""Of a method's arguments: the JobKey structs of all jobs it is about."""


def _of(*names: str) -> Keys:
    def find(args: Any) -> Iterable[Any]:
        found = args
        for name in names:
            found = getattr(found, name, None)
        yield found

    return find


def _of_description(name: str) -> Keys:
    """The job's key; and that of its configuration, if it is another one, or a task of one job could run as another."""

    def find(args: Any) -> Iterable[Any]:
        description = getattr(args, name)
        key = getattr(description, "key", None)
        yield key
        inner = getattr(getattr(description, "taskConfig", None), "job", None)
        if inner is not None and inner != key:
            yield inner

    return find


def _of_heartbeats(args: Any) -> Iterable[Any]:
    return [getattr(beat.key, "job", None) for beat in args.heartbeats or ()]


JOBS: Final[dict[str, Keys]] = {
    "createJob": _of_description("description"),
    "scheduleCronJob": _of_description("description"),
    "replaceCronTemplate": _of_description("config"),
    "descheduleCronJob": _of("job"),
    "startCronJob": _of("job"),
    "restartShards": _of("job"),
    "killTasks": _of("job"),
    "addInstances": _of("key", "jobKey"),
    "startJobUpdate": _of("request", "taskConfig", "job"),
    "pauseJobUpdate": _of("key", "job"),
    "resumeJobUpdate": _of("key", "job"),
    "abortJobUpdate": _of("key", "job"),
    "rollbackJobUpdate": _of("key", "job"),
    "pulseJobUpdate": _of("key", "job"),
    "heartbeat": _of("heartbeat", "key", "job"),
    "heartbeatMany": _of_heartbeats,
    "pauseJobUpdateFor": _of("key", "job"),
    "overrideHeartbeat": _of("key", "job"),
    "retryInstances": _of("key", "job"),
    "skipInstances": _of("key", "job"),
}
"""Methods that ask for a permission on each job they are about."""

READS: Final = frozenset(
    {
        *aurora.ReadOnlyScheduler.thrift_services,
        "getServerState",
        "explainUpdate",
        "showCronJob",
        "simulateUpdate",
        "replayUpdate",
        "watchEvents",
    }
)
"""Open to everybody, as in Aurora."""

ADMINS: Final = frozenset(aurora.AuroraAdmin.thrift_services) - frozenset(aurora.AuroraSchedulerManager.thrift_services)

assert READS | JOBS.keys() | ADMINS == set(thesan.Scheduler.thrift_services), "a method without a rule"


class Unauthenticated(Exception):
    """The method wants a user and none is known: 401 where there are status codes, `answer` where there are none."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.details[0])
        self.answer = answer


class Access:
    """Decides about calls. `grants` tells what a user may do now."""

    def __init__(self, grants: Callable[[str], Grants]) -> None:
        self._grants = grants
        self.failures = 0
        self.bad_requests = 0

    def refusal(self, method: str, args: Any, caller: Caller) -> Answer | None:
        """None: the call may go on. Raises Unauthenticated."""
        if method in READS:
            return None
        if not caller.is_known:
            sentence = f"{method} wants a user; credentials come with HTTP (Basic) or with a client's certificate."
            raise Unauthenticated(Answer(Code.AUTH_FAILED, (sentence,)))
        grants = self._grants(caller.user)
        if method in ADMINS:
            if grants.allows(ADMIN, method):
                return None
            return self._refuse(f"Subject {caller.user} lacks permission {ADMIN}:{method}.")
        for struct in JOBS[method](args):
            key = job_key(struct)
            if not is_valid_key(key):
                self.bad_requests += 1
                return invalid(f"{method} has no job key, or one that is not valid: {key}")
            if not grants.allows(MANAGER, method, key.role, key.environment, key.name):
                wanted = f"{MANAGER}:{method}:{key.role}:{key.environment}:{key.name}"
                return self._refuse(f"Subject {caller.user} is not permitted to {wanted}.")
        return None

    def may_pulse(self, caller: Caller, job: JobKey) -> bool:
        """The same for pulseJobUpdate, in the shortest way; False: ask `refusal` why."""
        return caller.is_known and self._grants(caller.user).allows(
            MANAGER, "pulseJobUpdate", job.role, job.environment, job.name
        )

    def _refuse(self, sentence: str) -> Answer:
        self.failures += 1
        return Answer(Code.AUTH_FAILED, (sentence,))
