"""Quota: what the production jobs of a role may take, what they take, and whether a request still fits.

Only CPUs, RAM and disk count, and only of production tasks on hosts that all roles share; dedicated hosts and other
tiers are free. Pending tasks count as those that run. An update counts by the larger of what it begins with and what it
leads to, each resource for itself, from its start to its end, paused or not; a cron job by the larger of its template
and what runs of it.
Source: Aurora's documentation, "Resource quota"; `docs/compatibility.md`, "Quota".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Final, NamedTuple

from attrs import frozen

from scheduler.core import ops
from scheduler.core.answers import OK, Answer, Refused, error, invalid
from scheduler.core.policy import Policy
from scheduler.core.queries import QuotaReport
from scheduler.core.records import JobKey, Quota, ResourceKind, TaskConfig
from scheduler.core.state import State
from scheduler.core.transaction import Transaction
from scheduler.core.updates.records import InstanceConfigs, Instructions, instance_ids
from scheduler.core.validation import DEDICATED, MOST_CPUS, is_good_identifier

KINDS: Final = (ResourceKind.CPUS, ResourceKind.RAM_MB, ResourceKind.DISK_MB)
_LABELS: Final = (("CPU", "core(s)", 1_000_000), ("RAM", "MB", 1), ("disk", "MB", 1))
_LARGEST_I64: Final = 2**63 - 1


class Bucket(NamedTuple):
    """What is counted apart. Only production on shared hosts is held against the quota."""

    production: bool
    dedicated: bool


PROD_SHARED: Final = Bucket(production=True, dedicated=False)


@frozen
class Amounts:
    """What counts, summed. CPUs in millionths of a core, so that sums are exact in any order."""

    micro_cpus: int = 0
    ram_mb: int = 0
    disk_mb: int = 0

    def plus(self, other: Amounts, times: int = 1) -> Amounts:
        return Amounts(
            self.micro_cpus + other.micro_cpus * times,
            self.ram_mb + other.ram_mb * times,
            self.disk_mb + other.disk_mb * times,
        )

    def larger(self, other: Amounts) -> Amounts:
        """The larger of each resource."""
        return Amounts(
            max(self.micro_cpus, other.micro_cpus), max(self.ram_mb, other.ram_mb), max(self.disk_mb, other.disk_mb)
        )

    def columns(self) -> tuple[int, int, int]:
        return self.micro_cpus, self.ram_mb, self.disk_mb

    def as_quota(self) -> Quota:
        return Quota(self.micro_cpus / 1_000_000, min(self.ram_mb, _LARGEST_I64), min(self.disk_mb, _LARGEST_I64))


NOTHING: Final = Amounts()
ByBucket = dict[Bucket, Amounts]


def amounts(config: TaskConfig) -> Amounts:
    """What one task of this configuration counts."""
    cpus, ram_mb, disk_mb = (config.amount(kind) for kind in KINDS)
    return Amounts(round(cpus * 1_000_000), int(ram_mb), int(disk_mb))


def bucket(config: TaskConfig) -> Bucket:
    return Bucket(bool(config.production), any(c.name == DEDICATED for c in config.constraints))


def limits(quota: Quota) -> Amounts:
    return Amounts(round(quota.cpus * 1_000_000), quota.ram_mb, quota.disk_mb)


# --- what is taken ---------------------------------------------------------------------------------------------------


def total(counts: Iterable[tuple[TaskConfig, int]]) -> ByBucket:
    """So many tasks of each configuration."""
    found: ByBucket = {}
    for config, count in counts:
        which = bucket(config)
        found[which] = found.get(which, NOTHING).plus(amounts(config), count)
    return found


def _sum(parts: Iterable[ByBucket]) -> ByBucket:
    found: ByBucket = {}
    for part in parts:
        for which, taken in part.items():
            found[which] = found.get(which, NOTHING).plus(taken)
    return found


def _larger(one: ByBucket, other: ByBucket) -> ByBucket:
    return {b: one.get(b, NOTHING).larger(other.get(b, NOTHING)) for b in {*one, *other}}


def of_update(instructions: Instructions) -> ByBucket:
    """The larger of both ends: an update that leaves production counts only the end that is in it."""
    desired = () if instructions.desired is None else (instructions.desired,)
    return _larger(total(map(_counted, instructions.initial)), total(map(_counted, desired)))


def _counted(part: InstanceConfigs) -> tuple[TaskConfig, int]:
    return part.config, sum(len(r.ids()) for r in part.instances)


def of_job(
    state: State, job: JobKey, instructions: Instructions | None = None, template: ByBucket | None = None
) -> ByBucket:
    """What a job takes: as if that update of it were active, or as if that were what its cron template takes."""
    if instructions is None:
        runs = total(state.tasks.counts.get(job.role, {}).get(job, {}).items())
        return runs if template is None else _larger(runs, template)
    parts = (*instructions.initial, *filter(None, (instructions.desired,)))
    concerned = set(instance_ids(r for part in parts for r in part.instances))
    others: dict[TaskConfig, int] = {}
    for instance, task in state.tasks.active.get(job, {}).items():
        if instance not in concerned:
            others[task.config] = others.get(task.config, 0) + 1
    return _sum((total(others.items()), of_update(instructions)))


def _now(state: State, job: JobKey) -> ByBucket:
    update, cron = state.updates.active.get(job), state.cron_jobs.get(job)
    template = None if cron is None else total([(cron.config, cron.instance_count)])
    return of_job(state, job, None if update is None else update.instructions, template)


def consumption(state: State, role: str) -> ByBucket:
    """What all jobs of a role take."""
    jobs = dict.fromkeys(state.tasks.counts.get(role, {}))
    jobs.update(dict.fromkeys(job for job in state.updates.active if job.role == role))
    jobs.update(dict.fromkeys(state.cron_jobs.by_role.get(role, {})))
    return _sum(_now(state, job) for job in jobs)


# --- does it fit -----------------------------------------------------------------------------------------------------


def check_added(tx: Transaction, config: TaskConfig, count: int) -> None:
    """May `count` more tasks be created? Raises Refused."""
    added = total([(config, count)])
    if PROD_SHARED in added:
        now = _now(tx.state, config.job)
        _check(tx.state, config.job, now, _sum((now, added)))


def check_update(tx: Transaction, job: JobKey, instructions: Instructions) -> None:
    """May this update begin? As if it were active already. Raises Refused."""
    _check(tx.state, job, _now(tx.state, job), of_job(tx.state, job, instructions))


def check_template(tx: Transaction, job: JobKey, config: TaskConfig, count: int) -> None:
    """May this be the job's cron template? It counts whether it runs or not; a dedicated one too. Raises Refused."""
    known = tx.state.cron_jobs.get(job)
    before = {} if known is None else _as_shared(known.config, known.instance_count)
    after = _as_shared(config, count)
    _check(tx.state, job, of_job(tx.state, job, template=before), of_job(tx.state, job, template=after))


def _as_shared(config: TaskConfig, count: int) -> ByBucket:
    return {PROD_SHARED: NOTHING.plus(amounts(config), count)} if config.production else {}


def _check(state: State, job: JobKey, before: Mapping[Bucket, Amounts], after: Mapping[Bucket, Amounts]) -> None:
    was, will_be = before.get(PROD_SHARED, NOTHING), after.get(PROD_SHARED, NOTHING)
    growth = will_be.plus(was, -1)
    if max(growth.columns()) <= 0:
        return  # whoever takes no more than before is let pass, over quota or not
    wanted = consumption(state, job.role).get(PROD_SHARED, NOTHING).plus(growth)
    missing = _missing(wanted, limits(state.quotas.get(job.role) or Quota()), growth)
    if missing:
        raise Refused(invalid(f"Insufficient resource quota: {missing}"))


def _missing(wanted: Amounts, allowed: Amounts, growth: Amounts) -> str:
    """Each resource that grows beyond what is allowed, and by how much."""
    rows = zip(_LABELS, wanted.columns(), allowed.columns(), growth.columns(), strict=True)
    return "; ".join(
        f"{name} quota exceeded by {(want - allow) / scale:.2f} {unit}"
        for (name, unit, scale), want, allow, more in rows
        if more > 0 and want > allow
    )


# --- what clients ask ------------------------------------------------------------------------------------------------


Resources = tuple[tuple[ResourceKind, float], ...]
"""Kinds and amounts as a client sent them."""


def set_quota(tx: Transaction, role: str, resources: Resources | None, user: str) -> Answer:
    """Give a role a quota: exactly CPUs, RAM and disk, none of them below what the role takes now."""
    if not role or role.isspace():
        return error("ownerRole may not be blank")
    if resources is None:
        return error("quota is missing")
    if sorted(kind for kind, _ in resources) != sorted(KINDS):
        return error("quota.resources must be exactly one numCpus, one ramMb and one diskMb")
    if not is_good_identifier(role):
        return invalid(f"ownerRole {role!r} can own no job: it must match [\\w\\-.]+ and have at most 255 characters")
    values = dict(resources)
    for kind, field in zip(KINDS, ("numCpus", "ramMb", "diskMb"), strict=True):
        if values[kind] < 0 or not isfinite(values[kind]):
            return invalid(f"quota.{field} is {values[kind]}; it must be 0 or more")
    quota = Quota(float(values[KINDS[0]]), int(values[KINDS[1]]), int(values[KINDS[2]]))
    if quota.cpus > MOST_CPUS:
        return invalid(f"quota.numCpus is {quota.cpus:g}; it may be at most {MOST_CPUS:,}")
    taken = consumption(tx.state, role).get(PROD_SHARED, NOTHING)
    missing = _missing(taken, limits(quota), taken)
    if missing:
        return invalid(f"The quota of {role} may not be less than what its production jobs take: {missing}")
    tx.apply(ops.SaveQuota(role, quota))
    tx.say(role, f"quota set by {user}: {quota.cpus:g} CPUs, {quota.ram_mb} MB RAM, {quota.disk_mb} MB disk")
    return OK


def get_quota(state: State, policy: Policy, role: str) -> Answer:
    """A role's quota and what it takes. A role nobody has heard of has a quota of nothing."""
    if not role or role.isspace():
        return error("ownerRole may not be blank")
    taken = consumption(state, role)

    def of(*, production: bool, dedicated: bool) -> Quota:
        return taken.get(Bucket(production, dedicated), NOTHING).as_quota()

    return Answer(
        result=QuotaReport(
            quota=state.quotas.get(role) or Quota(),
            prod_shared=of(production=True, dedicated=False),
            non_prod_shared=of(production=False, dedicated=False),
            prod_dedicated=of(production=True, dedicated=True),
            non_prod_dedicated=of(production=False, dedicated=True),
        )
    )
