"""Every snapshot is stored as valid JSON."""

import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segmentation.memberships import Membership
from tests.stores.samples import KEY, NOON_MS, snapshot


class TestValues:
    @pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
    def test_what_is_no_number_is_null(self, store, redis_client, value):
        store.write_snapshots(
            [snapshot(scores={"s": (value, NOON_MS)}, measures={"m": [value]}, traits={"t": {"a": value}})]
        )
        fields = {name: strict_json(text) for name, text in redis_client.hgetall(KEY).items() if "{" in text}
        assert fields["scores"]["s"]["value"] is None
        assert fields["measures"] == {"m": [None]}
        assert fields["traits"] == {"t": {"a": None}}

    def test_integers_keep_their_digits_up_to_about_4200_of_them(self, store, redis_client):
        store.write_snapshots([snapshot(measures={"long": 2**70, "endless": 10**5000, "least": -(2**63)})])
        assert strict_json(redis_client.hget(KEY, "measures")) == {
            "long": 2**70,
            "endless": None,
            "least": -(2**63),
        }

    def test_an_integer_stays_whole_beside_half_a_character(self, store, redis_client):
        longest, longer = (1 << 14_000) - 1, 1 << 14_000
        store.write_snapshots([snapshot(measures={"half": "\ud800", "longest": longest, "longer": longer})])
        stored = redis_client.hget(KEY, "measures")
        assert json.loads(stored) == {"half": "\ufffd", "longest": longest, "longer": None}

    def test_half_a_character_is_replaced(self, store, redis_client):
        store.write_snapshots([snapshot(traits={"a\ud800": ["\udc00b"], "whole": "\U0001f600"})])
        expected = {"a\ufffd": ["\ufffdb"], "whole": "\U0001f600"}
        assert strict_json(redis_client.hget(KEY, "traits")) == expected

    def test_instants_outside_the_years_are_kept_within(self, store, redis_client):
        store.write_snapshots([snapshot(segments={"s": Membership(-(10**15), 10**15)})])
        assert strict_json(redis_client.hget(KEY, "segments"))["s"] == {
            "entered_at": "0001-01-01T00:00:00.000Z",
            "expires_at": "9999-12-31T23:59:59.999Z",
        }

    @settings(
        deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    )
    @given(
        st.dictionaries(
            st.text(st.characters()),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
                lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
                max_leaves=5,
            ),
            max_size=5,
        )
    )
    def test_every_value_becomes_valid_json(self, store, redis_client, values):
        redis_client.delete(KEY)
        store.write_snapshots([snapshot(traits=values, measures=values)])
        traits = strict_json(redis_client.hget(KEY, "traits"))
        assert len(traits) <= len(values)
        assert strict_json(redis_client.hget(KEY, "measures")) == traits


def strict_json(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)
