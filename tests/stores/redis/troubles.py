"""Server errors: each is a context manager in which the server has the error."""

import contextlib
import os
import signal
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from local.embedded_redis import EmbeddedRedis
from tests.stores.redis.relay import Relay
from tests.waiting import HANGS_AFTER_SECONDS, until


@contextlib.contextmanager
def admin_of(server):
    """An administrator's client, which tries nothing again, and so waits for a busy server."""
    once = Retry(NoBackoff(), 0)
    with redis.Redis.from_url(
        server.url, decode_responses=True, retry=once, socket_timeout=HANGS_AFTER_SECONDS
    ) as admin:
        yield admin


@contextlib.contextmanager
def stopped(server):
    server.stop()
    yield
    server.start()


@contextlib.contextmanager
def hung(server):
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextlib.contextmanager
def full(server):
    with admin_of(server) as admin:
        admin.config_set("maxmemory", 1)
        yield
        admin.config_set("maxmemory", 0)


@contextlib.contextmanager
def read_only(server):
    """It is the replica of a primary that is away, until it is promoted."""
    with admin_of(server) as admin:
        admin.config_set("replica-serve-stale-data", "yes")
        admin.replicaof("127.0.0.1", "1")
        yield
        admin.replicaof("NO", "ONE")


@contextlib.contextmanager
def cut_off(server):
    """It is such a replica, and gives no stale data either."""
    with admin_of(server) as admin:
        admin.config_set("replica-serve-stale-data", "no")
        admin.replicaof("127.0.0.1", "1")
        yield
        admin.replicaof("NO", "ONE")


@contextlib.contextmanager
def without_replicas(server):
    with admin_of(server) as admin:
        admin.config_set("min-replicas-to-write", 1)
        yield
        admin.config_set("min-replicas-to-write", 0)


@contextlib.contextmanager
def busy(server):
    """It runs another program's script, which does not end."""
    with admin_of(server) as admin, admin_of(server) as other:
        admin.config_set("lua-time-limit", 1)
        connection = other.connection_pool.get_connection()
        connection.send_command("EVAL", "while true do end", 0)
        with contextlib.suppress(redis.ResponseError):  # the error BUSY
            while True:
                admin.ping()
        yield
        admin.script_kill()
        connection.disconnect()


@contextlib.contextmanager
def reloading(server, keys, delay_us):
    """It reads its data from the disk; yields what waits for the end.

    Every key has 200,000 bytes, and takes so long. Every two million bytes Redis gives answers.
    """
    with admin_of(server) as admin, admin_of(server) as other:
        admin.config_set("rdbcompression", "no")
        for number in range(keys):
            admin.set(f"big-{number}", "x" * 200_000)
        admin.config_set("key-load-delay", delay_us)
        connection = other.connection_pool.get_connection()
        connection.send_command("DEBUG", "RELOAD")
        with contextlib.suppress(redis.exceptions.BusyLoadingError):
            while not connection.can_read():
                admin.ping()
        yield connection.read_response
        connection.disconnect()


@contextlib.contextmanager
def loading(relay):
    """The server behind the relay answers LOADING, for as long as the test needs."""
    passing_on, relay.pass_on = relay.pass_on, say_loading
    yield
    relay.pass_on = passing_on


def say_loading(data, upstream, client):
    client.sendall(b"-LOADING Redis is loading the dataset in memory\r\n")


@contextlib.contextmanager
def unable_to_save(server):
    """Something is in the way of the file that it writes."""
    with admin_of(server) as admin:
        folder = admin.config_get("dir")["dir"]
        os.mkdir(f"{folder}/in-the-way")
        admin.config_set("dbfilename", "in-the-way")
        admin.config_set("save", "3600 1")
        _save(admin, "err")
        yield
        admin.config_set("dbfilename", "dump.rdb")
        _save(admin, "ok")


def _save(admin, status):
    admin.bgsave()
    until(lambda: not admin.info("persistence")["rdb_bgsave_in_progress"], "end of the save")
    assert admin.info("persistence")["rdb_last_bgsave_status"] == status


TROUBLES = {
    # name: the trouble, the error code, options of the URL
    "stopped": (stopped, "out of reach", ""),
    "hung": (hung, "out of reach", "?socket_timeout=0.2"),
    "full": (full, "OOM", ""),
    "read_only": (read_only, "READONLY", ""),
    "cut_off": (cut_off, "MASTERDOWN", ""),
    "without_replicas": (without_replicas, "NOREPLICAS", ""),
    "busy": (busy, "BUSY", ""),
    "loading": (loading, "LOADING", ""),
    "unable_to_save": (unable_to_save, "MISCONF", ""),
}


class Trouble:
    """A server in trouble, until somebody has paused so often.

    Args:
      name: of the trouble.
      server: that gets into it.
      pauses: after how many it passes; 0: it never does by itself.
    """

    def __init__(self, name: str, server: EmbeddedRedis, pauses: int) -> None:
        self.happens, self.code, options = TROUBLES[name]
        self.url = f"{server.url}{options}"
        self.pauses = 0
        self._server = server
        self._until = pauses
        self._relays = contextlib.ExitStack()
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        subject = self._server
        if self.happens is loading:
            subject = self._relays.enter_context(Relay(urlsplit(self._server.url).path))
            self.url = f"redis://127.0.0.1:{subject.port}"
        self._stack.enter_context(self.happens(subject))
        return self

    def __exit__(self, *_):
        with self._relays:
            self.pass_by()

    def pass_by(self):
        """Ends the trouble, if it has not ended."""
        self._stack.close()

    def sleep(self, seconds):
        """Takes no time."""
        self.pauses += 1
        if self.pauses == self._until:
            self.pass_by()
