"""How Dataflow would run the main job in production: experiments, service options and workers.

    python -m tests.pipeline.dataflow_environment

writes it anew to `tests/pipeline/golden/dataflow_environment.json`.
"""

import json
from pathlib import Path
from typing import Any

from apache_beam.runners.dataflow.internal.apiclient import Environment

from pipeline.main import run
from templates.spec import beam_flags, spec
from tests.pipeline.dataflow_steps import DRY_RUN, PRODUCTION, Description

GOLDEN = Path(__file__).with_name("golden") / "dataflow_environment.json"
REGENERATE = ".venv/bin/python -m tests.pipeline.dataflow_environment"
IMAGE = f"europe-west1-docker.pkg.dev/my-project/segments/live-segments@sha256:{'0' * 64}"
_OF_THE_DRY_RUN = {"dry_run", "job_name", "staging_location", "temp_location"}
_OF_BEAMS = {"beam_plugins"}


def environment_flags() -> list[str]:
    """Returns the flags of Beam that the template's spec leads to."""
    return list(beam_flags(spec(IMAGE)["defaultEnvironment"]))


def submitted() -> Any:
    """Returns the job as it would be submitted, with the options of the template's spec."""
    result: Any = run([*DRY_RUN, *environment_flags(), *PRODUCTION])
    return result.job


def describe(job: Any) -> Description:
    """Returns how a job would be run, without what differs from one submission to the next."""
    made = Environment(
        packages=[],
        options=job.options,
        environment_version="1",
        proto_pipeline_staged_url="gs://my-bucket/staging/pipeline.pb",
        proto_pipeline=job.proto_pipeline,
        pipeline_proto_hash="0",
    ).proto
    (pool,) = made.worker_pools
    (sdk,) = pool.sdk_harness_container_images
    options = job.options.get_all_options(drop_default=True)
    of_the_dry_run = {flag.removeprefix("--experiments=") for flag in DRY_RUN}
    return {
        "job_type": dict(made.version)["job_type"],
        "experiments": sorted(set(made.experiments) - of_the_dry_run),
        "service_options": sorted(made.service_options),
        "workers": {
            "machine_type": pool.machine_type,
            "at_first": pool.num_workers,
            "at_most": pool.autoscaling_settings.max_num_workers,
            "addresses": type(pool.ip_configuration)(pool.ip_configuration).name,
            "threads_per_process": pool.num_threads_per_worker or "Dataflow's default",
            "one_process_per_core": sdk.use_single_core_per_container,
            "image": sdk.container_image,
            "image_of_the_harness": pool.worker_harness_container_image,
        },
        "options": {
            name: value
            for name, value in sorted(options.items())
            if name not in {*_OF_THE_DRY_RUN, *_OF_BEAMS, "experiments"}
        },
    }


def main() -> None:
    """Writes the golden file."""
    GOLDEN.write_text(json.dumps(describe(submitted()), indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
