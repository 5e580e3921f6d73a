import pytest

from cachexport import Descriptor, Digest
from cachexport.errors import WireFormat
from cachexport.oci import gojson, mediatype
from cachexport.oci.compression import Compression
from cachexport.oci.descriptor import UNCOMPRESSED, Platform

DIGEST = Digest.of(b"x")


def test_it_is_written_in_gos_order_with_sorted_annotations():
    desc = Descriptor(
        media_type="a/b+c",
        digest=DIGEST,
        size=7,
        urls=("http://one", "http://two"),
        annotations={"z": "<", "a": "1"},
        data=b"hi",
        platform=Platform(architecture="arm64", os="linux", os_features=("f",), variant="v8"),
        artifact_type="t",
    )
    assert desc.encode() == (
        f'{{"mediaType":"a/b+c","digest":"{DIGEST}","size":7,"urls":["http://one","http://two"],'
        '"annotations":{"a":"1","z":"\\u003c"},"data":"aGk=",'
        '"platform":{"architecture":"arm64","os":"linux","os.features":["f"],"variant":"v8"},'
        '"artifactType":"t"}'
    )
    assert Descriptor.decode(gojson.loads(desc.encode().encode())) == desc


def test_what_is_empty_is_left_out():
    desc = Descriptor(media_type="m", digest=DIGEST, size=0, platform=Platform())
    assert desc.encode() == (
        f'{{"mediaType":"m","digest":"{DIGEST}","size":0,"platform":{{"architecture":"","os":""}}}}'
    )


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"digest": "sha256:zz"}, "digest"),
        ({"digest": None}, "digest"),
        ({"size": -1}, "size"),
        ({"size": "7"}, "size"),
        ({"annotations": []}, "annotations"),
        ({"annotations": {"k": 1}}, "annotations['k']"),
        ({"data": "!"}, "data"),
        ({"urls": [1]}, "urls"),
        ({"platform": {"os": 1}}, "platform.os"),
    ],
)
def test_what_is_wrong_is_named(change, path):
    with pytest.raises(WireFormat) as raised:
        Descriptor.decode({"mediaType": "m", "digest": str(DIGEST), "size": 1} | change)
    assert raised.value.path == path


def test_the_diff_id_is_an_annotation():
    desc = Descriptor(digest=DIGEST, size=1, annotations={UNCOMPRESSED: Digest.of(b"y")})
    assert desc.diff_id == Digest.of(b"y")
    assert Descriptor(digest=DIGEST, size=1).diff_id is None


def test_layer_types_have_two_spellings():
    for compression in Compression:
        docker = mediatype.to_docker(compression.media_type)
        assert docker.startswith("application/vnd.docker.")
        assert mediatype.to_oci(docker) == compression.media_type
        assert Compression.of(docker) is Compression.of(compression.media_type) is compression
    assert mediatype.to_oci("text/plain") == mediatype.to_docker("text/plain") == "text/plain"
    assert Compression.of("text/plain") is None
