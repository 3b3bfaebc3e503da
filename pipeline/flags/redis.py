"""The flags that lead to Redis: what they must be, and whether Redis answers there."""

import argparse
from urllib.parse import urlsplit

from redis.exceptions import RedisClusterException, RedisError

from stores.redis.access import RedisTarget, access_to
from stores.redis.client import fault, make_client, password_in
from stores.secrets import SecretError
from stores.segments.keys import DEFAULT_KEY_PREFIX


class RedisFlagsError(ValueError):
    """A flag is wrong, or Redis does not answer; the message shows no address and no password."""


def add_redis_flags(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """Adds the flags that every command has which reads or writes Redis.

    Args:
      parser: what they are added to.
      required: --redis_url must be given.
    """
    add = parser.add_argument
    add("--redis_url", metavar="URL", required=required, help="redis://, rediss:// or unix:///.")
    add(
        "--redis_key_prefix", default=DEFAULT_KEY_PREFIX, help="Begins every key in Redis. Default: segments:"
    )
    add("--redis_auth_secret", metavar="NAME", help="Redis's password: projects/P/secrets/S/versions/V.")
    add("--redis_ca_secret", metavar="NAME", help="Redis's certificates, named the same way.")


def redis_target(
    url: str, auth_secret: str | None, ca_secret: str | None, *, may_hold_password: bool
) -> RedisTarget:
    """Returns where the flags lead to, having connected to nothing.

    Args:
      url: of the flag --redis_url.
      auth_secret: of the flag --redis_auth_secret.
      ca_secret: of the flag --redis_ca_secret.
      may_hold_password: the flags stay on this machine, so the URL may hold one.

    Raises:
      RedisFlagsError: they do not fit, or a password would be shown to others.
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
    """Asks Redis for a sign of life, once.

    Raises:
      RedisFlagsError: it gives none, or a secret cannot be read.
    """
    try:
        access_to(target).client().ping()
    except SecretError as error:
        raise RedisFlagsError(str(error)) from None
    except (RedisError, RedisClusterException, OSError) as error:
        raise RedisFlagsError(f"Redis cannot be used: {fault(error)}") from None


def _check_url(url: str) -> None:
    try:
        pool = make_client(url).connection_pool
        pool.connection_class(**pool.connection_kwargs)  # refuses unknown options; connects to nothing
    except ValueError as error:
        raise RedisFlagsError(str(error)) from None
    except TypeError:
        message = "--redis_url has an option, after its question mark, that redis-py lacks"
        raise RedisFlagsError(message) from None
