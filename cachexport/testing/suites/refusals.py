"""Errors: what is refused, what the error names, and that a failure changes nothing."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cachexport.api.caches import (
    export_cache,
    load_cache,
)
from cachexport.content.clock import Clock, using_clock
from cachexport.content.retry import ATTEMPTS
from cachexport.contract.opening import (
    open_source,
    open_targets,
)
from cachexport.contract.spec import parse_spec
from cachexport.errors import (
    AlreadyExists,
    BackendError,
    CachexportError,
    Integrity,
    InvalidAttr,
    NotFound,
    TransferError,
)
from cachexport.testing.faults import Fault, Faults, FaultyProvider, FaultyTarget
from cachexport.testing.harness import Suite
from cachexport.testing.samples import small_cache, small_chains
from cachexport.transfer.write import write

if TYPE_CHECKING:
    from cachexport.testing.harness import Harness


def _open_target(spec: str) -> None:
    for _, target in open_targets(spec):
        target.close()


def _open_source(spec: str) -> None:
    open_source(spec).close()


class RefusalSuite(Suite):
    """Errors are of our classes, name their subject, and leave all as it was."""

    @pytest.mark.parametrize("end", [_open_source, _open_target])
    def test_an_unknown_attribute_is_named(self, harness: Harness, end: object) -> None:
        assert callable(end)
        with pytest.raises(InvalidAttr, match="'colour'") as raised:
            end(harness.with_attrs("main", "colour=red"))
        assert raised.value.name == "colour"
        assert raised.value.exit_code == 2
        assert "known:" in str(raised.value)

    @pytest.mark.parametrize("attr", ["mode=sometimes", "merge=perhaps", "compression=magic"])
    def test_a_bad_value_is_named(self, harness: Harness, attr: str) -> None:
        name, _, value = attr.partition("=")
        with pytest.raises(InvalidAttr, match=value) as raised:
            _open_target(harness.with_attrs("main", attr))
        assert raised.value.name == name

    def test_one_text_does_for_both_flags(self, harness: Harness) -> None:
        _open_source(harness.with_attrs("main", "mode=max,merge=true,ignore-error=true"))

    def test_opening_writes_nothing(self, harness: Harness) -> None:
        with harness.target("main"), harness.source("main") as source, pytest.raises(NotFound):
            source.load()

    def test_a_cache_replaces_nothing_that_is_none(self, harness: Harness) -> None:
        if harness.put_foreign is None:
            pytest.skip("there can be no such thing here")
        harness.put_foreign("main")
        for attrs in ("", "merge=true"):
            with pytest.raises(AlreadyExists) as raised:
                harness.put("main", 1, attrs=attrs)
            assert "force=true" in str(raised.value)
        with pytest.raises(CachexportError):
            load_cache(harness.spec("main"))
        harness.put("main", 1, attrs="force=true")
        assert load_cache(harness.spec("main"))

    @pytest.mark.parametrize(
        "fault",
        [
            Fault(op="open", call=2, flip=3),
            Fault(op="open", call=2, cut=3),
            Fault(op="open", call=2, error=NotFound("it expired")),
            Fault(op="open", call=2, error=OSError("the disk is gone")),
        ],
        ids=["corrupt", "cut", "gone", "broken"],
    )
    def test_a_source_that_fails_leaves_a_name_as_it_was(
        self, harness: Harness, fault: Fault
    ) -> None:
        harness.put("main", 1)
        before = load_cache(harness.spec("main"))[0].config
        cache = small_cache(2, 3)
        faulty = replace(cache, provider=FaultyProvider(cache.provider, Faults([fault])))
        with harness.target("main") as target, pytest.raises((Integrity, TransferError)):
            write(faulty, target)
        assert load_cache(harness.spec("main"))[0].config == before
        assert harness.names() == ["main"]

    @pytest.mark.parametrize("op", ["missing", "ingest", "publish"])
    def test_a_target_that_fails_leaves_a_name_as_it_was(self, harness: Harness, op: str) -> None:
        harness.put("main", 1)
        before = load_cache(harness.spec("main"))[0].config
        full = BackendError("no space is left", op=op)
        faults = Faults([Fault(op=op, error=full)])
        with harness.target("main") as target, pytest.raises(CachexportError, match="no space"):
            write(small_cache(2, 3), FaultyTarget(target, faults))
        assert faults.happened
        assert load_cache(harness.spec("main"))[0].config == before

    def test_what_passes_is_tried_again(self, harness: Harness) -> None:
        busy = BackendError("busy", op="ingest", temporary=True)
        faults = Faults([Fault(op="ingest", call=call, error=busy) for call in range(1, ATTEMPTS)])
        sleepless = Clock(sleep=lambda seconds: None)
        with harness.target("main") as target, using_clock(sleepless):
            write(small_cache(2), FaultyTarget(target, faults))
        assert len(faults.happened) == ATTEMPTS - 1
        assert load_cache(harness.spec("main"))

    def test_an_ignored_failure_is_no_error(self, harness: Harness) -> None:
        if harness.put_foreign is None:
            pytest.skip("there can be no such thing here")
        harness.put_foreign("main")
        attrs = harness.with_attrs("main", "ignore-error=true")
        assert export_cache(small_chains(1), attrs) == {}

    def test_a_spec_is_told_as_it_was_given_but_for_secrets(self, harness: Harness) -> None:
        spec = parse_spec(harness.spec("main"))
        with closing(open_source(spec)):
            pass
        for key, value in spec.attrs.items():
            if "secret" in key or "token" in key or "password" in key:
                assert value not in str(spec)
