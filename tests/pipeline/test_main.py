"""The entry point: Beam's flags beside the job's own, the runner, and how a mistake ends the program."""

import argparse
import gc
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
    WorkerOptions,
)
from google.api_core.exceptions import NotFound

from local.embedded_redis import EmbeddedRedis
from pipeline.flags.forms import ConfigError
from pipeline.main import LOCAL_RUNNER, main, parse_options, prepare, run
from pipeline.options import SegmentationOptions
from tests.events import payload

ROOT = Path(__file__).parents[2]
RULES = (
    "version: 1\nsegments:\n  buyer:\n    when: {event: Order Completed, within: 1h, count: {at_least: 1}}\n"
)


@pytest.fixture
def flags(tmp_path: Path, redis_url: str) -> list[str]:
    """Flags of a run over three lines, of which one is dead."""
    (tmp_path / "segments.yaml").write_text(RULES)
    lines = [payload(0, "Order Completed"), b"{}", payload(60, "Product Viewed")]
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(lines))
    return [
        f"--events={tmp_path}/log.jsonl",
        f"--segments={tmp_path}/segments.yaml",
        f"--redis_url={redis_url}",
        f"--history_path={tmp_path}/history",
        f"--dead_letter_path={tmp_path}/dead",
    ]


def rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for file in folder.glob(f"{kind}*") for line in file.read_text().splitlines()]


def program(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.main", *argv], cwd=ROOT, capture_output=True, text=True, timeout=300
    )


# Flags


def test_takes_the_jobs_flags_and_beams() -> None:
    options = parse_options(
        [
            "--events=log",
            "--profile_ttl",
            "3d",
            "--project=shop",
            "--num_workers=3",
            "--runner=DataflowRunner",
        ]
    )
    own = options.view_as(SegmentationOptions)
    assert (own.events, own.profile_ttl, own.redis_key_prefix) == ("log", "3d", "segments:")
    assert options.view_as(GoogleCloudOptions).project == "shop"
    assert options.view_as(WorkerOptions).num_workers == 3
    assert options.view_as(StandardOptions).runner == "DataflowRunner"


@pytest.mark.parametrize(
    "argv, expected",
    [
        (["--event=log"], "unknown flag --event; did you mean --events?"),
        (["--redis-url=redis://:sesame@h"], "unknown flag --redis-url; did you mean --redis_url?"),
        (["--redis-url", "redis://:sesame@h"], "unknown flag --redis-url; did you mean --redis_url?"),
        (["--runnr=x"], "unknown flag --runnr; did you mean --runner?"),
        (["--qqqqqqqqq"], "unknown flag --qqqqqqqqq; see --help"),
        (["--segments=x", "redis://:sesame@h"], "an argument belongs to no flag; write each as --flag=value"),
        (["--num_workers=many"], "argument --num_workers: invalid int value: 'many'"),
        (["--as_of"], "argument --as_of: expected one argument"),
        (["--profile=1d"], "unknown flag --profile; did you mean --profile_ttl?"),
        (["--help-beam"], "unknown flag --help-beam; did you mean --help_beam?"),
    ],
)
def test_says_which_flag_is_wrong(argv: list[str], expected: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse_options(argv)
    assert str(raised.value) == expected


def flags_in(shown: str) -> list[str]:
    """Returns the flags that a help lists, in its order."""
    return re.findall(r"^  (?:-h, )?(--\w+)", shown, re.MULTILINE)


def help_of(flag: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([flag])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_declares_none_of_beams_flags_again() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    SegmentationOptions._add_argparse_args(parser)  # fails if a flag is declared twice
    beams = PipelineOptions([]).get_all_options()
    own = {action.dest for action in parser._actions}
    assert own == SegmentationOptions([]).get_all_options(current_only=True).keys()
    assert own.isdisjoint(beams.keys() - own)


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_shows_the_jobs_flags_and_only_those_in_the_order_of_their_use(
    flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = help_of(flag, capsys)
    assert shown.startswith("usage: segments run --events=")
    assert flags_in(shown) == [
        "--events", "--input_subscription", "--segments", "--redis_url", "--history_table", "--history_path",
        "--dead_letter_topic", "--dead_letter_path", "--changes_topic", "--as_of", "--tracking_plan", "--ignored_ids",
        "--profile_ttl", "--idle_ttl", "--redis_key_prefix", "--redis_auth_secret", "--redis_ca_secret",
        "--history_method", "--report_skipped", "--help", "--help_beam",
    ]  # fmt: skip


def test_beams_flags_have_a_help_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    flags = flags_in(help_of("--help_beam", capsys))
    assert {"--runner", "--project", "--num_workers", "--help_beam"} <= set(flags)
    assert "--report_skipped" not in flags
    assert not SegmentationOptions([]).get_all_options(current_only=True).keys() & {
        flag.removeprefix("--") for flag in flags
    }


# Runs


@pytest.mark.parametrize("runner", [None, "DirectRunner", "directrunner", "BundleBasedDirectRunner"])
def test_runs_to_the_end_on_the_pinned_runner(
    flags: list[str], tmp_path: Path, runner: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    runners = []
    plain_run = beam.Pipeline.run

    def noting_run(pipeline: beam.Pipeline, *args: Any) -> Any:
        runners.append(f"{type(pipeline.runner).__module__}.{type(pipeline.runner).__name__}")
        return plain_run(pipeline, *args)

    monkeypatch.setattr(beam.Pipeline, "run", noting_run)
    assert main(flags + ([] if runner is None else [f"--runner={runner}"])) == 0
    assert set(runners) == {LOCAL_RUNNER}
    assert [(row["segment"], row["change"]) for row in rows(tmp_path, "history")] == [("buyer", "entered")]
    assert [row["reason"] for row in rows(tmp_path, "dead")] == ["bad_type"]


class Submitted:
    """Stands in for a pipeline's result, and for starting it."""

    def __init__(self) -> None:
        self.options: Any = None
        self.waited = False

    def start(self, pipeline: beam.Pipeline) -> "Submitted":
        self.options = pipeline.options
        return self

    def wait_until_finish(self) -> None:
        self.waited = True


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> Submitted:
    result = Submitted()
    monkeypatch.setattr(beam.Pipeline, "run", lambda pipeline: result.start(pipeline))
    return result


def test_waits_on_this_machine(flags: list[str], submitted: Submitted) -> None:
    result: Any = run(flags)
    assert result is submitted
    assert submitted.waited
    assert not submitted.options.view_as(StandardOptions).streaming


def test_a_job_that_never_runs_leaves_no_temporary_folder(flags: list[str]) -> None:
    """Such as one whose topic is missing."""
    job = prepare(flags)
    folder = Path(job.pipeline.local_tempdir)
    assert folder.is_dir()
    del job
    gc.collect()
    assert not folder.exists()


def test_submits_elsewhere_and_does_not_wait(flags: list[str], submitted: Submitted) -> None:
    result: Any = run([*flags, "--runner=FlinkRunner"])
    assert result is submitted
    assert not submitted.waited
    assert submitted.options.view_as(StandardOptions).runner == "FlinkRunner"


def test_a_subscription_makes_it_a_streaming_job(flags: list[str], submitted: Submitted) -> None:
    subscription = "--input_subscription=projects/my-shop/subscriptions/events"
    run([subscription, *flags[1:], "--runner=FlinkRunner"])
    assert submitted.options.view_as(StandardOptions).streaming


# Mistakes


@pytest.mark.parametrize(
    "wrong, expected",
    [
        ("--evnts=x", "unknown flag --evnts; did you mean --events?"),
        ("--input_subscription=projects/p/subscriptions/s", "give exactly one of --events and"),
        ("--redis_url=", "missing: --redis_url"),
        ("--events=/no/such/log", "--events: /no/such/log matches no file"),
        ("--segments=/no/such.yaml", "--segments: /no/such.yaml cannot be read"),
        ("--as_of=now", "--as_of: expected RFC 3339"),
        ("--redis_url=redis://:sesame@[", "--redis_url must be redis://HOST:PORT/DB"),
        ("--runner=NoSuchRunner", "Unexpected pipeline runner: NoSuchRunner"),
        ("--runner=no.such.Runner", "No module named 'no'"),
    ],
)
def test_a_mistake_ends_the_program_before_anything_runs(
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wrong: str,
    expected: str,
) -> None:
    monkeypatch.setattr(beam.Pipeline, "run", lambda pipeline: pytest.fail("it ran"))
    assert main([*flags, wrong]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"segments run: {expected}")
    assert "sesame" not in shown.err
    assert list(tmp_path.glob("history*")) == []


def test_a_mistake_is_one_message_and_status_2(flags: list[str]) -> None:
    done = program(*flags, "--as_of=soon", "--redis_url=redis://:sesame@localhost")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "segments run: --as_of: expected RFC 3339 with an offset, such as 2026-01-31T12:00:00.000Z\n"
    )


def test_a_damaged_gz_is_one_message_and_status_2(flags: list[str], tmp_path: Path) -> None:
    views = (ROOT / "data" / "shop_views_2019-10-01.jsonl.gz").read_bytes()
    (tmp_path / "cut.jsonl.gz").write_bytes(views[:500_000])
    done = program(*flags, f"--events={tmp_path}/cut.jsonl.gz", "--as_of=2019-10-01T03:30:00Z")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"segments run: --events: {tmp_path}/cut.jsonl.gz cannot be read: "
        "Compressed file ended before the end-of-stream marker was reached\n"
    )
    assert list(tmp_path.glob("history*")) == []


def test_a_full_disk_ends_the_run_with_status_1_and_names_the_step(flags: list[str], tmp_path: Path) -> None:
    """A file that may have no more than 1 KiB fails as one on a full disk does."""
    users = [payload(second, "Order Completed", user=f"u{second}") for second in range(60)]
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(users))
    run = ["bash", "-c", 'ulimit -f 1 && exec "$@"', "bash", sys.executable, "-m", "pipeline.main", *flags]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith(
        "segments run: the run failed: OSError: [Errno 27] File too large [while running 'Write"
    )
    assert list(tmp_path.glob("history*")) == []


def test_what_pubsub_refuses_amid_a_run_ends_it_with_status_1(
    flags: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such as a pull from a subscription that was deleted; any other error keeps its traceback."""

    def run_that_raises(error: Exception) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            raise error

        return run

    monkeypatch.setattr(beam.Pipeline, "run", run_that_raises(NotFound("Subscription does not exist")))
    assert main(flags) == 1
    assert (
        capsys.readouterr().err.splitlines()[-1]
        == "segments run: the run failed: 404 Subscription does not exist"
    )
    monkeypatch.setattr(beam.Pipeline, "run", run_that_raises(ValueError("a fault of ours")))
    with pytest.raises(ValueError, match="a fault of ours"):
        main(flags)


def test_a_run_prints_no_password(flags: list[str], tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "redis", password="sesame") as server:
        right = program(*flags, f"--redis_url={server.url}")
        wrong = program(*flags, f"--redis_url={server.url.replace('sesame', 'simsim')}")
    assert (right.returncode, right.stderr) == (0, f"Processing {tmp_path}/log.jsonl\n")
    assert right.stdout.startswith(f"{tmp_path}/log.jsonl, as of 2026-03-02T12:01:00.000Z\n")
    assert "sesame" not in right.stdout
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("segments run: Redis ")
    assert "check the user and the password" in wrong.stderr
    assert wrong.stderr.count("\n") == 1
    assert "simsim" not in wrong.stderr
