"""The client's IP address: where it comes from, and how much of it is stored."""

import ipaddress

from services.collector.settings import IpSetting

_KEPT_BITS = {4: 24, 6: 48}
_MAX_CHARACTERS = 64
"""An IPv6 address can have a zone of any length, and a client can forge it."""


def client_address(peer: str | None, forwarded_for: str | None, trusted_proxies: int) -> str | None:
    """Returns the client's address.

    Each proxy appends its caller's address to X-Forwarded-For. A client can forge all entries before those of the
    trusted proxies.

    Args:
      peer: the address that opened the connection.
      forwarded_for: the header X-Forwarded-For, if there is one.
      trusted_proxies: the number of trusted proxies in front; 0: the header is ignored.
    """
    if trusted_proxies == 0 or not forwarded_for:
        return peer
    addresses = [address.strip() for address in forwarded_for.split(",")]
    return addresses[max(0, len(addresses) - trusted_proxies)] or None


def kept_address(address: str | None, setting: IpSetting) -> str | None:
    """Returns the stored part of an address: all, its network (/24 of IPv4, /48 of IPv6), or None.

    A text that is not an IP address is dropped.
    """
    if address is None or setting == "drop" or len(address) > _MAX_CHARACTERS:
        return None
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if setting == "keep":
        return address
    network = ipaddress.ip_network((parsed, _KEPT_BITS[parsed.version]), strict=False)
    return str(network.network_address)
