"""A file of definitions that cannot be used is refused with its place, and with every mistake."""

import pytest

from stores.definitions import DefinitionsError, read_definitions

GOOD = "version: 1\nsegments:\n  viewer: {when: {event: Product Viewed, within: 10m}}\n"


def test_the_text_and_the_rules_are_read(tmp_path):
    path = tmp_path / "segments.yaml"
    path.write_text(GOOD)
    text, rules = read_definitions(str(path))
    assert text == GOOD
    assert [segment.name for segment in rules.segments] == ["viewer"]


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "cannot be read: No such file or directory"),
        (b"version: \xff", "is not UTF-8"),
        (b"version: 1\nsegments: {viewer: {when: {evnt: x}}}\n", "has 1 mistake:\n  line 2: "),
        (b"version: 1\nsegmens: {}\nmeasurs: {}\n", "has 2 mistakes:\n  line 2: "),
    ],
    ids=["missing", "not UTF-8", "one mistake", "two mistakes"],
)
def test_the_message_names_the_file_and_every_mistake(tmp_path, content, message):
    path = tmp_path / "segments.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DefinitionsError) as refused:
        read_definitions(str(path))
    assert str(refused.value).startswith(f"{path} {message}")
