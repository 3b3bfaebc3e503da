"""The address that a request came from, and how much of it is kept."""

import ipaddress

from services.collector.settings import IpSetting

_KEPT_BITS = {4: 24, 6: 48}


def client_address(peer: str | None, forwarded_for: str | None, trusted_proxies: int) -> str | None:
    """Returns the client's address.

    Each proxy appends to X-Forwarded-For whom it was called by; what stands before that anybody can have written.

    Args:
      peer: who opened the connection.
      forwarded_for: the header, if there is one.
      trusted_proxies: how many addresses at its end our own proxies wrote; 0: the header is not believed.
    """
    if trusted_proxies == 0 or not forwarded_for:
        return peer
    addresses = [address.strip() for address in forwarded_for.split(",")]
    return addresses[max(0, len(addresses) - trusted_proxies)] or None


def kept_address(address: str | None, setting: IpSetting) -> str | None:
    """Returns what is kept of an address: all, its network (/24 of IPv4, /48 of IPv6), or nothing.

    A text that is no address is not kept.
    """
    if address is None or setting == "drop":
        return None
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return None
    if setting == "keep":
        return address
    network = ipaddress.ip_network((parsed, _KEPT_BITS[parsed.version]), strict=False)
    return str(network.network_address)
