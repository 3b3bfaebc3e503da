"""How Redis is reached, and what its errors mean: whether they pass by themselves, and what to check."""

import dataclasses
import re
import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.connection import parse_url
from redis.retry import Retry

Client = redis.Redis | RedisCluster


def make_client(url: str, password: str | None = None, ca_pem: str | None = None) -> redis.Redis:
    """Returns a new client for a URL, which connects when first used; threads and forks may share it.

    Its own retries are off, because `ScriptRunner` retries. Options of redis-py may be appended
    to the URL, such as `?ssl_check_hostname=False`.

    Args:
      url: redis://, rediss:// (TLS) or unix://.
      password: instead of one in the URL.
      ca_pem: certificates to trust besides the system's, for rediss://.

    Raises:
      ValueError: not such a URL, or no such certificates.
    """
    options = _options(url, password, ca_pem)
    try:
        return redis.Redis.from_url(
            url,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=30,
            command_packer=_Packer(),
            **options,
        )
    except ValueError:
        raise _bad_url() from None  # the original text may hold the password


def make_cluster_client(url: str, password: str | None = None, ca_pem: str | None = None) -> RedisCluster:
    """Returns a new client of the cluster that a URL's node belongs to; asks that node for the others.

    Raises:
      RedisClusterException: the node does not answer, or the cluster is not whole.
    """
    return RedisCluster.from_url(url, retry=Retry(NoBackoff(), 0), **_options(url, password, ca_pem))


def password_in(url: str) -> bool:
    """Returns whether a URL holds a password, which belongs into a secret.

    Raises:
      ValueError: no URL of a Redis.
    """
    try:
        return bool({"password", "ssl_password"} & parse_url(url).keys())
    except ValueError:
        raise _bad_url() from None


def _options(url: str, password: str | None, ca_pem: str | None) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_timeout": 5,
        "socket_connect_timeout": 5,
        "client_name": "live-segments",
        "protocol": 2,  # plain replies are all that is needed, and older servers speak nothing else
    }
    if password is not None:
        options["password"] = password
    if ca_pem is not None:
        if urlsplit(url).scheme != "rediss":
            raise _bad_url()
        options["ssl_ca_data"] = _certificates(ca_pem)
    return options


def _certificates(pem: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
    except (ssl.SSLError, ValueError, TypeError):
        raise ValueError("the certificates to trust are not certificates in PEM form") from None
    return pem


def _bad_url() -> ValueError:
    return ValueError(
        "--redis_url must be redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH, with"
        " reserved characters percent-encoded; certificates to trust go with rediss:// only"
    )


class _Packer:
    """Writes commands for the wire, in a third of the time that redis-py takes."""

    def pack(self, *args: Any) -> list[bytes]:
        words = args[0].split() if isinstance(args[0], str) else [args[0]]
        parts = [b""]
        for arg in (*words, *args[1:]):
            data = arg if isinstance(arg, bytes) else _bytes(arg)
            parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
        parts[0] = b"*%d\r\n" % (len(parts) - 1)
        return [b"".join(parts)]


def _bytes(arg: object) -> bytes:
    match arg:
        case str():
            return arg.encode()
        case bool():
            raise redis.DataError("a command's argument is no text, number or bytes")
        case int() | float():
            return repr(arg).encode()
        case bytearray() | memoryview():
            return bytes(arg)
    raise redis.DataError("a command's argument is no text, number or bytes")


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
_MANY_NODES = "--redis_url leads to a node of a cluster: give its TCP address, database 0"
_SAID_BY_SERVER = {
    known.code: known
    for known in (
        Fault("OOM", "the server is full: raise its maxmemory, or shorten --profile_ttl"),
        Fault("READONLY", "--redis_url leads to a replica: give the primary's address"),
        Fault("NOREPLICAS", "the server lacks the replicas it wants: see min-replicas-to-write"),
        Fault("MISCONF", "the server cannot save its data: see its log and its disk"),
        Fault("LOADING", _BUSY),
        Fault("BUSY", _BUSY),
        Fault("TRYAGAIN", _BUSY),
        Fault("ASK", "the cluster was moving keys for longer than was worth waiting"),
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
FAULTS = _SAID_BY_SERVER | {
    known.code: known
    for known in (
        Fault("DATABASE", "--redis_url names a database that the server lacks; a cluster has 0 only", False),
        Fault("CERTIFICATE", "the server's certificate is not trusted: check --redis_ca_secret", False),
        Fault("HOSTNAME", "the server's certificate is for other names than the host in --redis_url", False),
        Fault(
            "TLS", "TLS failed: check the port in --redis_url, and whether a client's certificate is wanted"
        ),
        Fault(
            "out of reach",
            "check that --redis_url leads to a running Redis, that the network and its TLS settings let this"
            " machine reach it, that it answers within five seconds and takes more clients (maxclients)",
        ),
    )
}
_SAID = {
    "The user executing the script can't": "NOPERM",  # Redis 6
    "SELECT is not allowed": "DATABASE",
    "DB index": "DATABASE",
    **{code: code for code in _SAID_BY_SERVER},
}
_SAYS = re.compile("|".join(rf"\b{said}\b" for said in _SAID))
_UNREACHED = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.RedisClusterException,
    OSError,
)
_OTHER_NAME = (62, 64)
"""OpenSSL's numbers for a certificate of another host, and of another address."""


def fault(error: BaseException) -> Fault:
    """Returns what an error from redis-py means; a script's error names its code in the text only."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return FAULTS["HOSTNAME" if getattr(cause, "verify_code", 0) in _OTHER_NAME else "CERTIFICATE"]
        if isinstance(cause, ssl.SSLError):
            return FAULTS["TLS"]
        code = getattr(cause, "status_code", None)
        if code in FAULTS:
            return FAULTS[code]
        if isinstance(cause, exceptions.AuthenticationError | exceptions.AuthorizationError):
            return FAULTS["WRONGPASS"]
    if isinstance(error, _UNREACHED):
        return FAULTS["out of reach"]
    said = _SAYS.search(str(error))
    if said is not None:
        return FAULTS[_SAID[said[0]]]
    return Fault(type(error).__name__, "see the server's log", False)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and those that it was raised from: redis-py hides TLS's and a cluster's in its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
