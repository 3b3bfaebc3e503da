import base64

import msgspec
import pytest

from services.collector.keys import WriteKeys, basic_user, text_field
from services.collector.settings import Source

WEB = Source(name="web", write_key="web-write-key")
SERVER = Source(name="server", write_key="server-write-key")
KEYS = WriteKeys([WEB, SERVER])


def basic(text):
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_a_key_finds_its_source():
    assert KEYS.source("web-write-key") is WEB
    assert KEYS.source("server-write-key") is SERVER


@pytest.mark.parametrize(
    "key",
    ["", "web-write-ke", "web-write-key ", "WEB-WRITE-KEY", "web-write-keyserver-write-key", "é", "\ud800"],
)
def test_any_other_key_finds_none(key):
    assert KEYS.source(key) is None


def test_keys_are_compared_in_constant_time_and_by_digests_of_a_secret(monkeypatch):
    compared = []
    monkeypatch.setattr(
        "services.collector.keys.hmac.compare_digest", lambda a, b: compared.append((a, b)) or a == b
    )
    for key in ("web-write-key", "web-write-kez", "x"):
        KEYS.source(key)
    assert len(compared) == 3, "also where there is no such key"
    assert {len(digest) for pair in compared for digest in pair} == {32}
    assert compared[0] != (WriteKeys([WEB])._digest("web-write-key"),) * 2, "the secret is each process's own"


@pytest.mark.parametrize(
    "header, user",
    [
        (basic("key:"), "key"),
        (basic("key:password"), "key"),
        (basic("key"), "key"),
        (basic("key:").replace("Basic", "bAsIc"), "key"),
        (basic("key").replace("Basic", "Basic:"), "key"),  # Segment's SDK for Roku
        (basic(":"), None),
        (basic(""), None),
        ("Bearer abc", None),
        ("Basic", None),
        ("Basic !!!", None),
        ("Basic " + base64.b64encode(b"\xff:").decode(), None),
        ("", None),
        (None, None),
    ],
)
def test_the_user_name_of_basic_authentication(header, user):
    assert basic_user(header) == user


@pytest.mark.parametrize(
    "value, text", [(b'"key"', "key"), (b"5", None), (b"null", None), (b"{}", None), (b'"\xff"', None)]
)
def test_a_field_counts_if_it_is_a_text(value, text):
    assert text_field({"writeKey": msgspec.Raw(value)}, "writeKey") == text
    assert text_field({}, "writeKey") is None
