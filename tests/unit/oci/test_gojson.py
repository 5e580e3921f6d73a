import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cachexport.errors import WireFormat
from cachexport.oci import gojson


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('<a href="x">&', r'"\u003ca href=\"x\"\u003e\u0026"'),
        ("\u2028\u2029é€😀", r'"\u2028\u2029é€😀"'),
        ("\b\f\n\r\t\x00\x1f\x7f", '"\\b\\f\\n\\r\\t\\u0000\\u001f\x7f"'),
        ("\\/", r'"\\/"'),
        ("\ud800x", '"\ufffdx"'),
    ],
)
def test_quotes_as_go_does(text, quoted):
    assert gojson.quote(text) == quoted


@given(st.text())
def test_quoting_loses_nothing(text):
    quoted = gojson.quote(text)
    quoted.encode()
    assert json.loads(quoted) == gojson.clean(text)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[1,]", b"01", b"NaN", b"Infinity", b"-", b'"\x01"', b"{} {}", b"\xef\xbb\xbf{}"],
)
def test_what_is_no_json(raw):
    with pytest.raises(WireFormat, match="not JSON"):
        gojson.loads(raw)


def test_nesting_without_end_is_an_error_not_a_crash():
    with pytest.raises(WireFormat):
        gojson.loads(b"[" * 1_000_000)


def test_bytes_that_are_no_utf8_become_replacement_characters_each():
    assert gojson.loads(b'"a\xff\xe2\x82b"') == "a\ufffd\ufffd\ufffdb"


@pytest.mark.parametrize("value", [b"0.0", b"0e0", b"1.5", b"1e400", b"true", b'"1"', b"[]", b"{}"])
def test_what_is_no_integer(value):
    with pytest.raises(WireFormat, match="wants an integer"):
        gojson.integer(gojson.loads(value), "x")


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_integers_have_64_bits(value):
    with pytest.raises(WireFormat, match="64 bits"):
        gojson.integer(value, "x")
    assert gojson.integer(2**63 - 1, "x") == 2**63 - 1
    assert gojson.integer(-(2**63), "x") == -(2**63)


def test_a_number_is_no_string():
    with pytest.raises(WireFormat, match="wants a string"):
        gojson.string(gojson.loads(b"1.5"), "x")


def test_keys_in_any_case_the_last_one_counts():
    names = frozenset({"mediaType", "size"})
    assert gojson.fields({"MEDIATYPE": 1, "mediaType": 2, "other": 3}, names, "") == {
        "mediaType": 2
    }
    assert gojson.fields({"mediaType": 2, "MEDIATYPE": 1}, names, "") == {"mediaType": 1}
    assert gojson.fields({"\u017fize": 1}, names, "") == {"size": 1}
    assert gojson.fields({"ﬁt": 1}, frozenset({"fit"}), "") == {}


@pytest.mark.parametrize(
    ("text", "raw"), [("", b""), ("YQ==", b"a"), ("YQ==\n", b"a"), ("Y\r\nQ=\n=", b"a")]
)
def test_base64_may_have_lines(text, raw):
    assert gojson.base64(text, "x") == raw


@pytest.mark.parametrize("text", ["é", "!", "YQ", "YQ=", "YQ==YQ==", "Y Q==", "Y_-=", "\ufffd"])
def test_what_is_no_base64(text):
    with pytest.raises(WireFormat, match=r"not base64: .* at x"):
        gojson.base64(text, "x")


def test_where_it_failed_is_said():
    with pytest.raises(WireFormat, match=r"wants an integer, has null at a\[1\]\[2\]") as raised:
        gojson.each([[1], [1, 2, None]], "a", lambda v: gojson.each(v, "", strict_integer))
    assert raised.value.path == "a[1][2]"


def strict_integer(value):
    if value is None:
        raise WireFormat("wants an integer, has null")
    return gojson.integer(value, "")
