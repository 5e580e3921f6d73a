import json

import pytest

from cachexport import Descriptor, Digest
from cachexport.errors import WireFormat
from cachexport.model.envelope.manifest import (
    Form,
    decode_manifest,
    encode_manifest,
    requested_form,
)
from cachexport.oci import mediatype

CONFIG = Descriptor(media_type=mediatype.CACHE_CONFIG_V0, digest=Digest.of(b"c"), size=1)
LAYERS = [
    Descriptor(media_type=mediatype.OCI_LAYER_GZIP, digest=Digest.of(b"1"), size=1),
    Descriptor(media_type=mediatype.DOCKER_LAYER_ZSTD, digest=Digest.of(b"2"), size=2),
    Descriptor(media_type=mediatype.OCI_LAYER_GZIP, digest=Digest.of(b"1"), size=1),
]


@pytest.mark.parametrize("form", Form)
def test_what_is_written_is_read(form):
    manifest = decode_manifest(encode_manifest(form, LAYERS, CONFIG))
    assert manifest.form is form
    assert manifest.cache_config == CONFIG
    assert [desc.digest for desc in manifest.cache_layers] == [desc.digest for desc in LAYERS]
    spelled = {desc.media_type for desc in manifest.cache_layers}
    docker = {mediatype.DOCKER_LAYER_GZIP, mediatype.DOCKER_LAYER_ZSTD}
    oci = {mediatype.OCI_LAYER_GZIP, mediatype.OCI_LAYER_ZSTD}
    assert spelled == (docker if form is Form.DOCKER_LIST else oci)


@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("other", Form)
def test_changing_the_form_and_back_changes_no_byte(form, other):
    raw = encode_manifest(form, LAYERS, CONFIG)
    changed = encode_manifest(other, decode_manifest(raw).cache_layers, CONFIG)
    assert encode_manifest(form, decode_manifest(changed).cache_layers, CONFIG) == raw


@pytest.mark.parametrize(
    ("image_manifest", "oci_mediatypes", "source", "expected"),
    [
        (None, None, None, Form.IMAGE_MANIFEST),
        (False, None, None, Form.OCI_INDEX),
        (None, False, None, Form.DOCKER_LIST),
        (False, False, Form.IMAGE_MANIFEST, Form.DOCKER_LIST),
        (True, None, Form.DOCKER_LIST, Form.IMAGE_MANIFEST),
        (True, True, Form.OCI_INDEX, Form.IMAGE_MANIFEST),
        (False, True, Form.DOCKER_LIST, Form.OCI_INDEX),
        (False, None, Form.DOCKER_LIST, Form.DOCKER_LIST),
        (False, None, Form.IMAGE_MANIFEST, Form.OCI_INDEX),
        (None, True, Form.DOCKER_LIST, Form.OCI_INDEX),
        (None, True, Form.IMAGE_MANIFEST, Form.IMAGE_MANIFEST),
        (None, None, Form.OCI_INDEX, Form.OCI_INDEX),
        (None, None, Form.DOCKER_LIST, Form.DOCKER_LIST),
    ],
)
def test_what_attributes_ask_for(image_manifest, oci_mediatypes, source, expected):
    assert requested_form(image_manifest, oci_mediatypes, source) is expected


@pytest.mark.parametrize(
    ("value", "media_type"),
    [
        ({"config": None}, mediatype.DOCKER_MANIFEST),
        ({"layers": []}, mediatype.DOCKER_MANIFEST),
        ({}, mediatype.DOCKER_MANIFEST_LIST),
        ({"manifests": [], "mediaType": mediatype.OCI_INDEX}, mediatype.OCI_INDEX),
        ({"mediaType": "text/plain", "layers": []}, mediatype.DOCKER_MANIFEST),
        ({"layers": [], "mediaType": mediatype.OCI_MANIFEST}, mediatype.OCI_MANIFEST),
    ],
)
def test_kinds_are_told_as_buildkit_does(value, media_type):
    assert decode_manifest(json.dumps(value).encode()).media_type == media_type


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "wants an object"),
        ({"config": {}, "manifests": []}, "has both"),
        ({"config": {}, "mediaType": mediatype.OCI_INDEX}, "does not match"),
        ({"manifests": [], "mediaType": mediatype.OCI_MANIFEST}, "does not match"),
        ({"manifests": [{"digest": "x"}]}, r"at manifests\[0\].digest"),
        ({"config": {"digest": "x"}, "layers": []}, r"at config.digest"),
        ({"config": None, "layers": [{"size": "1"}]}, r"at layers\[0\].size"),
    ],
)
def test_what_is_no_manifest(value, message):
    with pytest.raises(WireFormat, match=message):
        decode_manifest(json.dumps(value).encode())
