"""docs/browser.md: its rule counts different orders. Tests of SDKs run its snippets and its mapping in a browser."""

from pathlib import Path

from tests.docs.examples import happened, read_examples

TEXT = (Path(__file__).parents[2] / "docs" / "browser.md").read_text(encoding="utf-8")


def test_the_rule_counts_an_order_once_however_often_it_is_sent() -> None:
    (example,) = read_examples(TEXT)
    (events,) = example.events
    written, found = happened(example, events)
    assert written == found
