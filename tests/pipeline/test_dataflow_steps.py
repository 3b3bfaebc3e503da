"""The production form of the main job, as Dataflow would get it: translated without a network, and compared."""

import copy
import json
import socket
from typing import Any

import pytest

from pipeline.main import main
from tests.pipeline.dataflow_steps import DRY_RUN, GOLDEN, PRODUCTION, REGENERATE, Description, translate
from tests.pipeline.update_effects import effects
from transforms.coders import STRUCT_TYPES


@pytest.fixture(scope="module")
def golden() -> Description:
    description: Description = json.loads(GOLDEN.read_text())
    return description


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError(f"asked the network for {args[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)


@pytest.mark.usefixtures("no_network")
def test_a_running_job_can_be_updated_to_this_one(golden: Description) -> None:
    found = translate()
    if found != golden:
        pytest.fail(
            "\n- ".join(
                [
                    "The job's graph differs from the one in golden/dataflow_steps.json. For a running job:",
                    *effects(golden, found),
                    f"If that is meant, run `{REGENERATE}`, and tell the changelog under **state**.",
                ]
            ),
            pytrace=False,
        )


def test_the_golden_file_knows_what_a_running_job_holds(golden: Description) -> None:
    assert {name: step["state"] for name, step in golden["steps"].items() if "state" in step} == {
        "UpdateProfiles/Update/Decide": {"profile": {"coder": "BytesCoder", "kind": "read_modify_write_spec"}}
    }
    assert {name: step["timers"] for name, step in golden["steps"].items() if "timers" in step} == {
        "UpdateProfiles/Update/Decide": {"ts-deadline": "EVENT_TIME"}
    }


# What a change would do


def effect_of(golden: Description, *path: str, to: Any = None, name: str = "") -> str:
    """Returns the one effect of a change at a path: another value, another name, or nothing there any more."""
    changed = copy.deepcopy(golden)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    if to is not None:
        place[path[-1]] = to
    elif name:
        place[name] = place.pop(path[-1])
    else:
        del place[path[-1]]
    (effect, *others) = effects(golden, changed)
    assert not others or name
    return effect


UPDATE = ("steps", "UpdateProfiles/Update/Decide")


def test_nothing_changed_does_nothing(golden: Description) -> None:
    assert effects(golden, golden) == []


def test_a_stateful_step_renamed_loses_its_state(golden: Description) -> None:
    assert effect_of(golden, *UPDATE, name="Update") == (
        "UpdateProfiles/Update/Decide is gone or has another name. "
        "The job's state is lost with it (profile, ts-deadline), "
        """unless the update says --transform_name_mapping='{"UpdateProfiles/Update/Decide": "ITS NEW NAME"}'."""
    )


def test_other_steps_gone_lose_what_waits_in_them_or_nothing(golden: Description) -> None:
    assert "What waits in it is lost" in effect_of(golden, "steps", "WriteHistory/StableInput/GroupByKey")
    assert "It holds nothing, but Dataflow may refuse" in effect_of(golden, "steps", "KeyByProfile")


def test_a_new_step_begins_with_the_update(golden: Description) -> None:
    new = effect_of(golden, "steps", "Another", to={"kind": "beam:transform:pardo:v1", "state": {}})
    assert (
        new
        == "Another is new. What is past its place at the update does not go through it. Its state begins empty."
    )


@pytest.mark.parametrize(
    "path, to, expected",
    [
        (("inputs",), ["Other in global_windows"], "Other in global_windows']. Dataflow refuses the update"),
        (("outputs",), [], "are []. Dataflow refuses the update"),
        (("kind",), "beam:transform:flatten:v1", "is beam:transform:flatten:v1. Dataflow refuses the update"),
        (("side_inputs",), ["rules"], "its side inputs differ. Dataflow refuses the update."),
        (("state", "profile"), None, "state 'profile' is gone or has another name: what it holds is lost."),
        (("state", "scores"), {"coder": "BytesCoder"}, "state 'scores' is new: it begins empty."),
        (("state", "profile"), {"coder": "PickleCoder"}, "and is {'coder': 'PickleCoder'}. Dataflow refuses"),
        (("timers", "ts-deadline"), None, "those that are set do not fire"),
        (("timers", "ts-expiry"), "EVENT_TIME", "timer 'ts-expiry' is new: none is set for the profiles"),
        (("timers", "ts-deadline"), "PROCESSING_TIME", "was in EVENT_TIME and is in PROCESSING_TIME."),
    ],
)
def test_a_step_changed(golden: Description, path: tuple[str, ...], to: Any, expected: str) -> None:
    effect = effect_of(golden, *UPDATE, *path, to=to)
    assert effect.startswith("UpdateProfiles/Update/Decide: ")
    assert expected in effect


def test_a_struct_may_only_grow_at_its_end(golden: Description) -> None:
    fields = golden["layouts"]["Change"]
    grown = effect_of(golden, "layouts", "Change", to=[*fields, "score: float (may be missing)"])
    assert grown.startswith("Change has more fields at its end: score: float (may be missing).")
    for broken in (fields[1:], [fields[1], fields[0], *fields[2:]], [*fields, "score: float"]):
        assert "read wrongly or fails for ever" in effect_of(golden, "layouts", "Change", to=broken)


def test_a_coder_in_another_form_is_refused(golden: Description) -> None:
    effect = effect_of(golden, "coders", "MsgspecCoder[Event]", to="pickled transforms.coders.MsgspecCoder")
    assert effect == (
        "MsgspecCoder[Event] was submitted as 'live-segments:coder:msgpack:v1 Event' and is as "
        "'pickled transforms.coders.MsgspecCoder'. Dataflow compares this form: it refuses the update wherever the "
        "coder stands between two steps."
    )


def test_no_coder_holds_the_path_of_one_of_our_modules(golden: Description) -> None:
    forms = golden["coders"].values()
    assert sum(form.startswith("live-segments:coder:msgpack:v1 ") for form in forms) == len(STRUCT_TYPES)
    pickled = [form for form in forms if form.startswith("pickled ")]
    assert pickled
    assert all(form.startswith("pickled apache_beam.") for form in pickled)


def test_another_beam_needs_to_be_told(golden: Description) -> None:
    assert effect_of(golden, "beam", to="2.99.0").endswith(
        f"--update_compatibility_version={golden['beam']}."
    )


# Flags


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    "without, instead, expected",
    [
        ("--temp_location", (), "a Dataflow job needs --temp_location=gs://BUCKET/FOLDER"),
        (
            "--temp_location",
            ("--temp_location=/tmp",),
            "--temp_location must look like gs://BUCKET/FOLDER, got /tmp",
        ),
        (
            "--temp_location",
            ("--staging_location=gs://B/x",),
            "--staging_location must look like gs://BUCKET/FOLDER",
        ),
        ("--project", (), "Missing required option: project."),
        ("--project", ("--project=12345678",), "Invalid Project ID (12345678)."),
    ],
)
def test_what_a_dataflow_job_lacks_is_told(
    capsys: pytest.CaptureFixture[str], without: str, instead: tuple[str, ...], expected: str
) -> None:
    flags = [flag for flag in (*DRY_RUN, *PRODUCTION) if not flag.startswith(without)]
    assert main([*flags, *instead]) == 2
    assert expected in capsys.readouterr().err
