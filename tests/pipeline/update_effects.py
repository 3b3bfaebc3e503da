"""What a change of the main job's graph does to a running job that is updated to it, in words."""

from collections.abc import Iterator
from typing import Any

Description = dict[str, Any]
"""Of a job, a step or a struct, as `dataflow_steps` writes it."""


def effects(before: Description, after: Description) -> list[str]:
    """Returns what an update from one description to another would do; nothing if they are the same."""
    return [
        *_of_beam(before, after),
        *_of_steps(before["steps"], after["steps"]),
        *_of_coders(before["coders"], after["coders"]),
        *_of_layouts(before, after),
    ]


def _of_beam(before: Description, after: Description) -> Iterator[str]:
    if before["beam"] != after["beam"]:
        yield (
            f"Beam {before['beam']} becomes {after['beam']}: its own steps and coders may differ. Update with "
            f"--update_compatibility_version={before['beam']}."
        )


def _of_steps(before: Description, after: Description) -> Iterator[str]:
    for name in before.keys() - after.keys():
        yield f"{name} is gone or has another name. {_loss(name, before[name])}"
    for name in after.keys() - before.keys():
        begins = " Its state begins empty." if "state" in after[name] else ""
        yield f"{name} is new. What is past its place at the update does not go through it.{begins}"
    for name in before.keys() & after.keys():
        yield from (f"{name}: {effect}" for effect in _of_step(before[name], after[name]))


def _loss(name: str, step: Description) -> str:
    mapping = f"""--transform_name_mapping='{{"{name}": "ITS NEW NAME"}}'"""
    if "state" in step or "timers" in step:
        held = ", ".join(sorted([*step.get("state", ()), *step.get("timers", ())]))
        return f"The job's state is lost with it ({held}), unless the update says {mapping}."
    if step["kind"] == "beam:transform:group_by_key:v1":
        return f"What waits in it is lost, unless the update says {mapping}."
    return f"It holds nothing, but Dataflow may refuse the update without {mapping}."


def _of_step(before: Description, after: Description) -> Iterator[str]:
    if before["kind"] != after["kind"]:
        yield f"it was {before['kind']} and is {after['kind']}. Dataflow refuses the update."
    for side in ("inputs", "outputs"):
        if before[side] != after[side]:
            yield (
                f"the coders or windows of its {side} were {before[side]} and are {after[side]}. Dataflow refuses the "
                "update: what is on its way was written the old way."
            )
    if before.get("side_inputs") != after.get("side_inputs"):
        yield "its side inputs differ. Dataflow refuses the update."
    yield from _of_state(before.get("state", {}), after.get("state", {}))
    yield from _of_timers(before.get("timers", {}), after.get("timers", {}))


def _of_state(before: Description, after: Description) -> Iterator[str]:
    for name in before.keys() - after.keys():
        yield f"state {name!r} is gone or has another name: what it holds is lost."
    for name in after.keys() - before.keys():
        yield f"state {name!r} is new: it begins empty."
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            yield (
                f"state {name!r} was {before[name]} and is {after[name]}. Dataflow refuses the update, or the "
                "step fails on what is stored."
            )


def _of_timers(before: Description, after: Description) -> Iterator[str]:
    for name in before.keys() - after.keys():
        yield (
            f"timer {name!r} is gone or has another name: those that are set do not fire, so that nobody "
            "leaves a segment by time alone before the next event."
        )
    for name in after.keys() - before.keys():
        yield f"timer {name!r} is new: none is set for the profiles that are known."
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            yield f"timer {name!r} was in {before[name]} and is in {after[name]}. Dataflow refuses the update."


def _of_coders(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for name in before.keys() & after.keys():
        if before[name] != after[name]:
            yield (
                f"{name} was submitted as {before[name]!r} and is as {after[name]!r}. Dataflow compares this form: it "
                "refuses the update wherever the coder stands between two steps."
            )


def _of_layouts(before: Description, after: Description) -> Iterator[str]:
    old, new = before["layouts"], after["layouts"]
    for name in old.keys() & new.keys():
        if old[name] == new[name]:
            continue
        kept, appended = new[name][: len(old[name])], new[name][len(old[name]) :]
        if kept == old[name] and all(field.endswith("(may be missing)") for field in appended):
            yield f"{name} has more fields at its end: {', '.join(appended)}. Old elements are read with defaults."
        else:
            yield (
                f"{name} was coded as {old[name]} and is as {new[name]}. Dataflow does not notice, and what is on "
                "its way at the update is read wrongly or fails for ever: append fields, with defaults, only."
            )
