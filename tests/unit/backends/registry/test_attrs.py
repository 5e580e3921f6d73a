import pytest

from cachexport.backends.registry.attrs import RegistryExport
from cachexport.contract.attributes import read_attributes
from cachexport.contract.spec import parse_spec
from cachexport.errors import InvalidAttr


def others(ref, names):
    attrs = read_attributes(
        RegistryExport, parse_spec(f"type=registry,ref={ref},mount-from={names}")
    )
    return attrs.other_repositories()


@pytest.mark.parametrize(
    ("ref", "names", "expected"),
    [
        ("registry.test:5000/app:cache", "team/app", ("team/app",)),
        ("registry.test:5000/app:cache", "base", ("base",)),
        ("registry.test:5000/app:cache", "registry.test:5000/base", ("base",)),
        ("registry.test:5000/app:cache", "b; registry.test:5000/a/b ;b", ("b", "a/b")),
        ("registry.test:5000/app:cache", "app;base", ("base",)),
        ("team/app", "base", ("library/base",)),
        ("team/app", "docker.io/base;index.docker.io/team/base", ("library/base", "team/base")),
        ("localhost/app", "docker/io", ("docker/io",)),
    ],
)
def test_other_repositories_have_full_or_short_names(ref, names, expected):
    assert others(ref, names) == expected


@pytest.mark.parametrize(
    ("ref", "names", "words"),
    [
        ("registry.test/app", "other.test/base", "not in the registry registry.test"),
        ("registry.test/app", "docker.io/library/base", "not in the registry registry.test"),
        ("registry.test/app", "registry.test:5000/base", "not in the registry registry.test"),
        ("team/app", "registry.test/base", "not in the registry docker.io"),
        ("registry.test/app", "base:latest", "without tags"),
        ("registry.test/app", "base@sha256:0", "without tags"),
        ("registry.test/app", "", "wants repositories"),
        ("registry.test/app", "a;;b", "wants repositories"),
        ("registry.test/app", "team/App", "lower-case"),
    ],
)
def test_what_cannot_be_mounted_from_is_told(ref, names, words):
    with pytest.raises(InvalidAttr, match=words) as raised:
        others(ref, names)
    assert "mount-from" in str(raised.value)


def test_an_export_has_all_the_checks_of_any():
    with pytest.raises(InvalidAttr, match="compression-level"):
        read_attributes(RegistryExport, parse_spec("type=registry,ref=a/b,compression-level=99"))


@pytest.mark.parametrize("ref", ["127.0.0.1:5000", "localhost:5000", "registry.test:443"])
def test_a_registry_alone_is_no_reference(ref):
    with pytest.raises(InvalidAttr, match=rf"no repository; add one, as in {ref}/app:cache"):
        read_attributes(RegistryExport, parse_spec(ref))


@pytest.mark.parametrize("ref", ["app:5000", "library/app:5000", "localhost:5000/app", "app.x:v1"])
def test_a_number_may_be_a_tag(ref):
    assert "app" in read_attributes(RegistryExport, parse_spec(ref)).ref.repository


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("30s", 30), ("1m", 60), ("1m30s", 90), ("1.5s", 1.5), ("500ms", 0.5)],
)
def test_a_timeout_is_seconds_or_a_duration(text, seconds):
    spec = parse_spec(f"type=registry,ref=a/b,timeout={text}")
    assert read_attributes(RegistryExport, spec).timeout == seconds


@pytest.mark.parametrize("text", ["0", "0s", "-1", "1x", "", "m"])
def test_a_timeout_that_is_none(text):
    with pytest.raises(InvalidAttr, match="timeout"):
        read_attributes(RegistryExport, parse_spec(f"type=registry,ref=a/b,timeout={text}"))
