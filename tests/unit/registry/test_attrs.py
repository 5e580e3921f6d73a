import pytest

from cachexport.backends.registry.attrs import RegistryExport
from cachexport.errors import InvalidAttr
from cachexport.spec import parse_spec, read_attributes


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
