"""Holds the process's client of one Redis, and renews it after an error."""

import dataclasses
import functools
import threading
from urllib.parse import urlsplit

from redis.cluster import RedisCluster

from stores.redis.client import Client, Fault, make_client, make_cluster_client
from stores.secrets import MakeClient, SecretError, secret_manager, secrets_of


@dataclasses.dataclass(frozen=True)
class RedisTarget:
    """The address of Redis and the names of its secrets. Workers receive this, and no password.

    Args:
      url: redis://, rediss:// or unix://. It contains no password, except in a run on the user's own machine.
      auth_secret: the secret with the password: projects/P/secrets/S/versions/V.
      ca_secret: the secret with CA certificates (PEM) to trust in addition to the system's; only for rediss://.
      make_client: makes the client of Secret Manager.
    """

    url: str = dataclasses.field(repr=False)
    auth_secret: str | None = None
    ca_secret: str | None = None
    make_client: MakeClient = dataclasses.field(default=secret_manager, repr=False)


class RedisAccess:
    """Holds the process's client of a target; threads share it.

    If the server turns out to be a node of a cluster, the client becomes a cluster client. If Redis rejects a
    password or a certificate, its secret is read again.
    """

    def __init__(self, target: RedisTarget) -> None:
        self._target = target
        self._secrets = secrets_of(target.make_client)
        self._lock = threading.RLock()
        self._client: Client | None = None
        self._is_cluster = False
        self._is_stale = False

    def prepare(self) -> None:
        """Reads the secrets, if the process has not yet. Does not connect.

        Raises:
          SecretError: a secret cannot be read, or the CA certificates in it are invalid.
        """
        with self._lock:
            if not self._is_cluster:
                self.client()

    def client(self) -> Client:
        """Returns the client. Reads the secrets first if there is no client yet, or if Redis rejected them.

        Raises:
          SecretError: a secret cannot be read, or the CA certificates in it are invalid.
          RedisClusterException: no node of the cluster answers.
        """
        with self._lock:
            if self._client is None:
                self._client = self._make_client()
            elif self._is_stale:
                self._renew_connections(self._client)
            self._is_stale = False
            return self._client

    def recover(self, fault: Fault) -> bool:
        """Returns whether a retry can succeed after a fault. The next call of `client` prepares the retry."""
        with self._lock:
            self._is_stale = True
            is_fixed = self._forget_rejected_secret(fault) or self._follow_cluster(fault)
        return fault.transient or is_fixed

    def _forget_rejected_secret(self, fault: Fault) -> bool:
        rejected = {
            "NOAUTH": self._target.auth_secret,
            "WRONGPASS": self._target.auth_secret,
            "CERTIFICATE": self._target.ca_secret,
        }.get(fault.code)
        if rejected is None:
            return False
        self._secrets.forget(rejected)
        self._client = None
        return True

    def _follow_cluster(self, fault: Fault) -> bool:
        if fault.code not in ("MOVED", "ASK") or urlsplit(self._target.url).scheme == "unix":
            return False
        if not self._is_cluster:
            self._is_cluster = True
            self._client = None
        return True

    def _make_client(self) -> Client:
        target = self._target
        password = None if target.auth_secret is None else self._secrets.read(target.auth_secret)
        ca_pem = None if target.ca_secret is None else self._secrets.read(target.ca_secret)
        make = make_cluster_client if self._is_cluster else make_client
        try:
            return make(target.url, password, ca_pem)
        except ValueError as error:
            if target.ca_secret is None:
                raise
            self._secrets.forget(target.ca_secret)
            raise SecretError(target.ca_secret, str(error)) from None

    def _renew_connections(self, client: Client) -> None:
        """Makes the next command connect again: the address may lead to another primary now."""
        if isinstance(client, RedisCluster):
            address = urlsplit(self._target.url)
            client.nodes_manager.initialize([(address.hostname or "localhost", address.port or 6379)])
        else:
            client.connection_pool.disconnect(inuse_connections=False)


@functools.cache
def access_to(target: RedisTarget) -> RedisAccess:
    """Returns the process's one `RedisAccess` of a target."""
    return RedisAccess(target)
