"""What Dataflow compares when a running job is updated: steps, state, timers, coders and windows of the main job.

    python -m tests.pipeline.dataflow_steps

writes it anew to `tests/pipeline/golden/dataflow_steps.json`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import apache_beam
import msgspec
from apache_beam.coders import Coder
from apache_beam.coders.coders import deserialize_coder
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.pipeline_context import PipelineContext
from google.protobuf.wrappers_pb2 import BytesValue

from pipeline.main import run
from transforms.coders import MsgspecCoder

Description = dict[str, Any]

GOLDEN = Path(__file__).with_name("golden") / "dataflow_steps.json"
REGENERATE = ".venv/bin/python -m tests.pipeline.dataflow_steps"
PRODUCTION = (
    "--input_subscription=projects/my-project/subscriptions/events",
    "--segments=definitions/segments.yaml",
    "--redis_url=rediss://10.0.0.3:6378",
    "--redis_auth_secret=projects/my-project/secrets/redis-auth/versions/latest",
    "--redis_ca_secret=projects/my-project/secrets/redis-ca/versions/latest",
    "--history_table=my-project:shop.segment_changes",
    "--dead_letter_topic=projects/my-project/topics/dead-letters",
    "--changes_topic=projects/my-project/topics/changes",
)
DRY_RUN = (
    "--runner=DataflowRunner",
    "--dry_run=True",
    "--project=my-project",
    "--region=europe-west1",
    "--temp_location=gs://my-bucket/temp",
    # Else Beam calls `pip freeze`, which takes seconds.
    "--experiments=disable_logging_submission_environment",
)


def translate(flags: tuple[str, ...] = PRODUCTION) -> Description:
    """Returns the description of the job that flags ask for, as it would be submitted."""
    result: Any = run([*DRY_RUN, *flags])
    return describe(result.job.proto_pipeline.components)


def describe(components: beam_runner_api_pb2.Components) -> Description:
    """Returns a translated job's description, in the order of the steps' names."""
    context = PipelineContext(components)
    leaves = {
        transform.unique_name: transform
        for transform in components.transforms.values()
        if not transform.subtransforms
    }
    coders = {coder_id: context.coders.get_by_id(coder_id) for coder_id in components.coders}
    ours = [coder for coder in coders.values() if isinstance(coder, MsgspecCoder)]
    return {
        "beam": apache_beam.__version__,
        "steps": {name: _step(leaves[name], components, coders) for name in sorted(leaves)},
        "coders": {
            repr(coder): _submitted_form(components.coders[coder_id].spec)
            for coder_id, coder in coders.items()
            if not components.coders[coder_id].component_coder_ids
        },
        "layouts": {name: fields for coder in ours for name, fields in _layouts(coder.to_type_hint())},
    }


def _step(
    transform: beam_runner_api_pb2.PTransform,
    components: beam_runner_api_pb2.Components,
    coders: dict[str, Coder],
) -> Description:
    step: Description = {"kind": transform.spec.urn}
    for side, collections in (("inputs", transform.inputs), ("outputs", transform.outputs)):
        step[side] = sorted(
            _collection(components, coders, collection) for collection in collections.values()
        )
    if transform.spec.urn == "beam:transform:pardo:v1":
        payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
        if payload.state_specs:
            step["state"] = {name: _state(spec, coders) for name, spec in sorted(payload.state_specs.items())}
        if payload.timer_family_specs:
            step["timers"] = {
                name: beam_runner_api_pb2.TimeDomain.Enum.Name(timer.time_domain)
                for name, timer in sorted(payload.timer_family_specs.items())
            }
        if payload.side_inputs:
            step["side_inputs"] = sorted(payload.side_inputs)
    return step


def _collection(
    components: beam_runner_api_pb2.Components, coders: dict[str, Coder], collection_id: str
) -> str:
    """Returns a collection's coder and windowing."""
    collection = components.pcollections[collection_id]
    windowing = components.windowing_strategies[collection.windowing_strategy_id]
    windows = windowing.window_fn.urn.removeprefix("beam:window_fn:").removesuffix(":v1")
    trigger = windowing.trigger.WhichOneof("trigger")
    accumulation = beam_runner_api_pb2.AccumulationMode.Enum.Name(windowing.accumulation_mode)
    return f"{coders[collection.coder_id]!r} in {windows}, trigger {trigger}, {accumulation.lower()}"


def _submitted_form(spec: beam_runner_api_pb2.FunctionSpec) -> str:
    """Returns a coder as Dataflow gets it: its URN, and its payload; of a pickle the module and class in it."""
    if spec.urn != python_urns.PICKLED_CODER:
        return f"{spec.urn} {spec.payload.decode()}".rstrip()
    pickled = deserialize_coder(BytesValue.FromString(spec.payload).value)
    return f"pickled {type(pickled).__module__}.{type(pickled).__name__}"


def _state(spec: beam_runner_api_pb2.StateSpec, coders: dict[str, Coder]) -> Description:
    kind = spec.WhichOneof("spec")
    assert kind is not None
    return {"kind": kind, "coder": repr(coders[getattr(spec, kind).coder_id])}


def _layouts(struct: Any) -> Iterator[tuple[str, list[str]]]:
    """Yields a struct's fields in their order, by which they are coded, and those of the structs within it."""
    fields = msgspec.structs.fields(struct)
    yield (
        struct.__name__,
        [
            f"{field.name}: {_type_name(field.type)}{'' if field.required else ' (may be missing)'}"
            for field in fields
        ],
    )
    for field in fields:
        for inner in _within(field.type):
            yield from _layouts(inner)


def _type_name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)


def _within(kind: Any) -> Iterator[Any]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for argument in get_args(kind):
        yield from _within(argument)


def main() -> None:
    """Writes the golden file."""
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(translate(), indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
