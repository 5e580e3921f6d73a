import pytest

from cachexport.errors import InvalidReference
from cachexport.oci.reference import Reference

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("app", "docker.io/library/app:latest"),
        ("app:v1", "docker.io/library/app:v1"),
        ("team/app", "docker.io/team/app:latest"),
        ("docker.io/app", "docker.io/library/app:latest"),
        ("index.docker.io/app", "docker.io/library/app:latest"),
        ("index.docker.io/team/app:x", "docker.io/team/app:x"),
        ("localhost/app", "localhost/app:latest"),
        ("localhost:5000/team/app:V_1.2-x", "localhost:5000/team/app:V_1.2-x"),
        ("127.0.0.1:5000/app", "127.0.0.1:5000/app:latest"),
        ("[::1]:5000/app", "[::1]:5000/app:latest"),
        ("[fd00::1]/app:x", "[fd00::1]/app:x"),
        ("host.example/a/b/c__d/e-f.g", "host.example/a/b/c__d/e-f.g:latest"),
        ("HOST/app", "HOST/app:latest"),
        (f"app@{DIGEST}", f"docker.io/library/app@{DIGEST}"),
        (f"host.example/app:v1@{DIGEST}", f"host.example/app:v1@{DIGEST}"),
    ],
)
def test_it_is_completed_as_docker_does(text, whole):
    reference = Reference.parse(text)
    assert str(reference) == whole
    assert Reference.parse(whole) == reference


def test_a_digest_counts_more_than_a_tag():
    assert Reference.parse(f"app:v1@{DIGEST}").target == DIGEST
    assert Reference.parse("app:v1").target == "v1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":tag",
        "@" + DIGEST,
        "App",
        "team/App",
        "app:",
        "app:-x",
        "app:" + "x" * 129,
        "app:a:b",
        "app@sha256:zz",
        f"app@{DIGEST}@{DIGEST}",
        "a//b",
        "/app",
        "app/",
        "host.example/",
        "host_.example:5000/app",
        "host.example:port/app",
        "[::1/app",
        "-host.example/app",
        "http://host.example/app",
        "a___b",
        "a..b/c",
        "../app",
        DIGEST.partition(":")[2],
        "a/" * 127 + "ab",
        "app\n",
        "äpp",
    ],
)
def test_what_is_none(text):
    with pytest.raises(InvalidReference, match="not an image reference"):
        Reference.parse(text)
