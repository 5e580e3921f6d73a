"""`doctor` on S3 servers, and on what somebody may not do there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from services.diagnoses import MAX, TAG, found, outcomes
from services.s3_places import (
    DENIED,
    NAMES,
    READING,
    UNKNOWN,
    Place,
    conditional,
    forget_logins,
    listing,
    log_in,
)
from support import ROOT
from support.services.faulty_proxy import Failure, FaultyProxy

from cachexport import copy_cache
from cachexport.cli import main
from cachexport.contract.checks import Outcome
from cachexport.doctor.engine import doctor
from cachexport.errors import InvalidAttr

if TYPE_CHECKING:
    from pathlib import Path

    from support.services.messages import Request
    from support.services.s3 import S3

BACKENDS = ROOT / "docs" / "backends.md"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    forget_logins(monkeypatch, tmp_path / "home")


@pytest.fixture
def place(s3: S3, prefix: str) -> Place:
    return Place(s3, prefix)


@pytest.fixture
def moto(moto_s3: S3, prefix: str) -> Place:
    return Place(moto_s3, prefix)


def test_a_good_server(place: Place) -> None:
    checks = place.examine()
    assert list(checks) == NAMES
    assert outcomes(checks) == {}
    assert place.is_clean()
    assert checks["reach"].facts["endpoint"] == place.s3.endpoint
    assert checks["race"].facts["won_by_both"] == 0
    assert checks["checksums"].facts == {"known": True, "checked": True}
    assert checks["parts"].facts == {"bytes": (5 << 20) + 1024}
    access = place.s3.admin.access
    assert checks["login"].text == f"{access[:4]}…{access[-4:]}, from access_key_id="


def test_a_cache_that_is_there_is_left_as_it_is(place: Place) -> None:
    copy_cache([MAX], [place.spec()])

    def state() -> dict[str, object]:
        listed = place.s3.client.list_objects_v2(Bucket=place.s3.shared, Prefix=place.prefix)
        return {item["Key"]: (item["ETag"], item["LastModified"]) for item in listed["Contents"]}

    before = state()
    checks = place.examine()
    assert state() == before
    assert checks["read"].facts == {"found": "cache", "form": "image-manifest", "records": 16}
    assert checks["list"].facts == {"blobs": 12, "all": True}


def recorded(proxy: FaultyProxy, seen: list[Request]) -> None:
    """Have a proxy note every request, and let none fail."""
    proxy.every = 1
    proxy.when = lambda request: seen.append(request)  # type: ignore[assignment, func-returns-value]


def test_only_its_own_keys_are_written(place: Place) -> None:
    seen: list[Request] = []
    with FaultyProxy(place.s3.endpoint) as proxy:
        recorded(proxy, seen)
        place.examine(endpoint=proxy.url)
    changing = {request.path for request in seen if request.method not in ("GET", "HEAD")}
    below = f"/{place.s3.shared}/{place.prefix}"
    blobs = {path for path in changing if "sha256" in path}
    assert len(blobs) == 1
    own = re.compile(rf"{below}(blobs|manifests)/{TAG.pattern}(-[a-z]+)?")
    assert all(own.fullmatch(path) for path in changing - blobs)
    assert {path for path in changing if "-parts" in path}


def test_read_only_only_reads(place: Place) -> None:
    seen: list[Request] = []
    with FaultyProxy(place.s3.endpoint) as proxy:
        recorded(proxy, seen)
        checks = found(doctor(place.spec(endpoint=proxy.url), read_only=True))
    assert list(checks) == READING
    assert outcomes(checks) == {}
    assert {request.method for request in seen} == {"GET", "HEAD"}


def test_a_digest_is_only_read(place: Place) -> None:
    copy_cache([MAX], [place.spec()])
    checks = place.examine(f"digest={'sha256:' + 64 * '0'}")
    assert list(checks) == [*READING[:6], "read", "write"]
    assert checks["read"].exit_code == 66
    assert checks["write"].outcome is Outcome.SKIPPED


def test_who_may_only_read(place: Place) -> None:
    diagnosis = doctor(place.spec(key=place.s3.reader))
    checks = found(diagnosis)
    assert diagnosis.exit_code == 77
    assert {checks[name].outcome for name in READING} == {Outcome.OK}
    assert f"s3://{place.s3.shared}/{place.prefix}blobs/sha256:" in checks["write"].text
    assert "s3:PutObject" in checks["write"].text
    where = f"arn:aws:s3:::{place.s3.shared}/{place.prefix}*"
    assert checks["write"].advice == f"allow s3:PutObject on {where}"
    assert checks["clean-up"].text == "needs write, which failed"


def test_settings_need_more_permissions(place: Place) -> None:
    attrs = "tags=team=a,sse=aws:kms,sse_kms_key_id=k"
    write = place.examine(attrs, key=place.s3.reader)["write"]
    assert "s3:PutObject, s3:PutObjectTagging, kms:GenerateDataKey and kms:Decrypt" in write.advice


def test_who_may_do_nothing_in_this_bucket(
    place: Place, bucket: str, caplog: pytest.LogCaptureFixture
) -> None:
    diagnosis = doctor(place.spec(f"bucket={bucket}", key=place.s3.tenant))
    checks = found(diagnosis)
    assert diagnosis.exit_code == 77
    assert checks["login"].outcome is Outcome.OK
    assert checks["bucket"].outcome is Outcome.NOTE
    below = f"arn:aws:s3:::{bucket}/{place.prefix}*"
    assert checks["list"].advice == f"allow s3:ListBucket on arn:aws:s3:::{bucket}"
    assert checks["read"].advice.startswith(f"allow s3:GetObject on {below}, and")
    assert checks["write"].advice == f"allow s3:PutObject on {below}"
    # Nothing is left behind, so there is nothing to tell of.
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("attrs", "code", "check", "text", "advice"),
    [
        ("secret_access_key=wrong", 77, "login", "secret does not fit", "access_key_id="),
        ("access_key_id=AKNOBODY", 77, "login", "AK…, from access_key_id=, is", "access_key_id="),
        ("bucket=no-such-bucket", 74, "bucket", "NoSuchBucket", "aws s3 mb s3://no-such-bucket"),
        ("endpoint_url=http://127.0.0.1:9", 74, "reach", "nothing answers", "endpoint_url="),
        ("profile=nobody", 77, "reach", "ProfileNotFound", "profile="),
    ],
)
def test_a_wrong_setting(
    place: Place, attrs: str, code: int, check: str, text: str, advice: str
) -> None:
    diagnosis = doctor(place.spec(attrs))
    failures = {name: it for name, it in found(diagnosis).items() if it.exit_code}
    assert diagnosis.exit_code == code
    assert list(failures) == [check]
    assert text in failures[check].text
    assert advice in failures[check].advice
    assert place.s3.admin.secret not in repr(diagnosis.results)


def test_without_a_login(place: Place) -> None:
    login = found(doctor(place.bare()))["login"]
    assert login.exit_code == 77
    for way in ("$AWS_ACCESS_KEY_ID", "profile=", "anonymous=true"):
        assert way in login.advice


def test_as_nobody(place: Place) -> None:
    diagnosis = doctor(place.bare("anonymous=true"))
    checks = found(diagnosis)
    assert diagnosis.exit_code == 77
    assert checks["login"].outcome is Outcome.NOTE
    assert {name for name, it in checks.items() if it.exit_code} == {"list", "read", "write"}
    assert "leave anonymous out" in checks["write"].advice


def test_without_a_bucket() -> None:
    with pytest.raises(InvalidAttr, match="bucket="):
        doctor("type=s3")


@pytest.mark.parametrize("source", ["environment", "file", "role"])
def test_where_a_login_comes_from(
    moto: Place, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, attrs = moto.s3.admin, ""
    if source == "file":
        log_in(tmp_path / "home", key)
        attrs = "profile=ci"
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key.access)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key.secret)
    if source == "role":
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", moto.s3.endpoint)
        attrs = "role_arn=arn:aws:iam::123456789012:role/caches"
    diagnosis = doctor(moto.bare(f"region=us-east-1,{attrs}".rstrip(",")), read_only=True)
    login = found(diagnosis)["login"]
    expected = {"environment": "env", "file": "shared-credentials-file", "role": "assume-role"}
    assert login.outcome is Outcome.OK
    assert login.facts["source"] == expected[source]
    assert key.secret not in repr(diagnosis)
    assert key.access not in repr(diagnosis)


def test_a_role_that_may_not_be_assumed(moto: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    body = b"<ErrorResponse><Error><Code>AccessDenied</Code></Error></ErrorResponse>"
    refusal = Failure(before=True, status=403, body=body)
    with FaultyProxy(moto.s3.endpoint, 1, [refusal]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", proxy.url)
        login = moto.examine("role_arn=arn:aws:iam::123456789012:role/caches")["login"]
    assert login.exit_code == 77
    assert "role/caches cannot be assumed (AccessDenied)" in login.text
    assert "sts:AssumeRole" in login.advice


def test_a_region_that_is_wrong_or_missing(moto: Place) -> None:
    moto.s3.client.create_bucket(
        Bucket="elsewhere", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    region = moto.examine("bucket=elsewhere")["region"]
    assert (region.outcome, region.facts["found"]) == (Outcome.WARNING, "eu-west-1")
    assert "set region=eu-west-1" in region.advice
    assert moto.examine("bucket=elsewhere,region=eu-west-1")["region"].outcome is Outcome.OK
    region = found(doctor(moto.bare()))["region"]
    assert (region.outcome, region.facts["given"]) == (Outcome.NOTE, None)
    assert "region=us-east-1" in region.advice


def test_the_page_of_backends_shows_what_is_shown(
    place: Place,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pattern = r"^```\n\$ AWS_PROFILE=ci cachexport doctor (\S+)\n(.*?)^```$"
    [(spec, shown)] = re.findall(pattern, BACKENDS.read_text(encoding="utf-8"), re.M | re.S)
    log_in(tmp_path / "home", place.s3.admin)
    monkeypatch.setenv("AWS_PROFILE", "ci")
    with (
        FaultyProxy(place.s3.endpoint, 1, [UNKNOWN], when=conditional) as unconditional,
        FaultyProxy(unconditional.url, 1, [DENIED], when=listing) as proxy,
    ):
        places = {"http://localhost:8333": proxy.url, "=caches": f"={place.s3.shared}"}
        asked = spec.replace("=app/", f"={place.prefix}")
        for there, here in places.items():
            asked = asked.replace(there, here)
        main(["doctor", asked])
    captured = capsys.readouterr()
    assert captured.err == ""
    told = captured.out.replace(place.prefix, "app/")
    for there, here in {**places, ":::caches": f":::{place.s3.shared}"}.items():
        told = told.replace(here, there)
    told = settled(told.replace(f"//{place.s3.shared}/", "//caches/"))
    for part in shown.split("…\n"):
        assert settled(part) in told


def settled(text: str) -> str:
    """Give the words, without what differs from one time to the next and how they are wrapped."""
    return " ".join(re.sub(r"AK\w+…\w+", "KEY", text).split())
