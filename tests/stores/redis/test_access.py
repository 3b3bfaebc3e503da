"""The process's one client of a Redis: what a fault changes."""

from stores.redis.access import RedisAccess, RedisTarget
from stores.redis.client import FAULTS


def test_after_a_fault_idle_connections_are_renewed_and_those_in_use_are_left_to_their_threads(redis_url):
    access = RedisAccess(RedisTarget(redis_url))
    pool = access.client().connection_pool
    in_use, idle = pool.get_connection(), pool.get_connection()
    pool.release(idle)
    assert access.recover(FAULTS["out of reach"])
    assert in_use.is_connected
    assert idle.is_connected
    access.client()
    assert in_use.is_connected
    assert not idle.is_connected
    pool.release(in_use)
    pool.disconnect()
