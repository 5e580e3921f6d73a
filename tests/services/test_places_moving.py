"""Moving and repairing whole places, from every kind of place to every other."""

from __future__ import annotations

import json
from itertools import permutations
from typing import TYPE_CHECKING

import pytest
from cli.commands import process
from support.services.exports import hasten

from cachexport import (
    copy_names,
    export_cache,
    lifecycle_rules,
    list_names,
    repair_names,
    verify_names,
)
from cachexport.errors import FailedPrecondition, NotFound, PluginError
from cachexport.testing.samples import layer, small_chains
from cachexport.upkeep.repair import RepairOutcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.services.registry import Registry
    from support.services.s3 import S3

    Spec = Callable[[str], str]
    Places = Callable[[str], Spec]

KINDS = ("local", "registry", "s3")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hasten(monkeypatch, tmp_path)


def put(spec: str, *numbers: int) -> None:
    assert export_cache(small_chains(*numbers), spec)


def digests(spec: Spec) -> dict[str, str | None]:
    return {item.name: item.digest for item in list_names(spec("x"))}


@pytest.mark.parametrize(("source", "target"), list(permutations(KINDS, 2)))
def test_a_whole_place_moves_to_another(source: str, target: str, places: Places) -> None:
    origin, goal = places(source), places(target)
    put(origin("main"), 1, 2)
    put(origin("pr-1"), 1, 3)
    put(origin("other"), 4)
    answers = copy_names(origin("x"), goal("x"), "[mp]*")
    assert [item.error for item in answers] == [None, None]
    wanted = digests(origin)
    del wanted["other"]
    assert digests(goal) == wanted
    assert all(not item.faults for item in verify_names(goal("x"), deep=True))
    with pytest.raises(NotFound, match="zzz"):
        copy_names(origin("x"), goal("x"), "zzz")


def test_the_command_moves_a_place_and_answers_for_each_name(
    places: Places, tmp_path: Path
) -> None:
    origin = places("local")
    put(origin("main"), 1, 2)
    put(origin("pr-1"), 1, 3)
    goal = tmp_path / "goal"
    ends = ("--cache-from", origin("x"), "--cache-to", f"type=local,dest={goal}")
    ran = process("export", "--all-names", "--progress", "quiet", *ends)
    assert (ran.code, ran.err) == (0, "")
    assert [list(item) for item in json.loads(ran.out)] == [["name", "cache.manifest"]] * 2
    assert [item["name"] for item in json.loads(ran.out)] == ["main", "pr-1"]  # oldest first
    assert set(digests(lambda name: f"type=local,src={goal},tag={name}")) == {"main", "pr-1"}


def test_what_a_registry_does_not_take_anew_is_left_out(
    places: Places, registry: Registry, tmp_path: Path
) -> None:
    """docker-registry drops an upload of a digest that it has, were its own copy damaged."""
    spec, copy = places("registry"), f"type=local,dest={tmp_path / 'copy'}"
    put(copy, 28, 29)
    put(spec("main"), 28, 29)
    registry.spoil_blob_file(layer(29)[1].digest)
    origins = [f"type=local,src={tmp_path / 'copy'}"]
    [found] = repair_names(spec("main"), origins=origins, deep=True)
    [verified] = verify_names(spec("x"), deep=True)
    assert not verified.faults
    assert found.restored + found.lost_results == 1


def test_a_layer_that_a_bucket_does_not_describe(places: Places, s3: S3) -> None:
    spec = places("s3")
    put(spec("main"), 1, 2)
    attrs = dict(word.split("=", 1) for word in spec("main").split(","))
    key = f"{attrs['prefix']}manifests/main"
    config = json.loads(s3.client.get_object(Bucket=s3.shared, Key=key)["Body"].read())
    top = next(number for number, item in enumerate(config["layers"]) if item.get("parent") != -1)
    del config["layers"][top]["annotations"]
    s3.client.put_object(Bucket=s3.shared, Key=key, Body=json.dumps(config).encode())
    [verified] = verify_names(spec("x"))
    assert [fault.kind for fault in verified.faults] == ["damaged"]
    [found] = repair_names(spec("main"))
    assert (found.outcome, found.lost_results) == (RepairOutcome.REPAIRED, 1)
    [verified] = verify_names(spec("x"), deep=True)
    assert (verified.faults, verified.blobs) == ((), 1)


def test_lifecycle_rules_are_set_beside_others(s3: S3, bucket: str) -> None:
    other = {
        "ID": "theirs",
        "Status": "Enabled",
        "Filter": {"Prefix": "logs/"},
        "Expiration": {"Days": 3},
    }
    s3.client.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": [other]}
    )
    login = f"access_key_id={s3.admin.access},secret_access_key={s3.admin.secret}"
    spec = f"type=s3,endpoint_url={s3.endpoint},bucket={bucket},region=us-east-1,{login},prefix=a/"
    for days in (30, 10):
        rules = lifecycle_rules(f"{spec},touch_refresh=36h", days, apply=True)
        assert (rules.name_days, rules.blob_days) == (days, days + 3)
    answer = s3.client.get_bucket_lifecycle_configuration(Bucket=bucket)
    found = {rule["ID"]: rule for rule in answer["Rules"]}
    assert set(found) == {
        "theirs",
        "cachexport names a/manifests/",
        "cachexport images a/cachexport/images/",
        "cachexport blobs a/blobs/",
        "cachexport uploads a/",
    }
    assert found["cachexport names a/manifests/"]["Expiration"]["Days"] == 10
    assert found["cachexport images a/cachexport/images/"]["Expiration"]["Days"] == 10
    assert found["cachexport blobs a/blobs/"]["Expiration"]["Days"] == 13
    assert found["cachexport blobs a/blobs/"]["Filter"] == {"Prefix": "a/blobs/"}
    with pytest.raises(PluginError, match="prune"):
        lifecycle_rules("type=local,src=x", 30)


def test_shared_blobs_outlive_the_names_of_all(s3: S3, bucket: str) -> None:
    login = f"access_key_id={s3.admin.access},secret_access_key={s3.admin.secret}"
    spec = f"type=s3,endpoint_url={s3.endpoint},bucket={bucket},region=us-east-1,{login},prefix=a/"
    lifecycle_rules(f"{spec},manifests_prefix=release/", 90, apply=True)
    rules = lifecycle_rules(f"{spec},manifests_prefix=branches/", 30, apply=True)
    assert (rules.name_days, rules.blob_days) == (30, 92)
    answer = s3.client.get_bucket_lifecycle_configuration(Bucket=bucket)
    found = {rule["Filter"]["Prefix"]: rule.get("Expiration") for rule in answer["Rules"]}
    days = {prefix: told["Days"] for prefix, told in found.items() if told}
    images = "a/cachexport/images/"
    assert days == {"a/release/": 90, "a/branches/": 30, images: 30, "a/blobs/": 92}


@pytest.mark.parametrize(
    "prefixes", ["manifests_prefix=", "blobs_prefix=", "manifests_prefix=x/,blobs_prefix=x/blobs/"]
)
def test_no_rule_takes_more_than_it_should(prefixes: str) -> None:
    spec = f"type=s3,bucket=b,{prefixes}"
    with pytest.raises(FailedPrecondition, match="before their time"):
        lifecycle_rules(spec, 30)
