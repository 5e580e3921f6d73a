"""The checks of any store: each finds its fault, and nothing of it is left."""

from __future__ import annotations

import io
import threading
from contextlib import closing
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from support import caches
from support.clock import go_by

from cachexport import Digest
from cachexport.backends.objects.checks.table import ObjectProbe
from cachexport.backends.objects.checks.trial import Trial
from cachexport.backends.objects.client import ABSENT, Page, Stored
from cachexport.backends.objects.layout import Blobs, Keys
from cachexport.contract.checks import Check, Finding, ok
from cachexport.doctor.engine import Diagnosis, Examination
from cachexport.errors import Auth, BackendError, CachexportError, NotFound, Outdated
from cachexport.testing.memory import MemoryObjects

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS = Keys(blobs="team/blobs/", names="team/manifests/")
BUCKET = caches.FOLDER / "s3-bucket"
READING = ["reach", "list", "read"]
WRITING = ["read-back", "list-after", "replace", "modified"]
CONDITIONS = ["if-absent", "if-unchanged", "race"]
REMOVING = ["touch", "delete", "delete-if", "clean-up"]
NAMES = [*READING, "write", *WRITING, *CONDITIONS, *REMOVING]


def trial(client: MemoryObjects, *, skew: float = 0.0, **settings: Any) -> Trial:
    go_by(client, skew=skew)
    names = settings.pop("names", ("main",))
    return Trial(blobs=Blobs(client=client, keys=KEYS), names=names, **settings)


def diagnose(tried: Trial, *, read_only: bool = False) -> Diagnosis:
    with closing(ObjectProbe(tried)) as probe:
        prepared = Examination("store", probe, read_only=read_only)
        list(prepared.run())
    return prepared.diagnosis


def examine(client: MemoryObjects, **settings: Any) -> dict[str, Finding]:
    return {item.check: item.finding for item in diagnose(trial(client, **settings)).results}


def outcomes(checks: dict[str, Finding]) -> dict[str, str]:
    """Give those that are not simply good."""
    return {name: str(it.outcome) for name, it in checks.items() if it.outcome != "ok"}


def buildkits() -> MemoryObjects:
    """Give a store with what BuildKit wrote into a bucket."""
    client = MemoryObjects()
    for path in BUCKET.rglob("*"):
        if path.is_file():
            client.replace(str(path.relative_to(BUCKET)), path.read_bytes(), {}, version=None)
    return client


def test_a_good_store() -> None:
    client = MemoryObjects()
    checks = examine(client)
    assert list(checks) == NAMES
    assert outcomes(checks) == {}
    assert checks["race"].facts == {"rounds": 5, "won_by_one": 5, "won_by_both": 0}
    assert checks["clean-up"].facts == {"left": 0}
    assert client.objects == {}


def test_nothing_of_others_is_touched() -> None:
    client = buildkits()
    before = dict(client.objects)
    checks = examine(client, names=("main", "abc123"))
    assert outcomes(checks) == {}
    assert client.objects == before
    assert checks["list"].facts == {"blobs": 10, "all": True}
    assert checks["read"].facts == {"names": 2, "caches": 2}


def test_all_keys_are_its_own() -> None:
    written = set()

    def watch(self: MemoryObjects, key: str, raw: bytes, metadata: Any) -> str:
        written.add((key, raw))
        return MemoryObjects._put(self, key, raw, metadata)

    tried = trial(faulty(_put=watch))
    diagnose(tried)
    blob = (f"team/blobs/{Digest.of(tried.blob)}", tried.blob)
    assert blob in written
    rest = written - {blob}
    assert len({raw for _, raw in rest}) == len(rest)
    assert all(key.startswith(f"team/manifests/{tried.name}") for key, _ in rest)
    # To whoever lists names meanwhile they are empty caches.
    assert {raw.strip() for _, raw in rest} == {b"{}"}
    assert tried.name != trial(MemoryObjects()).name
    assert tried.blob != trial(MemoryObjects()).blob


def test_read_only_writes_nothing() -> None:
    client = buildkits()
    client.asked.clear()
    found = diagnose(trial(client), read_only=True).results
    assert [item.check for item in found] == READING
    assert set(client.asked) == {"head", "list", "read"}


def raising(error: CachexportError) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise error

    return refuse


def faulty(**methods: object) -> MemoryObjects:
    """Give a store of which some methods do something else."""
    made: MemoryObjects = type("Faulty", (MemoryObjects,), methods)()
    return made


REFUSED = BackendError("no such thing here", op="x")
UNBOUND = "if-unchanged=warning race=skipped delete-if=note"
UNCONDITIONAL = f"if-absent=warning {UNBOUND}"
LISTED = "list-after=warning"
UNDELETED = "delete=warning delete-if=skipped clean-up=warning"
NOT_WRITTEN = "write=failed " + " ".join(f"{name}=skipped" for name in NAMES[4:])
NOT_REPLACED = "replace=failed modified=skipped delete-if=skipped " + " ".join(
    f"{name}=skipped" for name in CONDITIONS
)


def expect(known: str = "", error: CachexportError | None = None) -> object:
    """Give a method that knows one kind of conditions, and raises this for the other, if any."""

    def _expect(self: MemoryObjects, key: str, version: str | None) -> None:
        if version is None or known == ("absent" if version == ABSENT else "unchanged"):
            MemoryObjects._expect(self, key, version)
        elif error is not None:
            raise error

    return _expect


def cut(self: MemoryObjects, key: str, reader: io.BytesIO, size: int) -> None:
    MemoryObjects.write(self, key, io.BytesIO(reader.read()[:-1]), size - 1)


def backwards(self: MemoryObjects, key: str, *, start: int = 0) -> io.BytesIO:
    return io.BytesIO(MemoryObjects.load(self, key)[0][start:][::-1])


def weak(self: MemoryObjects, key: str) -> tuple[bytes, Stored]:
    raw, stored = MemoryObjects.load(self, key)
    return raw, replace(stored, version="W/")


def damage(self: MemoryObjects, stored: Stored) -> None:
    MemoryObjects.touch(self, stored)
    raw, now = self.objects[stored.key]
    self.objects[stored.key] = (b"?" + raw[1:], now)


def bare(self: MemoryObjects, key: str, raw: bytes, metadata: object) -> str:
    return MemoryObjects._put(self, key, raw, {})


def behind(self: MemoryObjects, key: str) -> tuple[bytes, Stored]:
    return b"{}\n", MemoryObjects.load(self, key)[1]


def nothing(*_: object, **__: object) -> None:
    pass


FAULTS = [
    ("_expect", nothing, UNCONDITIONAL, "with merge=true one of several jobs may lose"),
    ("_expect", expect(error=REFUSED), UNCONDITIONAL, "here: exports with merge=true fail"),
    ("_expect", expect(error=Outdated("")), UNCONDITIONAL, "condition: exports with merge=true"),
    ("_expect", expect("unchanged"), "if-absent=warning", "replaces one that is there"),
    ("_expect", expect("absent"), UNBOUND, "bound to an old version replaces a newer one"),
    ("delete", lambda self, key, **_: MemoryObjects.delete(self, key), "delete-if=note", "is done"),
    ("delete", raising(REFUSED), UNDELETED, "no such thing here: prune does not work"),
    ("delete", nothing, UNDELETED, "is there still: prune does not work"),
    ("touch", nothing, "touch=warning", "would delete blobs that are in use"),
    ("touch", raising(REFUSED), "touch=warning", "exports fail that use a blob of more than 24 h"),
    ("touch", damage, "touch=warning", "is corrupt"),
    ("write", nothing, NOT_WRITTEN, "a blob of 1,024 bytes was taken, and is not there"),
    ("write", cut, NOT_WRITTEN, "a blob of 1,024 bytes was taken, and has 1,023"),
    ("read", backwards, "read-back=failed touch=warning", "is corrupt"),
    ("read", lambda self, key, **_: MemoryObjects.read(self, key), "read-back=warning", "ranges"),
    ("list_page", lambda *_, **__: Page(()), LISTED, "is not listed yet"),
    ("list_page", lambda self, key, **_: MemoryObjects.list_page(self, key), LISTED, "its start"),
    ("_put", bare, "replace=warning", "metadata of a name is not kept"),
    ("load", weak, "replace=warning", "merge=true never gets through"),
    ("load", behind, NOT_REPLACED, "is not what was written last"),
]


@pytest.mark.parametrize(("method", "does", "expected", "said"), FAULTS)
def test_a_fault(method: str, does: object, expected: str, said: str) -> None:
    client = faulty(**{method: does})
    checks = examine(client)
    assert outcomes(checks) == dict(item.split("=") for item in expected.split())
    bad = checks[expected.partition("=")[0]]
    assert said in bad.text
    assert bad.advice or "corrupt" in said or bad.exit_code
    assert bool(client.objects) is (expected == UNDELETED)


def test_what_is_left_is_named() -> None:
    client = faulty(delete=raising(Auth("no s3:DeleteObject", op="delete")))
    checks = examine(client, advise=lambda error: f"allow {error.op}")
    assert checks["delete"].advice == "allow delete"
    assert checks["clean-up"].advice == "delete that; allow delete"
    assert checks["clean-up"].facts == {"left": len(client.objects)}
    assert all(f"memory://bucket/{key}" in checks["clean-up"].text for key in client.objects)


def test_a_race_that_both_win() -> None:
    both = threading.Barrier(2, timeout=10)

    def hesitate(self: MemoryObjects, key: str, raw: bytes, metadata: Any, *, version: Any) -> str:
        self._expect(key, version)
        if threading.current_thread() is not threading.main_thread():
            both.wait()
        return self._put(key, raw, metadata)

    checks = examine(faulty(replace=hesitate))
    assert outcomes(checks) == {"race": "warning"}
    assert "may lose" in checks["race"].text
    assert checks["race"].facts == {"rounds": 5, "won_by_one": 0, "won_by_both": 5}


def test_a_race_that_nobody_wins() -> None:
    def shy(self: MemoryObjects, key: str, version: str | None) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise Outdated("somebody else is writing")
        MemoryObjects._expect(self, key, version)

    checks = examine(faulty(_expect=shy))
    assert outcomes(checks) == {"race": "warning"}
    assert "neither" in checks["race"].text


@pytest.mark.parametrize(("skew", "said"), [(3600, "ahead of"), (-3600, "behind")])
def test_a_clock_that_is_off(skew: float, said: str) -> None:
    checks = examine(MemoryObjects(), skew=skew)
    assert outcomes(checks) == {"modified": "warning"}
    assert f"3,600 s {said}" in checks["modified"].text
    assert checks["modified"].facts == {"skew_seconds": -skew}
    assert outcomes(examine(MemoryObjects(), skew=skew / 120)) == {}


@pytest.mark.parametrize(
    ("method", "failing"),
    [
        ("head", ["write"]),
        ("list_page", ["list"]),
        ("write", ["write"]),
        ("read", ["read-back"]),
        ("load", ["read", "replace"]),
        ("replace", ["replace"]),
    ],
)
def test_who_may_not_do_something(method: str, failing: list[str]) -> None:
    client = faulty(**{method: raising(Auth(f"no {method}", op=method))})
    diagnosis = diagnose(trial(client, advise=lambda error: f"allow {error}"))
    failures = {item.check: item.finding for item in diagnosis.results if item.finding.exit_code}
    assert list(failures) == failing
    assert {finding.advice for finding in failures.values()} == {f"allow no {method}"}
    assert diagnosis.exit_code == 77
    assert client.objects == {}


def test_who_may_not_know_whether_something_is_gone() -> None:
    def secretive(self: MemoryObjects, key: str) -> Stored:
        try:
            return MemoryObjects.head(self, key)
        except NotFound as error:
            raise Auth("maybe it is there", op="head") from error

    assert outcomes(examine(faulty(head=secretive))) == {}


def test_who_may_do_nothing() -> None:
    refuse = raising(Auth("nobody may come in", op="x"))
    diagnosis = diagnose(trial(faulty(head=refuse, list_page=refuse)))
    reach = diagnosis.results[0].finding
    assert (reach.text, reach.exit_code) == ("nobody may come in", 77)
    assert {item.finding.text for item in diagnosis.results[1:]} == {"needs reach, which failed"}


def test_a_container_that_is_not_there_is_no_missing_cache() -> None:
    gone = raising(NotFound("there is no container"))
    assert diagnose(trial(faulty(list_page=gone, write=gone))).exit_code == BackendError.exit_code


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("calls", range(1, 46))
def test_whenever_it_breaks_nothing_is_left(
    calls: int, done: bool, caplog: pytest.LogCaptureFixture
) -> None:
    numbers = count(1)

    def counted(name: str) -> Callable[..., object]:
        def call(self: MemoryObjects, *args: Any, **options: Any) -> object:
            breaks = next(numbers) == calls
            try:
                if breaks and not done:
                    return None
                return getattr(MemoryObjects, name)(self, *args, **options)
            finally:
                if breaks:
                    raise KeyboardInterrupt

        return call

    names = ["head", "list_page", "read", "load", "write", "replace", "touch"]
    client = faulty(**{name: counted(name) for name in names})
    with pytest.raises(KeyboardInterrupt):
        diagnose(trial(client))
    assert client.objects == {}
    assert caplog.records == []


def test_a_store_that_went_away_is_not_waited_for_with_each_key() -> None:
    asked = []

    def fail(self: MemoryObjects, key: str, *, version: object = None) -> None:
        asked.append(key)
        raise BackendError("nothing answers", op="delete", temporary=True)

    client = faulty(delete=fail)
    checks = examine(client)
    assert len(asked) == 1 + 2  # by `delete`, and by `clean-up`
    assert checks["clean-up"].facts == {"left": len(client.objects)}


def test_what_cannot_be_removed_at_the_end_is_named(caplog: pytest.LogCaptureFixture) -> None:
    client = faulty(delete=raising(REFUSED), read=raising(KeyboardInterrupt()))  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        diagnose(trial(client))
    [key] = client.objects
    [record] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert f"memory://bucket/{key}" in record.getMessage()


@pytest.mark.parametrize(
    ("raw", "force", "outcome", "found"),
    [
        (b"{}", False, "note", "nothing"),
        (b"no cache", False, "warning", "stranger"),
        (b"no cache", True, "note", "stranger"),
        ((BUCKET / "team/manifests/main").read_bytes(), False, "ok", "cache"),
    ],
)
def test_what_the_name_is(raw: bytes, force: bool, outcome: str, found: str) -> None:
    client = MemoryObjects()
    client.replace("team/manifests/main", raw, {}, version=None)
    read = examine(client, force=force)["read"]
    assert (read.outcome, read.facts["found"]) == (outcome, found)
    assert ("force=true" in read.advice) is (outcome == "warning")
    several = examine(client, names=("other", "main"), force=force)["read"]
    assert several.outcome == outcome
    assert several.text == f"other: there is nothing under this name yet; main: {read.text}"


def test_a_digest_is_only_read() -> None:
    client = buildkits()
    digest = Digest.of(b"not there")
    checks = examine(client, digest=digest)
    assert list(checks) == ["reach", "read", "write"]
    assert (checks["read"].exit_code, checks["write"].outcome) == (66, "skipped")


def test_a_backend_brings_its_own() -> None:
    ran: list[str] = []

    def own(name: str) -> Callable[[], Finding]:
        return lambda: ran.append(name) or ok(name)  # type: ignore[func-returns-value]

    tried = trial(MemoryObjects())
    first = [Check(name=name, run=own(name)) for name in ("login", "bucket")]
    probe = ObjectProbe(
        tried,
        first=first,
        more=[Check(name="parts", run=own("parts"), needs=("write",), writes=True)],
    )
    listed = [check.name for check in probe.checks()]
    assert listed[:3] == ["login", "bucket", "list"]
    assert listed.index("delete") < listed.index("parts") < listed.index("clean-up")
    assert all("bucket" in check.needs for check in probe.checks()[2:5])
