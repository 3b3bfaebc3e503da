"""The writing steps on the local runners, against a real server."""

import json
from typing import Any

import apache_beam as beam
import pytest
import redis
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream as BeamTestStream
from apache_beam.typehints.decorators import TypeCheckError

from local.embedded_redis import EmbeddedRedis
from segmentation.memberships import Change, Snapshot
from stores.clock import system_clock_ms
from stores.redis.access import RedisTarget
from transforms import write_segments as write_segments_module
from transforms.clock_checks import RedisClockCheck
from transforms.coders import MsgspecCoder
from transforms.rare_errors import RareError
from transforms.shards import SHARDS, shard_of
from transforms.write_changes import WriteChanges
from transforms.write_segments import WriteSegments

BUNDLE_BASED = "apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner"
DAY_MS = 86_400_000
HOUR_MS = 3_600_000

both_runners = pytest.mark.parametrize("runner", [BUNDLE_BASED, "FnApiRunner"], ids=["bundles", "fn_api"])

own_server: EmbeddedRedis | None = None
waited_seconds = 0.0


def snapshot(profile_id, version, **fields):
    return Snapshot(profile_id, version, "rules", 0, 0, **fields)


def change(number, profile_id="alice"):
    return Change(
        f"change-{number}", profile_id, "loyal", "entered", number, 0, None, number, "v", "event", None, False
    )


def versions_of_two_profiles(count):
    for version in range(count):
        yield from (snapshot("a", version), snapshot("b", count - version))


def give_up_waiting(seconds):
    """A sleep that takes no time."""


def start_after_three_seconds(seconds):
    """A sleep that takes no time, and starts the server when it was asked for three seconds."""
    global waited_seconds
    waited_seconds += seconds
    if waited_seconds >= 3:
        own_server.start()


@pytest.fixture
def stopped_server(tmp_path):
    global own_server, waited_seconds
    with EmbeddedRedis(tmp_path) as own_server:
        own_server.stop()
        waited_seconds = 0.0
        yield own_server
    own_server = None


def run(runner, elements: list[Any], step):
    pipeline = beam.Pipeline(runner=runner)
    _ = pipeline | "Elements" >> beam.Create(elements) | step
    result = pipeline.run()
    result.wait_until_finish()
    return result


def metrics_of(result):
    query = result.metrics().query(MetricsFilter())
    counters = {metric.key.metric.name: metric.committed for metric in query["counters"]}
    distributions = {metric.key.metric.name: metric.committed for metric in query["distributions"]}
    return counters | distributions


def write_segments(url, **options):
    return WriteSegments(RedisTarget(url), key_prefix="segments:", ttl_ms=DAY_MS, **options)


def write_changes(url, **options):
    return WriteChanges(RedisTarget(url), key_prefix="segments:", ttl_ms=DAY_MS, **options)


@both_runners
class TestWriteSegments:
    def test_the_newest_of_every_profile_is_stored(self, runner, redis_url, redis_client):
        elements = [
            snapshot(str(number), version, traits={"n": number * 10**20, "v": version})
            for version in (2, 3, 1)
            for number in range(100)
        ]
        metrics = metrics_of(run(runner, elements, write_segments(redis_url)))
        assert redis_client.dbsize() == 100
        for number in range(100):
            fields = redis_client.hgetall(f"segments:profile:{number}")
            assert fields["version"] == "3"
            assert json.loads(fields["traits"]) == {"n": number * 10**20, "v": 3}
        assert metrics["redis_writes_accepted"] >= 100
        assert metrics.get("redis_writes_repeated", 0) == 0
        assert metrics["redis_write_ms"].count >= 1
        assert "cumulativeThrottlingSeconds" not in metrics

    def test_only_the_newest_of_a_bundle_is_sent(self, runner, redis_url, redis_client):
        versions = beam.FlatMap(versions_of_two_profiles).with_output_types(Snapshot)
        metrics = metrics_of(run(runner, [20], versions | write_segments(redis_url)))
        assert metrics["redis_writes_accepted"] == 2
        assert metrics["redis_writes_stale"] == metrics["redis_writes_repeated"] == 0
        assert redis_client.hget("segments:profile:a", "version") == "19"

    def test_a_bundle_holds_no_more_than_it_may(self, runner, redis_url, redis_client, monkeypatch):
        monkeypatch.setattr("transforms.write_segments._MAX_KEPT_PROFILES", 2)
        elements = [snapshot(str(number % 9), number) for number in range(100)]
        run(runner, elements, write_segments(redis_url))
        for number in range(91, 100):
            assert redis_client.hget(f"segments:profile:{number % 9}", "version") == str(number)

    def test_a_second_run_changes_nothing_and_counts_it(self, runner, redis_url, redis_client):
        run(runner, [snapshot(str(number), 5) for number in range(10)], write_segments(redis_url))
        before = {key: redis_client.hgetall(key) for key in redis_client.keys()}
        elements = [snapshot(str(number), 5 - number % 2) for number in range(10)]
        metrics = metrics_of(run(runner, elements, write_segments(redis_url)))
        assert {key: redis_client.hgetall(key) for key in redis_client.keys()} == before
        assert metrics["redis_writes_accepted"] == 0
        assert metrics["redis_writes_repeated"] == 5
        assert metrics["redis_writes_stale"] == 5

    def test_profiles_of_another_writer_are_counted_and_logged_once_without_their_ids(
        self, runner, redis_url, redis_client, caplog, monkeypatch
    ):
        message = write_segments_module._TAKEN_OVER._message
        monkeypatch.setattr(write_segments_module, "_TAKEN_OVER", RareError(message, lambda: 0.0))
        run(runner, [snapshot("alice", 5), snapshot("bob", 5)], write_segments(redis_url))
        later = [Snapshot(profile_id, 4, "rules", 0, 1) for profile_id in ("alice", "bob")]
        metrics = metrics_of(run(runner, later, write_segments(redis_url, max_batch_size=1)))
        assert metrics["redis_writes_stale"] == metrics["redis_writes_taken_over"] == 2
        (logged,) = [record for record in caplog.records if record.name == "transforms.rare_errors"]
        assert logged.levelname == "ERROR"
        assert logged.getMessage().startswith(
            "1 snapshots were refused, because another writer has taken over"
        )
        assert not any(profile_id in logged.getMessage() for profile_id in ("alice", "bob"))

    def test_the_last_version_of_all_is_logged(self, runner, redis_url, redis_client, caplog, monkeypatch):
        message = write_segments_module._LAST_VERSIONS._message
        monkeypatch.setattr(write_segments_module, "_LAST_VERSIONS", RareError(message, lambda: 0.0))
        run(runner, [snapshot("alice", 2**53 - 1), snapshot("bob", 1)], write_segments(redis_url))
        (logged,) = [record for record in caplog.records if record.name == "transforms.rare_errors"]
        assert logged.getMessage().startswith("1 snapshots have the last version, 2^53 - 1")

    def test_a_small_batch_size_leaves_nothing_behind(self, runner, redis_url, redis_client):
        elements = [snapshot(str(number), 1) for number in range(100)]
        metrics = metrics_of(run(runner, elements, write_segments(redis_url, max_batch_size=3)))
        assert redis_client.dbsize() == 100
        assert metrics["redis_writes_accepted"] == 100
        assert metrics["redis_write_ms"].count >= 100 / 3

    def test_what_says_nothing_is_skipped_and_a_visitor_is_kept_for_a_while(
        self, runner, redis_url, redis_client
    ):
        silent = [snapshot(str(n), 1, is_empty=True, was_served=False) for n in range(10)]
        visitor = snapshot("visitor", 1, is_visitor=True, traits={"plan": "gold"})
        step = write_segments(redis_url, idle_ttl_ms=HOUR_MS)
        metrics = metrics_of(run(runner, [*silent, visitor, snapshot("user", 1)], step))
        assert (metrics["redis_writes_accepted"], metrics["redis_writes_skipped"]) == (2, 10)
        assert sorted(redis_client.keys()) == ["segments:profile:user", "segments:profile:visitor"]
        assert redis_client.pttl("segments:profile:visitor") <= HOUR_MS
        assert redis_client.pttl("segments:profile:user") > HOUR_MS

    def test_waiting_for_the_server_is_counted(self, runner, stopped_server):
        step = write_segments(stopped_server.url, sleep=start_after_three_seconds)
        metrics = metrics_of(run(runner, [snapshot("alice", 1)], step))
        assert metrics["redis_writes_accepted"] == 1
        assert metrics["cumulativeThrottlingSeconds"] == int(waited_seconds) >= 3

    def test_no_server_fails_the_pipeline(self, runner, stopped_server):
        step = write_segments(stopped_server.url, sleep=give_up_waiting)
        with pytest.raises(Exception, match="check that the Redis URL leads to a running Redis"):
            run(runner, [snapshot("alice", 1)], step)

    def test_on_a_machine_whose_clock_is_ahead_nothing_is_written(
        self, runner, redis_url, redis_client, monkeypatch
    ):
        ahead = RedisClockCheck(RedisTarget(redis_url), lambda: system_clock_ms() + HOUR_MS, lambda: None)
        monkeypatch.setattr(write_segments_module, "redis_clock_check", lambda target: ahead)
        with pytest.raises(Exception, match="clock is at least (59|60) minutes ahead of Redis's"):
            run(runner, [snapshot("alice", 1)], write_segments(redis_url))
        assert redis_client.dbsize() == 0

    def test_no_elements_need_no_server(self, runner, stopped_server):
        run(runner, [], beam.Filter(bool).with_output_types(Snapshot) | write_segments(stopped_server.url))


@both_runners
class TestWriteChanges:
    def test_every_change_is_appended(self, runner, redis_url, redis_client):
        elements = [change(number, f"profile-{number % 7}") for number in range(100)]
        metrics = metrics_of(run(runner, elements, write_changes(redis_url)))
        entries = [fields for _, fields in redis_client.xrange("segments:changes")]
        assert sorted(int(fields["profile_version"]) for fields in entries) == list(range(100))
        assert 0 < redis_client.pttl("segments:changes") <= DAY_MS
        assert metrics["redis_changes_appended"] == 100
        assert metrics["redis_write_ms"].count >= 1

    def test_the_stream_has_a_greatest_length(self, runner, redis_url, redis_client):
        run(runner, [change(number) for number in range(2_000)], write_changes(redis_url, max_length=100))
        assert 100 <= redis_client.xlen("segments:changes") < 500

    def test_no_server_fails_the_pipeline(self, runner, stopped_server):
        step = write_changes(stopped_server.url, sleep=give_up_waiting)
        with pytest.raises(Exception, match="check that the Redis URL leads to a running Redis"):
            run(runner, [change(1)], step)


def test_a_live_run_writes_as_it_goes(redis_url, redis_client):
    """Nothing waits for the watermark, which stands still here until the last moment.

    The server counts, because this runner's metrics keep only the first bundle of a step.
    """
    redis_client.config_resetstat()
    live = (
        BeamTestStream(coder=MsgspecCoder(Snapshot))
        .with_output_types(Snapshot)
        .add_elements([snapshot("alice", 2), snapshot("bob", 1)])
        .add_elements([snapshot("alice", 1), snapshot("bob", 2)])
        .advance_watermark_to_infinity()
    )
    pipeline = beam.Pipeline(runner=BUNDLE_BASED, options=PipelineOptions(["--streaming"]))
    _ = pipeline | live | write_segments(redis_url)
    pipeline.run().wait_until_finish()
    assert redis_client.hget("segments:profile:alice", "version") == "2"
    assert redis_client.hget("segments:profile:bob", "version") == "2"
    assert redis_client.info("commandstats")["cmdstat_eval"]["calls"] == 2, "a batch for each arrival"


@pytest.mark.parametrize("step", [write_segments, write_changes])
def test_a_wrong_element_is_refused_before_anything_runs(step):
    with pytest.raises(TypeCheckError):
        _ = beam.Pipeline(runner=BUNDLE_BASED) | beam.Create(["text"]) | step("redis://localhost")


def test_the_steps_keep_the_address_to_themselves():
    url = "redis://:hunter2@localhost"
    assert "hunter2" not in repr(write_segments(url)) + repr(write_changes(url))
    assert "hunter2" not in write_segments(url).label


def test_a_profile_always_falls_into_the_same_shard():
    assert [shard_of(profile_id) for profile_id in ("", "alice", "bob", "ä", "\ud800")] == [0, 7, 0, 3, 8]
    used = {shard_of(str(number)) for number in range(1_000)}
    assert used == set(range(SHARDS))


def test_labels_are_what_updates_of_a_running_job_rely_on(redis_url: str, redis_client: redis.Redis):
    pipeline = beam.Pipeline(runner=BUNDLE_BASED)
    _ = pipeline | beam.Create([snapshot("alice", 1)]) | write_segments(redis_url)
    names = {t.unique_name for t in pipeline.to_runner_api().components.transforms.values()}
    assert {
        "WriteSegments/KeepNewest",
        "WriteSegments/StableInput",
        "WriteSegments/WriteSnapshots",
    } <= names


@pytest.mark.parametrize(
    "element, step", [(snapshot("alice", 1), write_segments), (change(1), write_changes)]
)
def test_the_shuffle_uses_the_coder(element, step):
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | beam.Create([element]) | "Write" >> step("redis://localhost")
    proto, context = pipeline.to_runner_api(return_context=True)
    shuffled = [
        repr(context.coders.get_by_id(proto.components.pcollections[collection].coder_id))
        for transform in proto.components.transforms.values()
        if transform.unique_name.startswith("Write/StableInput/")
        for collection in transform.outputs.values()
    ]
    assert shuffled
    assert [coder for coder in shuffled if "MsgspecCoder" not in coder] == []
