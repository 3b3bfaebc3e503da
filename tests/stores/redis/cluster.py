"""A cluster of embedded servers, on TCP ports of this machine."""

import contextlib

import redis

from local.embedded_redis import EmbeddedRedis
from local.pubsub_emulator import free_port
from tests.waiting import HANGS_AFTER_SECONDS, until

SLOTS = 16384
_NODE_TIMEOUT_MS = HANGS_AFTER_SECONDS * 1000
"""A node that answers later counts as lost: a shorter time would be too short on a busy machine."""
_BUS = 10_000
"""The nodes speak to each other on a port so far above the clients'."""


class Node:
    """A server of a cluster, and an administrator's client of it."""

    def __init__(self, server, port):
        self.server = server
        self.port = port
        self.admin = redis.Redis.from_url(server.url, decode_responses=True)

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    @property
    def id(self):
        return self.admin.execute_command("CLUSTER MYID")

    def command_calls(self, name):
        """Returns how often a command was carried out since `config_resetstat`."""
        stats = self.admin.info("commandstats").get(f"cmdstat_{name}", {})
        return stats.get("calls", 0)


@contextlib.contextmanager
def running_cluster(folder, nodes, announced=()):
    """Starts so many nodes, which share the slots, and yields them.

    Args:
      folder: for what they write.
      nodes: how many.
      announced: the ports that they tell others; by default their own.
    """
    with contextlib.ExitStack() as stack:
        started = []
        for number in range(nodes):
            node = stack.enter_context(running_node(folder / str(number), *announced[number : number + 1]))
            first, end = (SLOTS * part // nodes for part in (number, number + 1))
            node.admin.execute_command("CLUSTER ADDSLOTS", *range(first, end))
            started.append(node)
        join(started)
        yield started


@contextlib.contextmanager
def running_node(folder, announced=0):
    """Starts a node that knows no other, and yields it."""
    port = _free_port()
    settings = {
        "port": str(port),
        "bind": "127.0.0.1",
        "cluster-enabled": "yes",
        "cluster-node-timeout": str(_NODE_TIMEOUT_MS),
        "cluster-announce-port": str(announced),
        "cluster-announce-bus-port": str(port + _BUS if announced else 0),
    }
    with EmbeddedRedis(folder, settings=settings) as server:
        node = Node(server, port)
        with node.admin:
            yield node


def join(nodes):
    """Makes the nodes known to each other, and returns when all agree that every slot is served."""
    for node in nodes:
        node.admin.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port)
    await_whole(nodes)


def await_whole(nodes):
    """Asks until all nodes agree that every slot is served."""
    expected = "ok", str(SLOTS), str(len(nodes))
    until(lambda: all(_state_of(node) == expected for node in nodes), "agreement of the nodes")


def _state_of(node):
    info = node.admin.execute_command("CLUSTER INFO")
    return info["cluster_state"], info["cluster_slots_ok"], info["cluster_known_nodes"]


def _free_port():
    """Returns a port that is free, the node's bus too."""
    while True:
        port = free_port()
        with contextlib.suppress(OSError, OverflowError):
            free_port(port + _BUS)
            return port
