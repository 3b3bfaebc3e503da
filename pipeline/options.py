"""The flags of the main job, beside those of Beam."""

import argparse

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.flags.redis import add_redis_details, add_redis_url


class SegmentationOptions(PipelineOptions):
    """Flags of the main job.

    None of them is required here, because Beam parses the flags of all options classes in every job.
    """

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument_group("what to read, one of the two").add_argument
        add(
            "--events",
            metavar="FILE_OR_GLOB",
            help="Bounded: JSON lines, or gzip of them; a path, a glob or gs://.",
        )
        add("--input_subscription", metavar="projects/P/subscriptions/S", help="Unbounded: a subscription.")
        add = parser.add_argument_group("what to decide").add_argument
        add("--segments", metavar="FILE", help="The file of definitions: a local path or gs://.")
        outputs = parser.add_argument_group(
            "what to write: Redis, one history, and one place for dead letters"
        )
        add_redis_url(outputs)
        add = outputs.add_argument
        add("--history_table", metavar="PROJECT:DATASET.TABLE", help="Membership changes to BigQuery.")
        add("--history_path", metavar="PREFIX", help="Or as JSON lines, in files PREFIX*.")
        add("--dead_letter_topic", metavar="projects/P/topics/T", help="Dead letters to a Pub/Sub topic.")
        add("--dead_letter_path", metavar="PREFIX", help="Or as JSON lines, in files PREFIX*.")
        add("--changes_topic", metavar="projects/P/topics/T", help="Membership changes to a topic too.")
        others = parser.add_argument_group("as needed")
        add = others.add_argument
        add(
            "--as_of",
            metavar="TIMESTAMP",
            help="Bounded only: the instant at which time stops, and up to which memberships are decided; later events"
            " are left out. Default: the greatest timestamp that is not later than now.",
        )
        add(
            "--tracking_plan",
            metavar="FOLDER",
            help="What events must look like: a folder of JSON Schemas, a local path or gs://.",
        )
        add(
            "--ignored_ids",
            metavar="FILE",
            help="Ids that stand for no id, one per line, instead of the default ones such as undefined: a local path"
            " or gs://.",
        )
        add(
            "--profile_ttl",
            default="400d",
            metavar="DURATION",
            help="A profile silent for so long is forgotten; at least the longest window. Default: 400d",
        )
        add(
            "--idle_ttl",
            default="7d",
            metavar="DURATION",
            help="How long Redis keeps a visitor (no userId) without any membership after its last write; at most"
            " --profile_ttl. Default: 7d",
        )
        add_redis_details(others)
        add(
            "--history_method",
            choices=("STREAMING_INSERTS", "STORAGE_WRITE_API"),
            default="STREAMING_INSERTS",
            help="How rows get into --history_table. STORAGE_WRITE_API costs less by the byte; its step is Beam's, in"
            " Java: a runner such as DataflowRunner, and here Java and Beam's jar. Default: STREAMING_INSERTS",
        )


class LocalRunOptions(PipelineOptions):
    """Flags of a run on this machine; other runners ignore them."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument_group("on this machine").add_argument(
            "--report_skipped",
            action="store_true",
            help="List, at the end, the values that conditions could not use, such as a text in place of a number.",
        )
