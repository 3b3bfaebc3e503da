import pytest

from benchmarks import results
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.cost import page

EVENTS = 500

ASKED_FOR = [
    # benchmark, how the figure's name begins, at most, at least
    ("fold", "pure fold: decode, apply, deadlines, encode", 45, None),
    ("fold", "pure fold ÷ orjson.loads", None, None),
    ("steps", "UpdateProfiles ÷ (bare cell + pure fold)", 1.3, None),
    ("sliding_windows", "a sliding count: SlidingWindows ÷ UpdateProfiles", None, 5),
    ("users", "events per second: 100,000 users ÷ 1,000 users", None, 0.7),
    ("segments", "1,000 added segments: time of the pure fold", 1.1, None),
    ("segments", "1,000 added segments: time of UpdateProfiles", 1.1, None),
    ("worst_event", "a sequence with `then_not`", 5, None),
    ("worst_event", "64 counts that flap", 5, None),
    ("state_size", "encoded state of all", None, None),
    ("state_size", "encoded state of the", None, None),
    ("redis_memory", "visitors with one page view, if each has a key", None, None),
    ("redis_memory", "visitors with one page view, as written", 0, None),
    ("redis_memory", "visitors with a score and no segment", None, None),
    ("redis_writer", "snapshots into Redis: SegmentStore ÷ bare", 1, None),
    ("redis_writer", "WriteSegments: snapshots per second", None, None),
    ("history", "a row into BigQuery: WriteToBigQuery ÷ InsertRows", None, 3),
    ("redis_writer", "WriteSegments, the whole step", None, None),
    ("redis_writer", "SegmentStore with Redis on the same machine", None, None),
    ("history", "InsertRows", None, None),
    ("live", "the highest rate", None, None),
    ("live", "event to Redis at 50% of it: p99", 1000, None),
    ("collector", "batches of 100: the highest rate", None, 5_000),
    ("collector", "batches of 100: p99 at 2,500 events/s", 50, None),
    ("collector", "single events: the highest rate", None, 1_000),
    ("collector", "single events: p99 at 500 events/s", 50, None),
    ("collector", "memory after a round ÷ before it", 1.1, None),
]
"""The figures that the project promises, with their bounds, and those that its cost is reckoned from."""


WITH_A_PUBSUB = {"live", "collector"}
"""Those of tests/integration."""


@pytest.mark.parametrize("name", [name for name in BENCHMARKS if name not in WITH_A_PUBSUB])
def test_each_benchmark_reports_its_figures(name):
    figures = BENCHMARKS[name](EVENTS, 2)
    assert figures
    for benchmark, begins, at_most, at_least in ASKED_FOR:
        if benchmark == name:
            assert (at_most, at_least) in [
                (one.at_most, one.at_least) for one in figures if one.name.startswith(begins)
            ]
    assert all(one.lower <= one.value <= one.upper for one in figures)
    assert all(one.value > 0 for one in figures if "20 events or more" not in one.name and one.at_most != 0)


def test_a_quick_try_is_printed_with_bounds_and_runner_and_not_kept(capsys, monkeypatch):
    monkeypatch.setattr(results, "keep", lambda *_: pytest.fail("kept"))
    main(["--events", str(EVENTS), "--rounds", "1", "fold"])
    printed = capsys.readouterr().out
    assert "at most 45" in printed
    assert "BundleBasedDirectRunner" in printed


def test_kept_figures_are_turned_into_dollars_too(monkeypatch):
    kept = []
    monkeypatch.setattr(results, "keep", lambda _: kept.append("figures"))
    monkeypatch.setattr(page, "keep", lambda _: kept.append("dollars"))
    main(["--events", str(EVENTS), "--rounds", "1", "--keep", "fold"])
    assert kept == ["figures", "dollars"]


def test_an_unknown_benchmark_is_refused_with_those_that_exist(capsys):
    with pytest.raises(SystemExit):
        main(["folds"])
    assert "no benchmark folds; there are fold, steps" in capsys.readouterr().err


WITHOUT_SERVERS = {"fold", "steps", "sliding_windows", "users", "segments", "state_size"}
"""Whose figures are always kept; those with servers are kept once a quiet machine has measured them."""


def test_every_figure_that_is_asked_for_is_of_a_benchmark():
    assert {benchmark for benchmark, *_ in ASKED_FOR} <= set(BENCHMARKS)


def test_the_kept_figures_are_what_was_asked_for():
    kept = results.load()
    assert set(kept) >= WITHOUT_SERVERS
    assert set(kept) <= set(BENCHMARKS)
    for benchmark, begins, at_most, at_least in ASKED_FOR:
        if benchmark in kept:
            bounds = [
                (one.at_most, one.at_least) for one in kept[benchmark].figures if one.name.startswith(begins)
            ]
            assert (at_most, at_least) in bounds


def test_state_sizes_are_p50_p99_and_maximum_of_all_and_of_busy_profiles():
    names = [one.name.rsplit(": ", 1)[-1] for one in results.load()["state_size"].figures]
    assert names == ["p50", "p99", "maximum"] * 2


def test_the_documentation_shows_the_kept_figures():
    assert results.markdown(results.load()) in results.DOC.read_text(encoding="utf-8")


def test_keeping_figures_writes_both_files(tmp_path):
    doc, path = tmp_path / "benchmarks.md", tmp_path / "results.json"
    doc.write_text(f"before\n{results.markdown({})}after\n", encoding="utf-8")
    report = results.report("python -m benchmarks", [results.figure("a", [1, 2, 4], "×", at_least=2)])
    results.keep({"some": report}, path, doc)
    assert results.load(path) == {"some": report}
    text = doc.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "| a | 2 | × | 1.50 to 3 | at least 2 | yes |" in text
