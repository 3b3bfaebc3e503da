"""The coders decode what they encoded, for all JSON values in a snapshot."""

import json
import math

import apache_beam as beam
import msgspec
import pytest
from apache_beam.coders import coders, registry
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.typehints.native_type_compatibility import convert_to_beam_type
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation.memberships import Change, Membership, Snapshot
from transforms.coders import PLUGIN, STRUCT_TYPES, MsgspecCoder

names = st.text(max_size=5)
instants = st.integers(-(2**53), 2**53)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**200), 2**200)
    | st.floats(allow_nan=False)
    | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters()), inner, max_size=3),
    max_leaves=5,
)
snapshots = st.builds(
    Snapshot,
    profile_id=st.text(st.characters()),
    version=st.integers(0, 2**53 - 1),
    rules_version=names,
    updated_at_ms=instants,
    processed_at_ms=instants,
    segments=st.dictionaries(names, st.builds(Membership, instants, st.none() | instants), max_size=3),
    scores=st.dictionaries(names, st.tuples(st.floats(allow_nan=False), instants), max_size=3),
    measures=st.dictionaries(names, json_values, max_size=3),
    traits=st.dictionaries(names, json_values, max_size=3),
    deleted=st.booleans(),
    is_empty=st.booleans(),
    is_visitor=st.booleans(),
    was_served=st.booleans(),
)


@settings(deadline=None)
@given(snapshots)
def test_a_snapshot_comes_back_equal(snapshot):
    coder = MsgspecCoder(Snapshot)
    back = coder.decode(coder.encode(snapshot))
    assert back == snapshot
    assert isinstance(back, Snapshot)
    assert all(isinstance(held, Membership) for held in back.segments.values())
    assert all(isinstance(score, tuple) for score in back.scores.values())


@pytest.mark.parametrize("neighbour", [1, 2**70], ids=["msgpack", "text"])
def test_a_snapshot_of_an_earlier_version_keeps_its_key(neighbour):
    """While a job is updated, snapshots that the version before has encoded are under way."""
    fields = ["alice", 7, "rules", 5, 6, {}, {}, {"n": neighbour}, {}, False]
    encoded = json.dumps(fields).encode() if neighbour > 2**64 else msgspec.msgpack.encode(fields)
    decoded = MsgspecCoder(Snapshot).decode(encoded)
    assert decoded == Snapshot("alice", 7, "rules", 5, 6, measures={"n": neighbour})
    assert (decoded.is_empty, decoded.is_visitor, decoded.was_served) == (False, False, True)


@settings(deadline=None)
@given(st.from_type(Change))
def test_a_change_comes_back_equal(change):
    coder = MsgspecCoder(Change)
    assert coder.decode(coder.encode(change)) == change


@pytest.mark.parametrize("neighbour", [1, 2**70], ids=["msgpack", "text"])
def test_what_is_no_number_comes_back(neighbour):
    coder = MsgspecCoder(Snapshot)
    measures = {"nan": math.nan, "inf": math.inf, "least": -math.inf, "neighbour": neighbour}
    snapshot = Snapshot("alice", 1, "rules", 0, 0, scores={"s": (math.nan, 1)}, measures=measures)
    back = coder.decode(coder.encode(snapshot))
    assert math.isnan(back.measures.pop("nan"))
    assert math.isnan(back.scores["s"][0])
    assert back.measures == {"inf": math.inf, "least": -math.inf, "neighbour": neighbour}


def test_an_endless_integer_is_infinite():
    coder = MsgspecCoder(Snapshot)
    snapshot = Snapshot("alice", 1, "rules", 0, 0, measures={"more": [10**5000], "less": -(10**5000)})
    assert coder.decode(coder.encode(snapshot)).measures == {"more": [math.inf], "less": -math.inf}


@pytest.mark.parametrize("value", [1, 2**70], ids=["msgpack", "text"])
def test_the_order_of_names_does_not_show(value):
    coder = MsgspecCoder(Snapshot)
    one = Snapshot("alice", 1, "rules", 0, 0, traits={"a": value, "b": {"c": 1, "d": 2}})
    other = Snapshot("alice", 1, "rules", 0, 0, traits={"b": {"d": 2, "c": 1}, "a": value})
    assert coder.is_deterministic()
    assert coder.encode(one) == coder.encode(other)


@pytest.mark.parametrize("struct_type", [Snapshot, Change])
def test_beam_chooses_it(struct_type):
    assert registry.get_coder(struct_type) == MsgspecCoder(struct_type)
    assert registry.get_coder(convert_to_beam_type(tuple[int, struct_type])) == coders.TupleCoder(
        [coders.VarIntCoder(), MsgspecCoder(struct_type)]
    )
    assert MsgspecCoder(Snapshot) != MsgspecCoder(Change)
    assert MsgspecCoder(struct_type).to_type_hint() is struct_type


def test_it_travels_with_the_pipeline():
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | beam.Create([1]) | beam.Map(_snapshot)
    proto, context = pipeline.to_runner_api(return_context=True)
    sent = [context.coders.get_by_id(coder_id) for coder_id in proto.components.coders]
    assert MsgspecCoder(Snapshot) in sent


def test_it_is_submitted_without_the_path_of_a_module():
    for name, struct_type in STRUCT_TYPES.items():
        coder = MsgspecCoder(struct_type)
        submitted = coder.to_runner_api(None)
        assert (submitted.spec.urn, submitted.spec.payload) == (
            "live-segments:coder:msgpack:v1",
            name.encode(),
        )
        assert coders.Coder.from_runner_api(submitted, None) == coder


def test_a_worker_process_knows_it_before_it_has_seen_a_step_of_ours(monkeypatch, tmp_path):
    """A worker gets the job's options in a file, from the program that starts it; here, from this test."""
    options_file = tmp_path / "options.json"
    options_file.write_text(json.dumps({"beam:option:beam_plugins:v1": [PLUGIN]}))
    monkeypatch.setenv("PIPELINE_OPTIONS_FILE", str(options_file))
    options = PipelineOptions(["--direct_running_mode=multi_processing"])
    with beam.Pipeline(runner="FnApiRunner", options=options) as pipeline:
        _ = (
            pipeline
            | beam.Create([1])
            | beam.Map(_snapshot)
            | "First" >> beam.Reshuffle()
            | "Second" >> beam.Reshuffle()
            | beam.Map(_check)
        )


def _check(snapshot: Snapshot) -> None:
    assert snapshot == _snapshot(1)


def _snapshot(version: int) -> Snapshot:
    return Snapshot("alice", version, "rules", 0, 0)
