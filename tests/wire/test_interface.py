"""aurora.thrift says what Aurora's interface says: nothing missing, nothing more."""

import itertools
from pathlib import Path

import pytest
import thriftpy2

from scheduler.interface import aurora, storage, thesan
from tests.wire import facts

HERE = Path(__file__).parent
IDL = HERE.parents[1] / "thrift"
EXPECTED = facts.from_table(HERE / "interface.tsv")
AURORA = IDL / "aurora.thrift"

SERVICES = {
    "ReadOnlyScheduler": None,
    "AuroraSchedulerManager": "ReadOnlyScheduler",
    "AuroraAdmin": "AuroraSchedulerManager",
}


def difference(found: set[facts.Fact], expected: set[facts.Fact]) -> list[str]:
    """Both directions, readable."""
    missing = ["missing: " + " ".join(fact) for fact in sorted(expected - found)]
    return missing + ["too much: " + " ".join(fact) for fact in sorted(found - expected)]


def test_the_table_is_whole() -> None:
    kinds = {kind: len({fact[1] for fact in EXPECTED if fact[0] == kind}) for kind in {fact[0] for fact in EXPECTED}}
    assert len(EXPECTED) == 381
    assert kinds == {"struct": 80, "union": 8, "enum": 8, "method": 45, "const": 12}


def test_as_thriftpy2_loads_it() -> None:
    assert difference(facts.from_thriftpy2(aurora), facts.without_requiredness(EXPECTED)) == []


def test_as_apaches_compiler_reads_it(tmp_path: Path) -> None:
    assert difference(facts.from_compiler(facts.compile_to_xml(AURORA, tmp_path)), EXPECTED) == []


def test_every_method_returns_a_response_and_throws_nothing(tmp_path: Path) -> None:
    document = facts.compile_to_xml(AURORA, tmp_path)
    methods = list(document.iter("method"))
    assert len(methods) == 45
    for method in methods:
        returns = method.find("returns")
        assert returns is not None and returns.get("type-id") == "Response", method.attrib
        assert method.find("throws") is None and "oneway" not in method.attrib, method.attrib
    for service in (aurora.ReadOnlyScheduler, aurora.AuroraSchedulerManager, aurora.AuroraAdmin):
        for name in service.thrift_services:
            result = getattr(service, f"{name}_result")
            assert result.thrift_spec == {0: (12, "success", aurora.Response, False)}, name
            assert not result.oneway, name


def test_services_build_on_each_other(tmp_path: Path) -> None:
    document = facts.compile_to_xml(AURORA, tmp_path)
    assert {node.attrib["name"]: node.get("parent-id") for node in document.iter("service")} == SERVICES
    assert thesan.Scheduler.__mro__[1:4] == (
        aurora.AuroraAdmin,
        aurora.AuroraSchedulerManager,
        aurora.ReadOnlyScheduler,
    )
    assert len(aurora.AuroraAdmin.thrift_services) == 45


def test_namespaces_and_the_only_default(tmp_path: Path) -> None:
    document = facts.compile_to_xml(AURORA, tmp_path)
    namespaces = {node.attrib["name"]: node.attrib["value"] for node in document.iter("namespace")}
    assert namespaces == {"py": "gen.apache.aurora.api", "java": "org.apache.aurora.gen"}

    defaults = [node.attrib["name"] for node in document.iter("field") if node.find("default") is not None]
    assert defaults == ["container"]
    assert aurora.TaskConfig().container == aurora.Container(mesos=aurora.MesosContainer())
    for cls in aurora.__thrift_meta__["structs"] + aurora.__thrift_meta__["unions"]:
        set_by_default = {name for name, value in cls.default_spec if value is not None}
        assert set_by_default == ({"container"} if cls is aurora.TaskConfig else set()), cls


def test_arguments_that_are_not_in_the_order_of_their_ids() -> None:
    """Python clients pass arguments by position."""
    arguments = aurora.AuroraSchedulerManager.restartShards_args.thrift_spec
    assert [(number, spec[1]) for number, spec in arguments.items()] == [(5, "job"), (3, "shardIds")]


def test_included_classes_are_the_same_classes() -> None:
    assert aurora is thesan.aurora is storage.aurora


@pytest.mark.parametrize("name", ["aurora", "thesan", "storage"])
def test_apaches_compiler_accepts_every_file(name: str, tmp_path: Path) -> None:
    assert facts.compile_to_xml(IDL / f"{name}.thrift", tmp_path).get("name") == name


# What a slip of the hand would do, and the fact it would break. The last ones only Apache's compiler can tell.
PLANTED = {
    "field id": ("28: JobKey job", "26: JobKey job"),
    "field name": ("1: string role\n  /** prod", "1: string rule\n  /** prod"),
    "field type": ("11: i32 priority", "11: i64 priority"),
    "element type": ("4: list<TaskEvent> taskEvents", "4: set<TaskEvent> taskEvents"),
    "map type": ("5: map<string, i32> assignedPorts", "5: map<string, i64> assignedPorts"),
    "enum or number": ("2: ScheduleStatus status\n  /** How often", "2: i32 status\n  /** How often"),
    "field too much": ("  1: string taskId\n  2: string reason", "  1: string taskId\n  2: string reason\n  3: i32 x"),
    "field missing": ("  6: i32 timesPartitioned\n", ""),
    "field required": ("11: i32 priority", "11: required i32 priority"),
    "union or struct": ("union Image {", "struct Image {"),
    "struct too much": ("struct Package {", "struct Extra {\n  1: string x\n}\n\nstruct Package {"),
    "struct missing": ("struct Package {\n  1: string role\n  2: string name\n  3: i32 version\n}\n", ""),
    "enum value": ("PARTITIONED = 18", "PARTITIONED = 19"),
    "enum name": ("RUN_OVERLAP = 2", "RUN_BESIDE = 2"),
    "enum value missing": ("  WARNING = 3,\n", ""),
    "argument id": ("rollbackJobUpdate(1: JobUpdateKey key, 2:", "rollbackJobUpdate(1: JobUpdateKey key, 3:"),
    "argument name": ("getJobs(1: string ownerRole)", "getJobs(1: string role)"),
    "argument missing": ("4: i32 count)", ")"),
    "method missing": ("  Response unloadRecovery()\n", ""),
    "method too much": ("  Response unloadRecovery()\n", "  Response unloadRecovery()\n  Response other()\n"),
    "constant": ("'taskfs'", "'tasks'"),
    "constant set": ("  ScheduleStatus.LOST\n]", "  ScheduleStatus.LOST,\n  ScheduleStatus.INIT\n]"),
    "optional dropped": ("27: optional set<Metadata> metadata", "27: set<Metadata> metadata"),
    "optional added": ("32: set<Resource> resources", "32: optional set<Resource> resources"),
}
ONLY_THE_COMPILER_CAN_TELL = {"optional dropped", "optional added"}
_number = itertools.count()


@pytest.mark.parametrize("slip", PLANTED)
def test_a_slip_is_found(slip: str, tmp_path: Path) -> None:
    old, new = PLANTED[slip]
    text = AURORA.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
    copy = tmp_path / "aurora.thrift"
    copy.write_text(text.replace(old, new), encoding="utf-8")

    assert difference(facts.from_compiler(facts.compile_to_xml(copy, tmp_path)), EXPECTED)
    if slip not in ONLY_THE_COMPILER_CAN_TELL:
        module = thriftpy2.load(str(copy), module_name=f"planted{next(_number)}.aurora_thrift")
        assert difference(facts.from_thriftpy2(module), facts.without_requiredness(EXPECTED))
