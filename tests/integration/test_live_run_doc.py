"""The commands of docs/live-run.md do what the page says, in its order."""

from tests.integration.page_reader import Reader, steps


def test_the_page_can_be_followed(reader: Reader) -> None:
    for step in steps("live-run.md"):
        reader.take(step)
    assert "Traceback" not in reader.said("job")
    assert "live: ended; all pulled messages are processed" in reader.said("job")
