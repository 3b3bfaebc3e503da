"""Secrets are read once, read again after `forget`, and never printed."""

import logging
import pickle
import traceback

import pytest
from google.api_core import exceptions
from google.auth.exceptions import DefaultCredentialsError, RefreshError

from stores.redis.access import RedisTarget
from stores.secrets import SecretError, Secrets, secret_manager, secrets_of
from tests.stores.secret_manager import PASSWORD_SECRET, FakeSecretManager


@pytest.fixture
def manager():
    manager = FakeSecretManager()
    manager.held[PASSWORD_SECRET] = b"sesame"
    return manager


@pytest.fixture
def secrets(manager):
    return Secrets(manager.make_client)


def test_are_read_once(manager, secrets):
    assert secrets.read(PASSWORD_SECRET) == secrets.read(PASSWORD_SECRET) == "sesame"
    assert manager.reads == [PASSWORD_SECRET]


def test_are_read_again_when_they_were_forgotten(manager, secrets):
    secrets.read(PASSWORD_SECRET)
    manager.held[PASSWORD_SECRET] = b"simsim"
    secrets.forget(PASSWORD_SECRET)
    secrets.forget("projects/shop/secrets/never-read/versions/1")
    assert secrets.read(PASSWORD_SECRET) == "simsim"


def test_are_the_processs(manager):
    assert secrets_of(manager.make_client) is secrets_of(manager.make_client)
    assert secrets_of(manager.make_client) is not secrets_of(FakeSecretManager().make_client)


@pytest.mark.parametrize("held", [b"sesame", b"sesame\n", b"sesame\r\n"])
def test_the_line_end_of_a_shell_is_no_part_of_it(manager, secrets, held):
    manager.held[PASSWORD_SECRET] = held
    assert secrets.read(PASSWORD_SECRET) == "sesame"


def test_other_spaces_are_part_of_it(manager, secrets):
    manager.held[PASSWORD_SECRET] = b" s\n\n"
    assert secrets.read(PASSWORD_SECRET) == " s\n"


@pytest.mark.parametrize(
    "held, expected, transient",
    [
        (exceptions.PermissionDenied("denied"), "PermissionDenied: grant the job's service account", False),
        (exceptions.NotFound("none"), "NotFound: no such version", False),
        (exceptions.FailedPrecondition("destroyed"), "FailedPrecondition: enable that version", False),
        (
            exceptions.Unauthenticated("who"),
            "Unauthenticated: this machine has no valid Google credentials",
            False,
        ),
        (RefreshError("expired"), "RefreshError: this machine has no valid Google credentials", False),
        (exceptions.InvalidArgument("what"), "InvalidArgument: Secret Manager failed", False),
        (exceptions.ServiceUnavailable("away"), "ServiceUnavailable: Secret Manager failed", True),
        (exceptions.DeadlineExceeded("late"), "DeadlineExceeded: Secret Manager failed", True),
        (exceptions.ResourceExhausted("much"), "ResourceExhausted: Secret Manager failed", True),
        (b"", "it is empty", False),
        (b"\n", "it is empty", False),
        (b"\xffsesame", "it is not UTF-8", False),
    ],
)
def test_one_that_cannot_be_read_is_named_with_what_to_do(manager, secrets, held, expected, transient):
    manager.held[PASSWORD_SECRET] = held
    with pytest.raises(SecretError) as caught:
        secrets.read(PASSWORD_SECRET)
    assert str(caught.value).startswith(f"{PASSWORD_SECRET} cannot be read: {expected}")
    assert caught.value.transient is transient
    assert "sesame" not in "".join(traceback.format_exception(caught.value))
    manager.held[PASSWORD_SECRET] = b"sesame"
    assert secrets.read(PASSWORD_SECRET) == "sesame", "a failure is not kept"


def test_a_client_that_cannot_be_made_is_made_again(manager):
    made = []

    def make_client():
        made.append(True)
        if len(made) == 1:
            raise DefaultCredentialsError("none found")
        return manager.make_client()

    secrets = Secrets(make_client)
    with pytest.raises(SecretError, match="no valid Google credentials"):
        secrets.read(PASSWORD_SECRET)
    assert secrets.read(PASSWORD_SECRET) == "sesame"


def test_the_real_client_reports_missing_credentials(monkeypatch, tmp_path):
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(
        SecretError, match="DefaultCredentialsError: this machine has no valid Google credentials"
    ):
        Secrets(secret_manager).read(PASSWORD_SECRET)


def test_are_neither_shown_nor_logged_nor_pickled(manager, secrets, caplog):
    with caplog.at_level(logging.DEBUG):
        secrets.read(PASSWORD_SECRET)
    assert "sesame" not in caplog.text + repr(secrets) + str(secrets)
    with pytest.raises(TypeError, match="must not leave their process"):
        pickle.dumps(secrets)


def test_a_target_travels_with_names_only():
    target = RedisTarget("rediss://:letmein@redis.example", PASSWORD_SECRET)
    assert PASSWORD_SECRET in repr(target)
    assert "letmein" not in repr(target)
    assert "redis.example" not in repr(target)
    assert pickle.loads(pickle.dumps(target)) == target
