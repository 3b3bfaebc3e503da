"""What tests of several commands share."""

from pathlib import Path

import pytest

from tests.templates.cloud import Cloud, Give


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setattr("templates.bases.LOCK", tmp_path / "bases.lock")
    monkeypatch.setattr("templates.infrastructure._FOLDER", tmp_path / "terraform")
    (tmp_path / "terraform").mkdir()
    (tmp_path / "terraform" / "terraform.tfvars").touch()
    return Cloud(tmp_path, monkeypatch)


@pytest.fixture
def give(monkeypatch: pytest.MonkeyPatch) -> Give:
    """Sets variables, as `make COMMAND NAME=value` does."""

    def give(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return give
