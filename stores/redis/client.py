"""Makes Redis clients, and classifies Redis errors: whether an error is transient, and what to check."""

import dataclasses
import re
import ssl
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

import redis
from redis import exceptions
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.connection import parse_url
from redis.retry import Retry

Client = redis.Redis | RedisCluster
URL_FORMS = (
    "redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix:///PATH, with reserved characters percent-encoded; only"
    " rediss:// takes CA certificates"
)
"""The accepted forms of a URL, for error messages."""


def make_client(url: str, password: str | None = None, ca_pem: str | None = None) -> redis.Redis:
    """Returns a new client for a URL. It connects on first use; threads and forks may share it.

    The client's own retries are off, because `ScriptRunner` retries. The URL may have options of redis-py, such as
    `?ssl_check_hostname=False`.

    Args:
      url: redis://, rediss:// (TLS) or unix://.
      password: replaces the one in the URL.
      ca_pem: CA certificates to trust in addition to the system's, in PEM format; only for rediss://.

    Raises:
      ValueError: the URL or the certificates are invalid.
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
    """Returns a new client of a cluster; asks the node at the URL for the other nodes.

    Raises:
      RedisClusterException: the node does not answer, or some slots have no node.
    """
    return RedisCluster.from_url(url, retry=Retry(NoBackoff(), 0), **_options(url, password, ca_pem))


def password_in(url: str) -> bool:
    """Returns whether a URL contains a password.

    Raises:
      ValueError: the URL is not a Redis URL.
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
        "protocol": 2,  # the newer protocol 3 has no advantage here, and servers before Redis 6 lack it
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
        raise ValueError("the CA certificates are not in PEM format") from None
    return pem


def _bad_url() -> ValueError:
    return ValueError(f"the Redis URL must be {URL_FORMS}")


class _Packer:
    """Encodes commands, in a third of the time that redis-py takes."""

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


Setting = Literal["url", "auth_secret", "ca_secret", "key_prefix", "ttl"]


@dataclasses.dataclass(frozen=True)
class Fault:
    """The kind of an error, without the error's own text, which may contain addresses and arguments.

    Args:
      code: Redis's error code, or a name for an error without one.
      check: what to check, without names of flags.
      transient: whether the error can pass within seconds.
      setting: the setting that is probably wrong; None if none is.
    """

    code: str
    check: str
    transient: bool = True
    setting: Setting | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.check}"


_BUSY = "the server was starting, failing over or busy for longer than all retries took"
_MANY_NODES = "the Redis URL leads to a node of a cluster: give its TCP address, database 0"
_SERVER_FAULTS = {
    known.code: known
    for known in (
        Fault("OOM", "the server is full: raise its maxmemory, or shorten the profiles' TTL", setting="ttl"),
        Fault("READONLY", "the Redis URL leads to a replica: give the primary's address", setting="url"),
        Fault("NOREPLICAS", "the server has too few replicas: see min-replicas-to-write"),
        Fault("MISCONF", "the server cannot save its data: see its log and its disk"),
        Fault("LOADING", _BUSY),
        Fault("BUSY", _BUSY),
        Fault("TRYAGAIN", _BUSY),
        Fault("ASK", "the cluster was moving keys for longer than all retries took"),
        Fault("CLUSTERDOWN", _BUSY),
        Fault("MASTERDOWN", _BUSY),
        Fault("NOSCRIPT", "another program keeps emptying the server's script cache"),
        Fault("NOAUTH", "the server requires a password: check the password's secret", False, "auth_secret"),
        Fault("WRONGPASS", "check the user and the password's secret", False, "auth_secret"),
        Fault(
            "NOPERM", "the Redis user must be allowed to run scripts and to read and write the prefix", False
        ),
        Fault(
            "WRONGTYPE",
            "another program uses keys of this prefix: change the key prefix",
            False,
            "key_prefix",
        ),
        Fault("MOVED", _MANY_NODES, False, "url"),
        Fault("CROSSSLOT", _MANY_NODES, False, "url"),
    )
}
FAULTS = _SERVER_FAULTS | {
    known.code: known
    for known in (
        Fault(
            "DATABASE",
            "the Redis URL has the number of a database that does not exist; a cluster has only 0",
            False,
            "url",
        ),
        Fault(
            "CERTIFICATE",
            "the server's certificate is not trusted: check the secret with the CA certificates",
            False,
            "ca_secret",
        ),
        Fault(
            "HOSTNAME", "the server's certificate does not contain the host of the Redis URL", False, "url"
        ),
        Fault(
            "TLS",
            "TLS failed: check the port in the Redis URL, and whether the server requires a client certificate",
            setting="url",
        ),
        Fault(
            "out of reach",
            "check that the Redis URL leads to a running Redis, that the network and its TLS settings let this"
            " machine connect, that it answers within five seconds and accepts more clients (maxclients)",
            setting="url",
        ),
    )
}
_CODE_OF_TEXT = {
    "The user executing the script can't": "NOPERM",  # Redis 6
    "SELECT is not allowed": "DATABASE",
    "DB index": "DATABASE",
    **{code: code for code in _SERVER_FAULTS},
}
_KNOWN_TEXT = re.compile("|".join(rf"\b{text}\b" for text in _CODE_OF_TEXT))
_CONNECTION_ERRORS = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.RedisClusterException,
    OSError,
)
_NAME_MISMATCHES = (62, 64)
"""OpenSSL's error numbers for a certificate of another host name, and of another IP address."""


def fault(error: BaseException) -> Fault:
    """Returns the kind of an error from redis-py."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return FAULTS[
                "HOSTNAME" if getattr(cause, "verify_code", 0) in _NAME_MISMATCHES else "CERTIFICATE"
            ]
        if isinstance(cause, ssl.SSLError):
            return FAULTS["TLS"]
        code = getattr(cause, "status_code", None)
        if code in FAULTS:
            return FAULTS[code]
        if isinstance(cause, exceptions.AuthenticationError | exceptions.AuthorizationError):
            return FAULTS["WRONGPASS"]
    if isinstance(error, _CONNECTION_ERRORS):
        return FAULTS["out of reach"]
    known = _KNOWN_TEXT.search(str(error))  # an error inside a script has its code only in the text
    if known is not None:
        return FAULTS[_CODE_OF_TEXT[known[0]]]
    return Fault(type(error).__name__, "see the server's log", False)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields an error and its causes, because redis-py wraps errors of TLS and of a cluster in its own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
