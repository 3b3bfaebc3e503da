"""TLS with private certificates. A relay in front of the server terminates TLS, because the server's build lacks it."""

import ssl
import traceback
from urllib.parse import urlsplit

import pytest
from google.api_core import exceptions

from stores.redis.access import RedisTarget
from stores.secrets import SecretError
from stores.segments.writer import SegmentStore, SegmentStoreError
from tests.stores.redis.certificates import Authority
from tests.stores.redis.relay import Relay
from tests.stores.samples import DAY_MS, no_sleep, snapshot
from tests.stores.secret_manager import CA_SECRET, FakeSecretManager


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def relay(authority, redis_url, tmp_path):
    with Relay(
        urlsplit(redis_url).path, tls=authority.server_context(tmp_path / "tls", "127.0.0.1")
    ) as relay:
        yield relay


@pytest.fixture
def manager(authority):
    manager = FakeSecretManager()
    manager.held[CA_SECRET] = authority.pem
    return manager


def target_of(relay, manager, host="127.0.0.1"):
    return RedisTarget(f"rediss://{host}:{relay.port}", None, CA_SECRET, manager.make_client)


def store_of(relay, manager, sleep=no_sleep, **options):
    return SegmentStore(target_of(relay, manager, **options), ttl_ms=DAY_MS, sleep=sleep)


def refusal_of(store):
    with pytest.raises(SegmentStoreError) as caught:
        store.write_snapshots([snapshot(1)])
    shown = "".join(traceback.format_exception(caught.value))
    assert "BEGIN CERTIFICATE" not in shown
    assert "alice" not in str(caught.value)
    return str(caught.value)


def test_a_server_with_a_certificate_of_the_authority_is_trusted(relay, manager, redis_client):
    store = store_of(relay, manager)
    assert manager.reads == [CA_SECRET], "read at set-up"
    batch = [snapshot(1, str(number), traits={"text": "x" * 1_000}) for number in range(500)]
    assert store.write_snapshots(batch).accepted == 500
    assert redis_client.dbsize() == 500
    assert manager.reads == [CA_SECRET]


def test_one_of_another_authority_is_not_however_often_the_secret_is_read(
    relay, manager, redis_client, tmp_path
):
    relay.tls = Authority().server_context(tmp_path / "other", "127.0.0.1")
    pauses = []
    assert refusal_of(store_of(relay, manager, pauses.append)) == (
        "Redis took 0 of 1 writes, then: CERTIFICATE: the server's certificate is not trusted: check"
        " the secret with the CA certificates"
    )
    assert len(pauses) == 7
    assert len(manager.reads) == 8
    assert redis_client.dbsize() == 0


def test_an_expired_one_is_not_trusted(relay, manager, authority, tmp_path):
    relay.tls = authority.server_context(tmp_path / "old", "127.0.0.1", expired=True)
    assert "CERTIFICATE: " in refusal_of(store_of(relay, manager, lambda seconds: None))


@pytest.mark.parametrize("host", ["redis.example", "127.0.0.2"])
def test_one_of_another_host_is_refused_at_once(relay, manager, authority, tmp_path, host):
    relay.tls = authority.server_context(tmp_path / "other", host)
    assert "HOSTNAME: the server's certificate does not contain the host" in refusal_of(
        store_of(relay, manager)
    )
    assert manager.reads == [CA_SECRET]


def test_the_name_may_be_left_unchecked(relay, manager, authority, tmp_path):
    relay.tls = authority.server_context(tmp_path / "other", "redis.example")
    url = f"rediss://127.0.0.1:{relay.port}?ssl_check_hostname=False"
    store = SegmentStore(
        RedisTarget(url, None, CA_SECRET, manager.make_client), ttl_ms=DAY_MS, sleep=no_sleep
    )
    assert store.write_snapshots([snapshot(1)]).accepted == 1


def test_without_the_secret_the_systems_authorities_count(relay):
    store = SegmentStore(RedisTarget(f"rediss://127.0.0.1:{relay.port}"), ttl_ms=DAY_MS, sleep=no_sleep)
    assert "CERTIFICATE: " in refusal_of(store)


def test_after_a_rotation_the_secret_is_read_again(relay, manager, redis_client, tmp_path):
    store = store_of(relay, manager)
    store.write_snapshots([snapshot(1)])
    successor = Authority("its successor")
    relay.tls = successor.server_context(tmp_path / "new", "127.0.0.1")
    relay.hang_up()
    pauses = []

    def sleep(seconds):
        """The secret's new version comes a little later than the server's new certificate."""
        pauses.append(seconds)
        if len(pauses) == 3:
            manager.held[CA_SECRET] = successor.pem

    store = store_of(relay, manager, sleep)
    assert store.write_snapshots([snapshot(2), snapshot(1, "bob")]).accepted == 2
    assert len(pauses) == 3
    assert redis_client.hget("segments:profile:alice", "version") == "2"


def test_a_secret_manager_that_is_away_during_a_rotation_is_waited_for(relay, manager, tmp_path):
    store_of(relay, manager)
    successor = Authority("its successor")
    relay.tls = successor.server_context(tmp_path / "new", "127.0.0.1")
    manager.held[CA_SECRET] = exceptions.ServiceUnavailable("away")
    pauses = []

    def sleep(seconds):
        pauses.append(seconds)
        if len(pauses) == 4:
            manager.held[CA_SECRET] = successor.pem

    assert store_of(relay, manager, sleep).write_snapshots([snapshot(1)]).accepted == 1
    assert len(pauses) == 4


def test_one_that_refuses_the_secret_fails_the_write(relay, manager, tmp_path):
    store = store_of(relay, manager, lambda seconds: None)
    relay.tls = Authority().server_context(tmp_path / "new", "127.0.0.1")
    manager.held[CA_SECRET] = exceptions.PermissionDenied("no")
    assert refusal_of(store).startswith(
        f"Redis took 0 of 1 writes, then: {CA_SECRET} cannot be read: PermissionDenied: grant"
    )


@pytest.mark.parametrize(
    "held", [b"no certificate", "Zertifikat für alle".encode(), b"-----BEGIN CERTIFICATE-----"]
)
def test_a_secret_without_certificates_is_refused_at_set_up(relay, manager, authority, held):
    manager.held[CA_SECRET] = held
    with pytest.raises(SecretError, match="redis-ca/versions/latest cannot be read: .* PEM form") as caught:
        store_of(relay, manager)
    assert "Zertifikat" not in "".join(traceback.format_exception(caught.value))
    manager.held[CA_SECRET] = authority.pem
    assert store_of(relay, manager).write_snapshots([snapshot(1)]).accepted == 1


def test_several_certificates_may_be_trusted_at_a_time(relay, manager, authority):
    manager.held[CA_SECRET] = Authority("another").pem + b"\n" + authority.pem
    assert store_of(relay, manager).write_snapshots([snapshot(1)]).accepted == 1


def test_a_server_that_wants_a_clients_certificate_is_named(relay, manager, authority, tmp_path):
    (tmp_path / "ca.pem").write_bytes(authority.pem)
    relay.tls.load_verify_locations(tmp_path / "ca.pem")
    relay.tls.verify_mode = ssl.CERT_REQUIRED
    refusal = refusal_of(store_of(relay, manager, lambda seconds: None))
    assert (
        "TLS: TLS failed: check the port in the Redis URL, and whether the server requires a client"
        in refusal
    )
    files = f"ssl_certfile={tmp_path}/tls/certificate.pem&ssl_keyfile={tmp_path}/tls/key.pem"
    url = f"rediss://127.0.0.1:{relay.port}?{files}"
    target = RedisTarget(url, None, CA_SECRET, manager.make_client)
    assert SegmentStore(target, ttl_ms=DAY_MS, sleep=no_sleep).write_snapshots([snapshot(1)]).accepted == 1


def test_tls_towards_a_port_without_it_is_out_of_reach(relay, manager):
    relay.tls = None
    url = f"rediss://127.0.0.1:{relay.port}?socket_timeout=0.01"
    store = SegmentStore(
        RedisTarget(url, None, CA_SECRET, manager.make_client), ttl_ms=DAY_MS, sleep=lambda seconds: None
    )
    assert "out of reach: check that the Redis URL leads to a running Redis" in refusal_of(store)


def test_a_port_with_tls_without_tls_is_out_of_reach(relay):
    pauses = []
    store = SegmentStore(RedisTarget(f"redis://127.0.0.1:{relay.port}"), ttl_ms=DAY_MS, sleep=pauses.append)
    assert "out of reach: check that the Redis URL leads to a running Redis" in refusal_of(store)
    assert len(pauses) == 7
