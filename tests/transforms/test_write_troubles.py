"""The writing steps in a pipeline during server errors: all snapshots and all changes arrive."""

import pickle
from urllib.parse import urlsplit

import apache_beam as beam
import pytest

from local.embedded_redis import EmbeddedRedis
from segmentation.memberships import Change, Snapshot
from stores.redis.access import RedisTarget, access_to
from stores.secrets import secrets_of
from tests.stores.redis.certificates import Authority
from tests.stores.redis.cluster import running_cluster
from tests.stores.redis.relay import Relay
from tests.stores.redis.troubles import TROUBLES
from tests.stores.samples import DAY_MS, change, client_of, snapshot
from tests.stores.secret_manager import CA_SECRET, PASSWORD_SECRET, make_shared_client, shared
from transforms.write_changes import WriteChanges
from transforms.write_segments import WriteSegments

BUNDLE_BASED = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"
PROFILES = 60
PAUSES_OF_A_BUNDLE = 7

both_runners = pytest.mark.parametrize("runner", [BUNDLE_BASED, "FnApiRunner"], ids=["bundles", "fn_api"])

on_pause = None


def pause(seconds):
    """The sleep of the steps: it goes to the workers by its name."""
    on_pause(seconds)


@pytest.fixture
def pauses():
    """A list of what was paused, and the sleep that notes it."""
    global on_pause
    noted = []
    on_pause = noted.append
    return noted


@pytest.fixture
def manager():
    """The Secret Manager that steps find by its name, empty."""
    shared.held.clear()
    shared.reads.clear()
    secrets_of.cache_clear()
    access_to.cache_clear()
    yield shared
    access_to.cache_clear()


def run(target, runner=BUNDLE_BASED):
    """Writes a snapshot and a change of every profile."""
    pipeline = beam.Pipeline(runner=runner)
    options = {"key_prefix": "segments:", "ttl_ms": DAY_MS, "sleep": pause}
    snapshots = [snapshot(version, f"user-{number}") for version in (1, 2) for number in range(PROFILES)]
    changes = [change(number, f"user-{number}") for number in range(PROFILES)]
    _ = (
        pipeline
        | "Snapshots" >> beam.Create(snapshots).with_output_types(Snapshot)
        | WriteSegments(target, **options)
    )
    _ = (
        pipeline
        | "Changes" >> beam.Create(changes).with_output_types(Change)
        | WriteChanges(target, **options)
    )
    pipeline.run().wait_until_finish()


def assert_all_written(*clients):
    stored, ids = {}, []
    for client in clients:
        for key in client.keys("segments:*"):
            if key == "segments:changes":
                ids += [fields["change_id"] for _, fields in client.xrange(key)]
            else:
                stored[key] = client.hget(key, "version")
    assert stored == {f"segments:profile:user-{number}": "2" for number in range(PROFILES)}
    assert set(ids) == {f"change-{number}" for number in range(PROFILES)}, "at least once"


@pytest.mark.parametrize("name", TROUBLES)
def test_a_bundle_that_failed_is_written_again_and_nothing_is_dropped(own_server, in_trouble, name):
    global on_pause
    trouble = in_trouble(name, pauses=PAUSES_OF_A_BUNDLE + 3)
    on_pause = trouble.sleep
    run(RedisTarget(trouble.url))
    assert trouble.pauses >= PAUSES_OF_A_BUNDLE + 3
    with client_of(own_server) as client:
        assert_all_written(client)


@pytest.mark.parametrize("name", ["stopped", "full"])
def test_a_trouble_that_stays_ends_a_run_with_its_name(in_trouble, name):
    global on_pause
    trouble = in_trouble(name, pauses=0)
    on_pause = trouble.sleep
    with pytest.raises(Exception, match=f"Redis took 0 of .* writes, then: {trouble.code}: "):
        run(RedisTarget(trouble.url), "FnApiRunner")


@both_runners
class TestSecrets:
    def test_open_tls_and_the_server(self, tmp_path, manager, pauses, runner):
        authority = Authority()
        manager.held |= {PASSWORD_SECRET: b"sesame", CA_SECRET: authority.pem}
        tls = authority.server_context(tmp_path / "tls", "127.0.0.1")
        with EmbeddedRedis(tmp_path / "redis", password="sesame") as server:
            with Relay(urlsplit(server.url).path, tls) as relay, client_of(server) as client:
                client.acl_setuser(
                    "writer", enabled=True, passwords=["+sesame"], keys=["segments:*"], categories=["+@all"]
                )
                url = f"rediss://writer@127.0.0.1:{relay.port}/0"
                run(RedisTarget(url, PASSWORD_SECRET, CA_SECRET, make_shared_client), runner)
                assert_all_written(client)
        assert manager.reads == [PASSWORD_SECRET, CA_SECRET], "once in the process"
        assert pauses == []

    def test_that_cannot_be_read_end_the_run_with_their_name(self, redis_url, manager, pauses, runner):
        with pytest.raises(Exception, match=f"{PASSWORD_SECRET} cannot be read: NotFound: no such version"):
            run(RedisTarget(redis_url, PASSWORD_SECRET, None, make_shared_client), runner)


def test_a_rotation_longer_than_a_bundle_drops_nothing(tmp_path, manager):
    global on_pause
    noted = []

    def note(seconds):
        noted.append(seconds)
        if len(noted) == PAUSES_OF_A_BUNDLE + 3:
            manager.held[PASSWORD_SECRET] = b"simsim"

    on_pause = note
    manager.held[PASSWORD_SECRET] = b"sesame"
    with EmbeddedRedis(tmp_path, password="simsim") as server, client_of(server) as client:
        run(RedisTarget(f"unix://{urlsplit(server.url).path}", PASSWORD_SECRET, None, make_shared_client))
        assert_all_written(client)


@pytest.mark.parametrize("step", [WriteSegments, WriteChanges])
def test_secrets_do_not_travel_with_a_step(own_server, manager, step):
    manager.held[PASSWORD_SECRET] = b"sesame"
    target = RedisTarget(own_server.url, PASSWORD_SECRET, None, make_shared_client)
    access_to(target).client()
    transform = step(target, key_prefix="segments:", ttl_ms=DAY_MS)
    pickled = pickle.dumps(transform)
    assert PASSWORD_SECRET.encode() in pickled
    assert b"sesame" not in pickled
    assert "sesame" not in repr(transform)


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_cluster_gets_all(tmp_path, pauses, nodes):
    with running_cluster(tmp_path, nodes) as started:
        for runner in (BUNDLE_BASED, "FnApiRunner"):
            for node in started:
                node.admin.flushall()
            run(RedisTarget(started[0].url), runner)
            assert_all_written(*(node.admin for node in started))
