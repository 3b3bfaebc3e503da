"""The client's IP address: where it comes from, and how much of it is stored."""

import ipaddress
import re
from collections.abc import Sequence

from services.collector.settings import IpSetting

_KEPT_BITS = {4: 24, 6: 48}
_MAX_CHARACTERS = 64
"""An IPv6 address can have a zone of any length, and a client can forge it."""
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d{1,5})?|([^:]*):\d{1,5}")
"""An address as some proxies write it: `[2001:db8::1]:443`, `[2001:db8::1]` or `203.0.113.77:443`."""


def client_address(peer: str | None, forwarded_for: Sequence[str], trusted_proxies: int) -> str | None:
    """Returns the client's address, without a port.

    Each proxy appends its caller's address to X-Forwarded-For. A client can forge all entries before those of the
    trusted proxies.

    Args:
      peer: the address that opened the connection.
      forwarded_for: the lines of the header X-Forwarded-For, in order. They are one list, because a proxy may add a
        line instead of appending to the client's.
      trusted_proxies: the number of trusted proxies in front; 0: the header is ignored.
    """
    if trusted_proxies == 0 or not any(forwarded_for):
        return peer
    addresses = [address.strip() for address in ",".join(forwarded_for).split(",")]
    return _without_port(addresses[max(0, len(addresses) - trusted_proxies)]) or None


def kept_address(address: str | None, setting: IpSetting) -> str | None:
    """Returns the stored part of an address: all, its network (/24 of IPv4, /48 of IPv6), or None.

    A port is dropped, and so is a text that is not an IP address. An IPv4 address within an IPv6 one
    (`::ffff:203.0.113.77`) is treated as IPv4.
    """
    if address is None or setting == "drop" or len(address) > _MAX_CHARACTERS:
        return None
    address = _without_port(address.strip())
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if setting == "keep":
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or ipaddress.IPv6Address(int(parsed))  # without a zone
    network = ipaddress.ip_network((parsed, _KEPT_BITS[parsed.version]), strict=False)
    return str(network.network_address)


def _without_port(address: str) -> str:
    match = _WITH_PORT.fullmatch(address)
    return address if match is None else match[1] or match[2]
