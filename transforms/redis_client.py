"""How Redis is reached, and what its errors mean: whether they pass by themselves, and what to check."""

import dataclasses
import functools
import re
from typing import Any
from urllib.parse import urlsplit

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry


@functools.cache
def connect(url: str, *, password: str | None = None, ca_pem: str | None = None) -> redis.Redis:
    """Returns the process's client for a URL: connects when first used, threads and forks may share it.

    Its own retries are off, because `SegmentStore` retries. Options of redis-py may be appended
    to the URL, such as `?ssl_check_hostname=False`.

    Args:
      url: redis://, rediss:// (TLS) or unix://.
      password: instead of one in the URL.
      ca_pem: the certificates to trust instead of the system's, for rediss://.

    Raises:
      ValueError: not such a URL.
    """
    options: dict[str, Any] = {"password": password} if password is not None else {}
    if ca_pem is not None:
        options["ssl_ca_data"] = ca_pem
    try:
        if ca_pem is not None and urlsplit(url).scheme != "rediss":
            raise ValueError
        return redis.Redis.from_url(
            url,
            socket_timeout=5,
            socket_connect_timeout=5,
            health_check_interval=30,
            client_name="live-segments",
            protocol=2,  # plain replies are all that is needed, and older servers speak nothing else
            retry=Retry(NoBackoff(), 0),
            **options,
        )
    except ValueError:
        # The original text may hold the password.
        raise ValueError(
            "--redis_url must be redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH, with"
            " reserved characters percent-encoded; certificates to trust go with rediss:// only"
        ) from None


@dataclasses.dataclass(frozen=True)
class Fault:
    """The kind of an error, without the error's own text, which may hold addresses and arguments."""

    code: str
    check: str
    transient: bool = True
    """It may pass within seconds."""

    def __str__(self) -> str:
        return f"{self.code}: {self.check}"


_BUSY = "the server was starting, failing over or busy for longer than was worth waiting"
_MANY_NODES = "--redis_url leads to a node of a cluster, which needs a cluster's client"
_KNOWN = {
    known.code: known
    for known in (
        Fault("OOM", "the server is full: raise its maxmemory, or shorten --profile_ttl"),
        Fault("READONLY", "--redis_url leads to a replica: give the primary's address"),
        Fault("NOREPLICAS", "the server lacks the replicas it wants: see min-replicas-to-write"),
        Fault("MISCONF", "the server cannot save its data: see its log and its disk"),
        Fault("LOADING", _BUSY),
        Fault("BUSY", _BUSY),
        Fault("TRYAGAIN", _BUSY),
        Fault("CLUSTERDOWN", _BUSY),
        Fault("MASTERDOWN", _BUSY),
        Fault("NOSCRIPT", "another program keeps emptying the server's script cache"),
        Fault("NOAUTH", "the server wants a password: check --redis_auth_secret", False),
        Fault("WRONGPASS", "check the user and the password: --redis_auth_secret", False),
        Fault("NOPERM", "the Redis user needs scripts, and to read and write the prefix", False),
        Fault("WRONGTYPE", "another program uses keys of this prefix: change --redis_key_prefix", False),
        Fault("MOVED", _MANY_NODES, False),
        Fault("CROSSSLOT", _MANY_NODES, False),
    )
}
_CODE = re.compile(rf"\b(?:{'|'.join(_KNOWN)})\b")
_UNREACHED = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.RedisClusterException,
    OSError,
)
_OUT_OF_REACH = Fault(
    "out of reach",
    "check that --redis_url leads to a running Redis, that the network and its TLS settings let this"
    " machine reach it, and that it answers within five seconds",
)


def fault(error: BaseException) -> Fault:
    """Returns what an error from redis-py means; a script's error names its code in the text only."""
    code = getattr(error, "status_code", None)
    if code in _KNOWN:
        return _KNOWN[code]
    if isinstance(error, exceptions.AuthenticationError | exceptions.AuthorizationError):
        return _KNOWN["WRONGPASS"]
    if isinstance(error, _UNREACHED):
        return _OUT_OF_REACH
    named = _CODE.search(str(error))
    if named is not None:
        return _KNOWN[named[0]]
    return Fault(type(error).__name__, "see the server's log", False)
