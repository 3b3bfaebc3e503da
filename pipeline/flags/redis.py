"""Adds the flags for Redis to a parser, checks them, and checks that Redis answers."""

import argparse
from urllib.parse import urlsplit

from redis.exceptions import RedisClusterException, RedisError

from stores.redis.access import RedisTarget, access_to
from stores.redis.client import URL_FORMS, Fault, Setting, fault, make_client, password_in
from stores.secrets import SecretError
from stores.segments.keys import DEFAULT_KEY_PREFIX

_FLAGS: dict[Setting, str] = {
    "url": "--redis_url",
    "auth_secret": "--redis_auth_secret",
    "ca_secret": "--redis_ca_secret",
    "key_prefix": "--redis_key_prefix",
    "ttl": "--profile_ttl",
}


class RedisFlagsError(ValueError):
    """A flag is wrong, or Redis does not answer. The message has no address and no password."""


def with_flag(found: Fault) -> str:
    """Returns a fault's text, followed by the flag to check, if there is one."""
    return str(found) if found.setting is None else f"{found}; see {_FLAGS[found.setting]}"


def add_redis_flags(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Adds the flags of every command that reads or writes Redis.

    Args:
      parser: the parser to add them to.
      required: whether --redis_url must be given.
    """
    add_redis_url(parser, required=required)
    add_redis_details(parser)


def add_redis_url(parser: argparse._ActionsContainer, *, required: bool = False) -> None:
    """Adds --redis_url to a parser or to a group of one."""
    parser.add_argument(
        "--redis_url", metavar="URL", required=required, help="redis://, rediss:// or unix:///."
    )


def add_redis_details(parser: argparse._ActionsContainer) -> None:
    """Adds the other flags of `add_redis_flags` to a parser or to a group of one."""
    add = parser.add_argument
    add(
        "--redis_key_prefix",
        default=DEFAULT_KEY_PREFIX,
        metavar="PREFIX",
        help="Begins every key in Redis. Default: segments:",
    )
    add("--redis_auth_secret", metavar="NAME", help="Redis's password: projects/P/secrets/S/versions/V.")
    add("--redis_ca_secret", metavar="NAME", help="Redis's certificates, named the same way.")


def redis_target(
    url: str, auth_secret: str | None, ca_secret: str | None, *, may_hold_password: bool
) -> RedisTarget:
    """Returns the target that the flags describe. Does not connect.

    Args:
      url: the value of --redis_url.
      auth_secret: the value of --redis_auth_secret.
      ca_secret: the value of --redis_ca_secret.
      may_hold_password: whether the URL may contain a password, because the flags stay on this machine.

    Raises:
      RedisFlagsError: the flags contradict each other, or other people could read a password in them.
    """
    _check_url(url)
    has_password = password_in(url)
    if has_password and not may_hold_password:
        raise RedisFlagsError(
            "--redis_url holds a password, and a job's flags are no secret: take it out and give"
            " --redis_auth_secret"
        )
    if has_password and auth_secret is not None:
        raise RedisFlagsError("--redis_url holds a password already: take it out, or --redis_auth_secret")
    if ca_secret is not None and urlsplit(url).scheme != "rediss":
        raise RedisFlagsError("--redis_ca_secret is for TLS: begin --redis_url with rediss://")
    return RedisTarget(url, auth_secret, ca_secret)


def check_answer(target: RedisTarget) -> None:
    """Sends one PING to Redis.

    Raises:
      RedisFlagsError: Redis does not answer, or a secret cannot be read.
    """
    try:
        access_to(target).client().ping()
    except SecretError as error:
        raise RedisFlagsError(str(error)) from None
    except (RedisError, RedisClusterException, OSError) as error:
        raise RedisFlagsError(f"Redis cannot be used: {with_flag(fault(error))}") from None


def _check_url(url: str) -> None:
    try:
        pool = make_client(url).connection_pool
    except ValueError:
        raise RedisFlagsError(f"--redis_url must be {URL_FORMS}") from None
    try:
        pool.connection_class(
            **pool.connection_kwargs
        )  # raises TypeError for unknown options; does not connect
    except ValueError as error:
        raise RedisFlagsError(str(error)) from None
    except TypeError:
        message = "--redis_url has an option, after its question mark, that redis-py lacks"
        raise RedisFlagsError(message) from None
