"""The tracking plan in the main job: its folder, what is rejected, what passes, and this repository's own plan."""

import gzip
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.filesystem import FileMetadata, MatchResult
from apache_beam.io.filesystems import FileSystems
from google.api_core.exceptions import Forbidden

from pipeline.cloud_files import CloudFiles
from pipeline.main import main
from segmentation.events import parse_event
from segmentation.matching.values import as_number
from segmentation.tracking_plan.load import TrackingPlanError
from stores.tracking_plan import read_tracking_plan
from tests.events import message, payload
from transforms.step_metrics import reset_totals, total_counts

OURS = "definitions/tracking_plan"
RULES = "version: 1\nsegments:\n  buyer:\n    when: {event: Order Completed, within: 30d}\n"
ORDER = (
    "event: Order Completed\non_violation: reject\n"
    "schema: {properties: {properties: {required: [order_id], properties: {total: {type: number}}}}}\n"
)


def mistake(folder: str | Path) -> str:
    with pytest.raises(TrackingPlanError) as raised:
        read_tracking_plan(str(folder), CloudFiles())
    return str(raised.value)


# The folder


def test_reads_the_yaml_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "order.yaml").write_text(ORDER)
    (tmp_path / "README.md").write_text("# Ours")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "view.yaml").write_text("no plan")
    folder = read_tracking_plan(str(tmp_path))
    assert folder.texts == (("order.yaml", ORDER),)
    assert folder.plan.names == ("Order Completed",)


def test_a_wrong_folder_is_reported_with_the_fix(tmp_path: Path) -> None:
    assert mistake(tmp_path / "no") == f"{tmp_path}/no cannot be read: No such file or directory"
    assert mistake(tmp_path) == f"{tmp_path} has no *.yaml: give the folder with one file per event"
    (tmp_path / "order.yaml").write_text(ORDER)
    assert mistake(tmp_path / "order.yaml") == f"{tmp_path}/order.yaml cannot be read: Not a directory"
    (tmp_path / "view.yml").write_text(ORDER)
    assert mistake(tmp_path) == f"{tmp_path}/view.yml: a plan's files end in .yaml: rename it"
    (tmp_path / "view.yml").rename(tmp_path / "view.yaml")
    (tmp_path / "view.yaml").write_bytes(b"event: \xff")
    assert mistake(tmp_path) == f"{tmp_path}/view.yaml is not UTF-8"
    (tmp_path / "view.yaml").write_text("#" * 1024 * 1024)
    assert mistake(tmp_path) == f"{tmp_path} has more than 1048576 bytes; make its files smaller"
    (tmp_path / "view.yaml").write_text("event: A\non_violation: drop\nschma: {}\n")
    assert mistake(tmp_path).splitlines() == [
        f"{tmp_path} has 2 mistakes:",
        "  view.yaml: line 2: on_violation: found 'drop'; expected reject or flag",
        "  view.yaml: line 3: schma: unknown key 'schma'; did you mean 'schema'?",
    ]


def test_a_folder_with_too_many_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stores.tracking_plan._MAX_FILES", 1)
    for name in ("order.yaml", "view.yaml"):
        (tmp_path / name).write_text(ORDER)
    assert mistake(tmp_path) == f"{tmp_path} has 2 files; the limit is 1"
    (tmp_path / "view.yaml").unlink()
    assert len(read_tracking_plan(str(tmp_path)).texts) == 1


def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(path: str, remote: object) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    (tmp_path / "order.yaml").write_text(ORDER)
    monkeypatch.setattr("stores.tracking_plan.read_file", refuse)
    assert mistake(tmp_path) == f"{tmp_path}/order.yaml cannot be read: Permission denied"


def test_without_a_reader_of_gs_a_folder_there_is_refused() -> None:
    with pytest.raises(
        TrackingPlanError, match="^gs://b/plan cannot be read: gs:// is not read here: give a"
    ):
        read_tracking_plan("gs://b/plan")


def test_reads_a_folder_on_gs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "order.yaml").write_text(ORDER)
    local_open = FileSystems.open
    names = ["gs://b/plan/order.yaml", "gs://b/plan/", "gs://b/plan/old/x.yaml"]
    matched = []

    def match(patterns: list[str]) -> list[MatchResult]:
        matched.extend(patterns)
        return [MatchResult(patterns[0], [FileMetadata(name, 1) for name in names])]

    monkeypatch.setattr(FileSystems, "match", match)
    monkeypatch.setattr(
        FileSystems, "open", lambda path: local_open(path.replace("gs://b/plan", str(tmp_path)))
    )
    for folder in ("gs://b/plan", "gs://b/plan/"):
        assert read_tracking_plan(folder, CloudFiles()).texts == (("order.yaml", ORDER),)
    assert matched == ["gs://b/plan/*"] * 2


def test_an_error_of_gs_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> Any:
        raise Forbidden("no objects for you")

    monkeypatch.setattr(FileSystems, "match", refuse)
    assert mistake("gs://b/plan") == "gs://b/plan cannot be read: 403 no objects for you"


# The job


@pytest.fixture
def flags(tmp_path: Path, redis_url: str) -> list[str]:
    """Flags of a run over a good order, two that break the plan, and a view."""
    (tmp_path / "segments.yaml").write_text(RULES)
    lines = [
        payload(0, "Order Completed", "good", order_id="o1", total=5),
        payload(1, "Order Completed", "bad", total="5"),
        payload(2, "Product Viewed", "viewer", price="5"),
        payload(900, "Order Completed", "later"),
    ]
    (tmp_path / "log.jsonl").write_bytes(b"\n".join(lines))
    return [
        f"--events={tmp_path}/log.jsonl",
        f"--segments={tmp_path}/segments.yaml",
        f"--redis_url={redis_url}",
        f"--history_path={tmp_path}/history",
        f"--dead_letter_path={tmp_path}/dead",
        "--as_of=2026-03-02T12:10:00Z",
        f"--tracking_plan={tmp_path}/plan",
    ]


def rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    return [json.loads(line) for file in folder.glob(f"{kind}*") for line in file.read_text().splitlines()]


def run(flags: list[str], folder: Path, **files: str) -> dict[str, int]:
    """Returns what a run under a plan counted."""
    (folder / "plan").mkdir()
    for name, text in files.items():
        (folder / "plan" / f"{name}.yaml").write_text(text)
    reset_totals()
    assert main(flags) == 0
    return total_counts()


def test_a_rejected_event_is_a_dead_letter(flags: list[str], tmp_path: Path) -> None:
    counts = run(flags, tmp_path, order=ORDER)
    (letter,) = rows(tmp_path, "dead")
    assert json.loads(letter["payload"]) == message(1, "Order Completed", "bad", total="5")
    assert (letter["step"], letter["reason"]) == ("ParseEvents", "tracking_plan")
    assert letter["message"] == "properties.order_id: is missing; properties.total: expected number"
    assert [row["profile_id"] for row in rows(tmp_path, "history")] == ["good"]
    assert counts["events_dead_lettered_tracking_plan"] == 1
    assert (counts["events_parsed"], counts["events_after_as_of"]) == (2, 1)
    assert "events_flagged" not in counts


def test_a_flagged_event_passes_and_is_counted(flags: list[str], tmp_path: Path) -> None:
    counts = run(flags, tmp_path, order=ORDER.replace("reject", "flag"))
    assert rows(tmp_path, "dead") == []
    assert sorted(row["profile_id"] for row in rows(tmp_path, "history")) == ["bad", "good"]
    assert (counts["events_parsed"], counts["events_flagged"]) == (3, 1)


def test_a_wrong_plan_ends_the_program_before_anything_runs(
    flags: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(flags) == 2
    assert capsys.readouterr().err == (
        f"segments run: --tracking_plan: {tmp_path}/plan cannot be read: No such file or directory\n"
    )
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "order.yaml").write_text(ORDER.replace("type: number", "type: money"))
    assert main(flags) == 2
    assert capsys.readouterr().err == (
        f"segments run: --tracking_plan: {tmp_path}/plan has a mistake:\n"
        "  order.yaml: line 3: schema.properties.properties.properties.total.type: found 'money'; expected array,"
        " boolean, integer, null, number, object, string\n"
    )
    assert rows(tmp_path, "history") == rows(tmp_path, "dead") == []


# The plan of this repository


def test_the_examples_of_the_ecommerce_spec_keep_our_plan() -> None:
    plan = read_tracking_plan(OURS).plan
    examples = [
        json.loads(line)["json"]
        for line in Path("data/segment_ecommerce_examples.jsonl").read_text().splitlines()
    ]
    assert len(examples) == 25
    for example in examples:
        assert example["event"] in plan
        assert plan.violations(example["event"], {**example, "context": DEVICE}) == ()


DEVICE: dict[str, Any] = {
    "active": True,
    "app": {"name": "Shop", "version": "2.1.0", "build": "3.0.1.545", "namespace": "com.example.shop"},
    "campaign": {"name": "TPS Innovation", "source": "Newsletter", "medium": "email"},
    "device": {
        "id": "B5372DB0-C21E-11E4-8DFC-AA07A5B093DB",
        "advertisingId": "7A3CBEA0-BDF5-11E4-8DFC-AA07A5B093DB",
        "adTrackingEnabled": True,
        "manufacturer": "Apple",
        "model": "iPhone7,2",
        "name": "maguro",
        "type": "ios",
        "token": "ff15bc0c20c4aa6cd50854ff165fd265c838e5405bfeb9571066395b8c9da449",
    },
    "ip": "192.0.2.1",
    "library": {"name": "analytics.js", "version": "2.11.1"},
    "locale": "en-US",
    "location": {"city": "San Francisco", "country": "United States", "latitude": 40.2, "longitude": 74.1},
    "network": {"bluetooth": False, "carrier": "T-Mobile US", "cellular": True, "wifi": False},
    "os": {"name": "iPhone OS", "version": "8.1.3"},
    "page": {"path": "/academy/", "referrer": "", "search": "", "title": "A", "url": "https://example.com/"},
    "referrer": {"id": "ABCD582CDEFFFF01919", "type": "dataxu"},
    "screen": {"width": 320, "height": 568, "density": 2},
    "groupId": "12345",
    "timezone": "Europe/Amsterdam",
    "userAgent": "Mozilla/5.0",
}


@pytest.mark.parametrize(
    "path, value",
    [
        ("app.name", 5),
        ("device.adTrackingEnabled", "yes"),
        ("device.id", 7),
        ("library.version", 2.11),
        ("locale", ["en"]),
        ("location.latitude", 400),
        ("network.wifi", "on"),
        ("os", "iOS"),
        ("screen.width", "320"),
        ("traits", []),
    ],
)
def test_our_plan_covers_a_devices_context(path: str, value: Any) -> None:
    plan = read_tracking_plan(OURS).plan
    outer, _, inner = path.partition(".")
    context = {**DEVICE, outer: {**DEVICE[outer], inner: value} if inner else value}
    assert plan.names
    for name in plan.names:
        broken = plan.violations(name, {"properties": {}, "context": context})
        assert f"context.{path}" in {violation.path for violation in broken}


AMOUNTS = {
    "Order Completed": ["value", "subtotal", "total", "revenue", "shipping", "tax", "discount"],
    "Product Added": ["price", "quantity", "position", "value"],
    "Coupon Applied": ["discount"],
}
TEXTS = [
    "12.50",
    "0",
    "-3",
    "1e3",
    "12,50",
    "1,299.50",
    "€12",
    "",
    " 12",
    "012",
    "+1",
    ".5",
    "0x10",
    "NaN",
    "٣",
]


@pytest.mark.parametrize("value", [*TEXTS, 12.5, 3, -3, True, [1], {"a": 1}])
def test_our_plan_takes_an_amount_if_the_segment_language_does(value: Any) -> None:
    plan = read_tracking_plan(OURS).plan
    for event, fields in AMOUNTS.items():
        for field in fields:
            properties = {"order_id": "o1", "product_id": "p1", field: value}
            broken = plan.violations(event, {"properties": properties})
            assert (broken == ()) == (as_number(value) is not None), f"{event}: {field}"


def test_our_plan_takes_the_amounts_of_products_and_steps_that_are_texts() -> None:
    plan = read_tracking_plan(OURS).plan
    product = {"product_id": "p1", "price": "12.50", "quantity": "2"}
    properties = {"order_id": "o1", "total": "27.50", "products": [product]}
    assert plan.violations("Order Completed", {"properties": properties}) == ()
    product["price"] = "12,50"
    (violation,) = plan.violations("Order Completed", {"properties": properties})
    assert violation.path == "properties.products[0].price"
    steps = [
        plan.violations("Checkout Step Viewed", {"properties": {"step": step}}) == ()
        for step in (1, "2", 0, "0", 1.5, "1.5", "first")
    ]
    assert steps == [True, True, False, False, False, False, False]


def test_our_sample_logs_keep_our_plan() -> None:
    plan = read_tracking_plan(OURS).plan
    logs = sorted(Path("data").glob("*.jsonl.gz"))
    assert len(logs) == 3
    for log in logs:
        with gzip.open(log) as lines:
            events = [parse_event(line) for line in itertools.islice(lines, 5000)]
        assert sum(event.name in plan for event in events) > 1000, log
        for event in events:
            assert plan.violations(event.name, event.message) == ()
