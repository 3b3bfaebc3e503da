import pytest

from services.collector.client_address import client_address, kept_address


@pytest.mark.parametrize(
    "forwarded_for, trusted_proxies, address",
    [
        ([], 0, "10.0.0.1"),
        (["1.2.3.4"], 0, "10.0.0.1"),
        ([], 1, "10.0.0.1"),
        ([""], 1, "10.0.0.1"),
        (["1.2.3.4"], 1, "1.2.3.4"),
        (["6.6.6.6, 1.2.3.4"], 1, "1.2.3.4"),
        (["6.6.6.6, 1.2.3.4, 35.0.0.1"], 2, "1.2.3.4"),
        (["1.2.3.4"], 2, "1.2.3.4"),
        (["1.2.3.4,"], 1, None),
        (["6.6.6.6", "1.2.3.4"], 1, "1.2.3.4"),
        (["6.6.6.6", "7.7.7.7, 1.2.3.4", "35.0.0.1"], 2, "1.2.3.4"),
        (["6.6.6.6, 1.2.3.4:50123"], 1, "1.2.3.4"),
        (["[2001:db8::1]:443"], 1, "2001:db8::1"),
    ],
)
def test_only_what_our_own_proxies_wrote_is_believed(forwarded_for, trusted_proxies, address):
    assert client_address("10.0.0.1", forwarded_for, trusted_proxies) == address


@pytest.mark.parametrize(
    "address, setting, kept",
    [
        ("203.0.113.77", "keep", "203.0.113.77"),
        ("203.0.113.77", "truncate", "203.0.113.0"),
        ("203.0.113.77", "drop", None),
        ("2001:db8:1:2:3:4:5:6", "truncate", "2001:db8:1::"),
        ("unknown", "keep", None),
        ("203.0.113.77:80", "keep", "203.0.113.77"),
        ("203.0.113.77:80", "truncate", "203.0.113.0"),
        (" 203.0.113.77 ", "truncate", "203.0.113.0"),
        ("[2001:db8:1:2::6]:443", "truncate", "2001:db8:1::"),
        ("[2001:db8:1:2::6]", "truncate", "2001:db8:1::"),
        ("2001:db8:1:2::6%eth0", "truncate", "2001:db8:1::"),
        ("::ffff:203.0.113.77", "truncate", "203.0.113.0"),
        ("203.0.113.77:http", "truncate", None),
        ("[203.0.113.77", "truncate", None),
        ("[]:80", "truncate", None),
        (None, "keep", None),
    ],
)
def test_what_is_kept_of_an_address(address, setting, kept):
    assert kept_address(address, setting) == kept


@pytest.mark.parametrize("setting", ["keep", "truncate", "drop"])
def test_a_zone_of_any_length_is_not_kept(setting):
    assert kept_address("fe80::1%" + "a" * 60_000, setting) is None
    assert kept_address("fe80::1%eth0", "keep") == "fe80::1%eth0"
