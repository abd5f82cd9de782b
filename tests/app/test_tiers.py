"""The tier file: what it may say, and with which words a wrong one is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scheduler.app.engines import make_policy
from scheduler.app.tiers import read_tiers
from scheduler.core.policy import Policy, Tier
from scheduler.settings import Settings, WrongSetting

YES, NO = {"preemptible": True, "revocable": False}, {"preemptible": False, "revocable": False}


def written(tmp_path: Path, told: Any) -> Path:
    path = tmp_path / "tiers.json"
    path.write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")
    return path


def test_a_tier_file_takes_the_place_of_the_tiers_built_in(tmp_path: Path) -> None:
    path = written(tmp_path, {"default": "gold", "tiers": {"gold": NO, "lead": {**YES, "revocable": True}, "tin": {}}})
    gold, lead, tin = Tier("gold", False, False), Tier("lead", True, True), Tier("tin", False, False)
    assert read_tiers(path) == ("gold", (gold, lead, tin))
    policy = make_policy(Settings(tier_config=path))
    assert (policy.default_tier, policy.tiers) == ("gold", (gold, lead, tin))
    assert [tier.production for tier in policy.tiers] == [True, False, True]
    assert make_policy(Settings()).tiers == Policy().tiers


@pytest.mark.parametrize(("told", "sentence"), [
    ("{", "is no JSON"),
    ([], "must be an object with exactly `default` and `tiers`"),
    ({"tiers": {"a": NO}}, "must be an object with exactly `default` and `tiers`"),
    ({"default": "a", "tiers": {}}, "`tiers` must name at least one tier"),
    ({"default": "b", "tiers": {"a": NO}}, "`default` is 'b'; it must be one of a"),
    ({"default": ["a"], "tiers": {"a": NO}}, "`default` is ['a']; it must be one of a"),
    ({"default": "a b", "tiers": {"a b": NO}}, "a tier cannot be called 'a b'"),
    ({"default": "a", "tiers": {"a": {**NO, "fast": True}}}, "tier a may say preemptible and revocable"),
    ({"default": "a", "tiers": {"a": {"preemptible": "yes"}}}, "preemptible of tier a is 'yes'; it must be true"),
])  # fmt: skip
def test_a_wrong_one_is_refused(tmp_path: Path, told: Any, sentence: str) -> None:
    path = written(tmp_path, told)
    with pytest.raises(WrongSetting) as wrong:
        read_tiers(path)
    assert str(wrong.value).startswith(f"--tier-config {path} ")
    assert sentence in str(wrong.value)


def test_one_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WrongSetting, match="cannot be read"):
        read_tiers(tmp_path / "none.json")
