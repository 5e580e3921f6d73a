import logging
from dataclasses import dataclass
from pathlib import Path

import pytest

from cachexport.contract.attributes import attribute, integer, read_attributes
from cachexport.contract.export import CommonExport
from cachexport.contract.spec import parse_spec
from cachexport.errors import InvalidAttr, InvalidInputError
from cachexport.oci.compression import Compression


@pytest.mark.parametrize(
    ("text", "kind", "attrs"),
    [
        ("type=local,dest=out", "local", {"dest": "out"}),
        ("user/app:cache", "registry", {"ref": "user/app:cache"}),
        ("[::1]:5000/app", "registry", {"ref": "[::1]:5000/app"}),
        ("type=registry,ref=a/b:c", "registry", {"ref": "a/b:c"}),
        ("DEST=Out,Type=local", "local", {"dest": "Out"}),
        ('type=local,"dest=a,b"', "local", {"dest": "a,b"}),
        ('type=local,"dest=say ""hi"""', "local", {"dest": 'say "hi"'}),
        ("type=s3,name=a;b,prefix=", "s3", {"name": "a;b", "prefix": ""}),
        ("type=x,k=a=b", "x", {"k": "a=b"}),
        ("type=x,k=a\nb", "x", {"k": "a\nb"}),
        ("type=x,k=1,k=2", "x", {"k": "2"}),
    ],
)
def test_what_is_read(text, kind, attrs):
    spec = parse_spec(text)
    assert (spec.type, dict(spec.attrs)) == (kind, attrs)
    assert parse_spec(str(spec)) == spec


def test_a_path_is_no_specification():
    with pytest.raises(InvalidInputError, match="named by text"):
        parse_spec(Path("x"))


def test_secrets_are_not_shown():
    spec = parse_spec("secret_access_key=hunter2,Token=hunter3,type=s3,bucket=b")
    assert str(spec) == "type=s3,secret_access_key=***,token=***,bucket=b"
    with pytest.raises(InvalidAttr) as raised:
        read("type=x,dest=d,colour=red,secret_access_key=hunter2")
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "text", ["session_token=hunter2", "type=s3,session_token=hunter2,x", 'password=hunter2,"']
)
def test_not_even_when_it_cannot_be_read(text):
    with pytest.raises(InvalidInputError) as raised:
        parse_spec(text)
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dest=out",
        "type=",
        "type=local,dest",
        '"type=local',
        "=x",
        'type=local,dest="a"',
        'type=local,dest=a"b',
        'type=local,"dest=a"b',
    ],
)
def test_what_is_refused(text):
    with pytest.raises(InvalidInputError):
        parse_spec(text)


@dataclass(frozen=True, kw_only=True)
class Export(CommonExport):
    dest: str = attribute("dest", summary="where to")


def read(text):
    return read_attributes(Export, parse_spec(text), ignored=["src"])


def test_attributes_become_a_data_class():
    export = read(
        "type=x,dest=d,mode=min,image-manifest=1,oci-mediatypes=T,compression=zstd,"
        "compression-level=3,force-compression=,ignore-error=false"
    )
    assert export == Export(
        dest="d",
        mode="min",
        image_manifest=True,
        oci_mediatypes=True,
        compression=Compression.ZSTD,
        compression_level=3,
        force_compression=True,
        ignore_error=False,
    )


def test_absent_ones_have_no_value():
    assert read("type=x,dest=d") == Export(dest="d")
    assert Export(dest="d").mode is None


@pytest.mark.parametrize(
    ("attrs", "name", "message"),
    [
        ("", "dest", "needs dest="),
        ("dest=d,colour=red", "colour", "known: .*dest"),
        ("dest=d,mode=med", "mode", "min, max"),
        ("dest=d,image-manifest=yes", "image-manifest", "true or false"),
        ("dest=d,image-manifest=", "image-manifest", "true or false"),
        ("dest=d,compression=estargz", "compression", "estargz is not supported"),
        ("dest=d,compression=brotli", "compression", "uncompressed, gzip, zstd"),
        ("dest=d,compression-level=high", "compression-level", "high"),
        ("dest=d,compression-level=1_0", "compression-level", "1_0"),
        ("dest=d,compression-level=10", "compression-level", "-1 to 9"),
        ("dest=d,compression=zstd,compression-level=23", "compression-level", "0 to 22"),
        ("dest=d,image-manifest=true,oci-mediatypes=false", "image-manifest", "oci-mediatypes"),
    ],
)
def test_a_bad_one_is_named(attrs, name, message):
    with pytest.raises(InvalidAttr, match=message) as raised:
        read(f"type=x,{attrs}".rstrip(","))
    assert raised.value.name == name
    assert raised.value.exit_code == 2


@dataclass(frozen=True, kw_only=True)
class Family:
    options: dict[str, int] = attribute("option.*", integer, default=None, summary="more")


def test_a_family_is_a_mapping():
    assert read_attributes(Family, parse_spec("type=x")) == Family(options={})
    given = parse_spec("type=x,option.a=1,option.b.c=-2")
    assert read_attributes(Family, given).options == {"a": 1, "b.c": -2}
    for bad in ("option=1", "option.=1", "options.a=1", "option.a=x"):
        with pytest.raises(InvalidAttr) as raised:
            read_attributes(Family, parse_spec(f"type=x,{bad}"))
        assert raised.value.name == bad.partition("=")[0]


def test_no_secret_is_in_a_message():
    text = "type=x,option.api_token=s3cret,registry.password=s3cret,my-secret=s3cret"
    assert "s3cret" not in str(parse_spec(text))
    with pytest.raises(InvalidAttr) as raised:
        read_attributes(Family, parse_spec("type=x,option.api_token=s3cret"))
    assert "s3cret" not in str(raised.value)


def test_the_other_directions_are_noted(caplog):
    caplog.set_level(logging.INFO)
    assert read("type=x,dest=d,src=s") == Export(dest="d")
    assert "attribute src has no effect here" in caplog.text
