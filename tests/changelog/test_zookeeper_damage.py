"""What a reader does with a log that is not as it should be, and the parts of entries that are too large."""

from __future__ import annotations

import asyncio
import json
from hashlib import blake2b

import pytest
from attrs import evolve

from scheduler.changelog.codec import encode
from scheduler.changelog.configs import Configs
from scheduler.changelog.errors import Damaged, FormatTooNew
from scheduler.changelog.zookeeper_fenced import remove_folder
from scheduler.changelog.zookeeper_layout import Head, Layout, Manifest
from scheduler.changelog.zookeeper_reading import Truncated
from scheduler.changelog.zookeeper_snapshot import Snapshot
from scheduler.contracts import Entry, Fenced
from scheduler.core import ops
from scheduler.core.records import TaskConfig, content_hash
from tests.changelog import zookeeper_stage
from tests.changelog.stage import JOB, story
from tests.changelog.zookeeper_stage import ROOT, Scheduler
from tests.zk.stage import Stage, on_stage


async def told(stage: Stage, until: int) -> Scheduler:
    leader = await Scheduler.at(stage)
    await leader.lead()
    await leader.tell(until)
    return leader


async def refused(stage: Stage, says: str, kind: type[Damaged] = Damaged) -> Damaged:
    """A standby reads, stops where it should, and stops there again."""
    reader = await Scheduler.at(stage)
    for _ in range(2):
        with pytest.raises(kind, match=says) as caught:
            await reader.follow()
    assert reader.is_right  # up to there
    assert caught.value.offset == reader.changelog.offset + 1
    return caught.value


def test_a_gap_is_named() -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 30)
        await leader.client.delete(f"{ROOT}/log/0/17")
        await refused(stage, "offset 17: this entry is missing in ZooKeeper, and there is no snapshot")

    on_stage(play)


def test_what_was_cut_off_behind_a_snapshot_is_to_be_read_from_that() -> None:
    async def play(stage: Stage) -> None:
        leader, reader = await told(stage, 30), await Scheduler.at(stage)
        await leader.client.create(f"{ROOT}/snapshot")
        for offset in range(1, 18):
            await leader.client.delete(f"{ROOT}/log/0/{offset}")
        with pytest.raises(Truncated, match="offset 1: this entry was cut off the log"):
            await reader.follow()

    on_stage(play)


def test_an_altered_entry_is_named() -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 30)
        data, stat = await leader.client.get(f"{ROOT}/log/0/12")
        spoiled = bytearray(data)
        spoiled[-40] ^= 1
        await leader.client.set(f"{ROOT}/log/0/12", bytes(spoiled), stat.version)
        await refused(stage, "offset 12: its checksum does not match")

    on_stage(play)


def test_exchanged_entries_are_named() -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 30)
        eight, nine = [(await leader.client.get(f"{ROOT}/log/0/{n}"))[0] for n in (8, 9)]
        await leader.client.set(f"{ROOT}/log/0/8", nine, -1)
        await leader.client.set(f"{ROOT}/log/0/9", eight, -1)
        await refused(stage, "offset 8: it says of itself that it is number 9")

    on_stage(play)


def test_an_entry_of_another_history_is_named() -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 10)
        foreign, _ = encode(evolve(story(6), ops=()), lineage=bytes(16), previous=bytes(16), configs=Configs())
        await leader.client.set(f"{ROOT}/log/0/6", foreign, -1)
        await refused(stage, "offset 6: it belongs to the history 0000")

    on_stage(play)


def test_an_entry_that_does_not_continue_the_one_before_is_named() -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 10)
        lineage = bytes.fromhex(leader.changelog.lineage)
        fork, _ = encode(evolve(story(6), ops=()), lineage=lineage, previous=bytes(16), configs=Configs())
        await leader.client.set(f"{ROOT}/log/0/6", fork, -1)
        await refused(stage, "offset 6: it does not follow the one before it")

    on_stage(play)


def test_an_epoch_that_goes_back_is_named() -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 5)
        await leader.lead()
        await leader.tell(6)
        head = Head.from_bytes((await leader.client.get(f"{ROOT}/head"))[0])
        late, checksum = encode(
            evolve(story(7), ops=()), lineage=head.lineage, previous=head.checksum, configs=Configs()
        )
        await leader.client.create(f"{ROOT}/log/0/7", late)
        await leader.client.set(f"{ROOT}/head", Head(8, checksum, head.lineage).to_bytes(), -1)
        await refused(stage, "offset 7: its epoch 1 is lower than the epoch 2 before it")

    on_stage(play)


def test_a_last_entry_that_is_not_the_heads_is_named() -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 10)
        head = Head.from_bytes((await leader.client.get(f"{ROOT}/head"))[0])
        await leader.client.set(f"{ROOT}/head", evolve(head, checksum=bytes(16)).to_bytes(), -1)
        reader = await Scheduler.at(stage)
        with pytest.raises(Damaged, match="offset 10: it is not the entry that the head of the log names"):
            await reader.follow()

    on_stage(play)


def test_a_head_that_cannot_be_read_is_damage() -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 3)
        for garbage in (b"", b"{}", b"[]", b'{"next": "x"}', b"\xff"):
            await leader.client.set(f"{ROOT}/head", garbage, -1)
            with pytest.raises(Damaged, match="the head of the log in ZooKeeper cannot be read"):
                await Scheduler.at(stage)

    on_stage(play)


def test_a_log_that_was_begun_anew_is_not_followed() -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 3)
        reader = await Scheduler.at(stage)
        await leader.client.set(f"{ROOT}/head", Head.of_new_log(bytes(16)).to_bytes(), -1)
        with pytest.raises(Damaged, match="now that of the history 0000"):
            await reader.follow()

    on_stage(play)


def test_a_log_that_was_set_back_is_not_followed() -> None:
    async def play(stage: Stage) -> None:
        leader, reader = await told(stage, 3), await Scheduler.at(stage)
        older = (await leader.client.get(f"{ROOT}/head"))[0]
        await leader.tell(9)
        await reader.follow()
        await leader.client.set(f"{ROOT}/head", older, -1)
        with pytest.raises(Damaged, match="offset 4: the log in ZooKeeper ends before it, and entry 9 was read once"):
            await reader.follow()

    on_stage(play)


def test_an_entry_of_a_newer_format_stops_the_reader() -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 5)
        frame = bytearray((await leader.client.get(f"{ROOT}/log/0/4"))[0])
        frame[5] = ops.FORMAT_LEVEL + 1  # the level; the checksum is made right again
        frame[-16:] = blake2b(bytes(frame[:-16]), digest_size=16).digest()
        await leader.client.set(f"{ROOT}/log/0/4", bytes(frame), -1)
        reader = await Scheduler.at(stage)
        with pytest.raises(FormatTooNew, match=f"at offset 4: its format level is {ops.FORMAT_LEVEL + 1}") as caught:
            await reader.follow()
        assert caught.value.offset == 4

    on_stage(play)


def test_an_op_that_does_not_fit_is_named() -> None:
    async def play(stage: Stage) -> None:
        leader = await told(stage, 5)
        await leader.changelog.append(evolve(story(6), epoch=1, ops=(story(20).ops[2],)))
        await refused(stage, "offset 6: MoveTask does not fit the state before it")

    on_stage(play)


# --- parts ---


def large(offset: int, size: int) -> Entry:
    config = TaskConfig(JOB, contact_email="x" * size)
    return evolve(story(offset), epoch=1, ops=(ops.SaveConfig(content_hash(config), config), *story(offset).ops))


def test_an_entry_of_a_megabyte_goes_in_parts() -> None:
    async def play(stage: Stage) -> None:
        leader, reader = await told(stage, 3), await Scheduler.at(stage)
        entry = large(4, 1_100_000)
        for op in entry.ops:
            leader.apply(op)
        await leader.changelog.append(entry)
        await leader.tell(6)

        (folder,) = await leader.client.children(f"{ROOT}/parts")
        assert folder.startswith("1-")
        assert sorted(await leader.client.children(f"{ROOT}/parts/{folder}")) == ["0", "1", "2"]
        assert len((await leader.client.get(f"{ROOT}/log/0/4"))[0]) < 500
        assert await reader.follow() == 6
        assert reader.changelog.offset == 6
        await leader.client.delete(f"{ROOT}/parts/{folder}/1")
        late = await Scheduler.at(stage)
        with pytest.raises(Damaged, match=f"offset 4: a part of it is missing .in {ROOT}/parts/1-"):
            await late.follow()

    on_stage(play)


def test_an_altered_part_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zookeeper_stage, "LAYOUT", Layout(ROOT, entry_bytes=200, part_bytes=100))

    async def play(stage: Stage) -> None:
        leader = await told(stage, 4)
        whole = await Scheduler.at(stage)
        await whole.follow()
        assert whole.is_right
        manifest = Manifest.from_bytes((await leader.client.get(f"{ROOT}/log/0/3"))[0], 3)
        assert manifest is not None
        part = f"{Layout(ROOT).parts(1, manifest.uuid)}/1"
        data, _ = await leader.client.get(part)
        await leader.client.set(part, data[:-1], -1)
        await refused(stage, "offset 3: its parts have .* bytes and should have")
        await leader.client.set(part, bytes(len(data)), -1)
        await refused(stage, "offset 3: its (checksum|body)")

    on_stage(play)


def test_parts_of_a_dead_leader_are_swept_and_those_of_the_log_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zookeeper_stage, "LAYOUT", Layout(ROOT, entry_bytes=200, part_bytes=100))

    async def play(stage: Stage) -> None:
        old, new = await told(stage, 6), await Scheduler.at(stage)
        kept = set(await old.client.children(f"{ROOT}/parts"))
        assert len(kept) > 2
        await new.lead()
        with pytest.raises(Fenced):
            await old.tell(7)  # its parts are written, its commit is refused
        (left,) = set(await old.client.children(f"{ROOT}/parts")) - kept
        odd = f"1-{'0' * 32}"
        await old.client.create(f"{ROOT}/parts/{odd}", b"what is this")
        await old.client.create(f"{ROOT}/parts/{odd}/0")
        await old.client.delete(f"{ROOT}/log/0/2")  # as if cut off

        assert left.startswith("1-")
        with pytest.raises(Fenced):
            await _sweep_as_if_newest(old)
        for folder in (left, odd):
            assert await old.client.children(f"{ROOT}/parts/{folder}") != []
        gone = await new.changelog.sweep_parts()

        there = set(await new.client.children(f"{ROOT}/parts"))
        assert left not in there
        assert gone == 3
        assert there < kept and len(kept - there) == 1
        assert await new.changelog.sweep_parts() == 0

    on_stage(play)


async def _sweep_as_if_newest(old: Scheduler) -> None:
    """An old leader that takes itself for a later epoch than what it finds: its deletes are fenced."""
    old.changelog._claim = evolve(old.changelog.held, number=9)
    await old.changelog.sweep_parts()


def test_an_old_leader_whose_parts_are_swept_while_it_writes_them_hears_of_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zookeeper_stage, "LAYOUT", Layout(ROOT, entry_bytes=200, part_bytes=100))

    async def play(stage: Stage) -> None:
        old, new = await told(stage, 6), await Scheduler.at(stage)
        write = old.client.create

        async def sweep_first(path: str, data: bytes = b"") -> str:
            if path.endswith("/0"):  # its folder is there, and no part
                await new.lead()
                assert await new.changelog.sweep_parts() == 1
            return await write(path, data)

        monkeypatch.setattr(old.client, "create", sweep_first)
        with pytest.raises(Fenced, match="the parts of entry 7 were removed: epoch 1 is over"):
            await old.tell(7)
        await new.tell(8)
        assert new.is_right

    on_stage(play)


def test_two_who_sweep_the_same_parts_do_not_disturb_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new leader sweeps what dead leaders left, and removes the parts of what is cut off, at the same time."""
    monkeypatch.setattr(zookeeper_stage, "LAYOUT", Layout(ROOT, entry_bytes=200, part_bytes=100))

    async def play(stage: Stage) -> None:
        leader = await told(stage, 6)
        folders = [f"{ROOT}/parts/{name}" for name in await leader.client.children(f"{ROOT}/parts")]
        held = leader.changelog.held

        async def sweep() -> list[bool]:
            return [await remove_folder(leader.client, held, folder) for folder in folders]

        one, other = await asyncio.gather(sweep(), sweep())
        assert [sorted(pair) for pair in zip(one, other, strict=True)] == [[False, True]] * len(folders)
        assert await leader.client.children(f"{ROOT}/parts") == []

    on_stage(play)


def test_a_sweep_leaves_its_own_epoch_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zookeeper_stage, "LAYOUT", Layout(ROOT, entry_bytes=200, part_bytes=100))

    async def play(stage: Stage) -> None:
        leader = await told(stage, 6)
        await leader.client.create(f"{ROOT}/parts/1-{'0' * 32}", b"")  # an entry on its way
        before = await leader.client.children(f"{ROOT}/parts")
        assert await leader.changelog.sweep_parts() == 0
        assert sorted(await leader.client.children(f"{ROOT}/parts")) == sorted(before)

    on_stage(play)


# --- bytes ---


def test_heads_and_manifests_come_back_as_they_were() -> None:
    head = Head(17, bytes(range(16)), bytes(range(16, 32)))
    assert Head.from_bytes(head.to_bytes()) == head
    assert len(head.to_bytes()) < 150
    manifest = Manifest(3, bytes(16), bytes(range(16)), bytes(range(16, 32)), 7, 2_500_000)
    assert Manifest.from_bytes(manifest.to_bytes(), 17) == manifest
    assert Manifest.from_bytes(b"TSNl...", 17) is None
    fields = json.loads(manifest.to_bytes()[4:])
    deep, endless = b"[" * 100_000, json.dumps(fields | {"epoch": float("inf")}).encode()
    for garbage in (b"", b"{}", b"[]", b'{"epoch": 1}', manifest.to_bytes()[4:-3], deep, endless):
        with pytest.raises(Damaged, match="offset 17: its manifest cannot be read"):
            Manifest.from_bytes(b"TSNm" + garbage, 17)
    for following in ("Infinity", "-1", "0", str(2**70), "x"):
        garbage = head.to_bytes().replace(b'"next": 17', b'"next": ' + following.encode())
        with pytest.raises(Damaged, match="the head of the log in ZooKeeper cannot be read"):
            Head.from_bytes(garbage)
    with pytest.raises(Damaged, match="the pointer to the snapshot in ZooKeeper cannot be read"):
        Snapshot.from_bytes(b'{"generation": Infinity}')


@pytest.mark.parametrize("size", [0, 1, 409_599, 409_600, 409_601, 1_000_000])
def test_pieces_are_the_whole(size: int) -> None:
    frame = bytes(size)
    cut = Layout(ROOT).pieces(frame)
    assert b"".join(cut) == frame
    assert all(0 < len(piece) <= 400 * 1024 for piece in cut)
