"""Write keys: reads them from requests, and finds their source."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable

from services.collector.fields import Fields, text
from services.collector.settings import Source


class WriteKeys:
    """Finds the source of a write key; the time does not depend on how many characters of a wrong key match."""

    def __init__(self, sources: Iterable[Source]) -> None:
        # keyed digests with a random secret: the time of a lookup reveals nothing about write keys
        self._secret = secrets.token_bytes(32)
        self._sources = {self._digest(source.write_key): source for source in sources}
        self._no_digest = self._digest(secrets.token_hex(32))

    def source(self, write_key: str) -> Source | None:
        """Returns the source with this write key; None if there is none."""
        digest = self._digest(write_key)
        known = digest if digest in self._sources else self._no_digest
        return self._sources[digest] if hmac.compare_digest(known, digest) else None

    def is_known(self, write_key: str) -> bool:
        """Returns whether there is a source with this write key."""
        return self.source(write_key) is not None

    def _digest(self, write_key: str) -> bytes:
        return hashlib.blake2b(write_key.encode(errors="replace"), key=self._secret, digest_size=32).digest()


def basic_user(authorization: str | None) -> str | None:
    """Returns the user name of Basic authentication, where SDKs send the write key; None if there is none.

    Segment's SDK for Roku writes `Basic:`, and no colon after the write key.
    """
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower().removesuffix(":") != "basic":
        return None
    try:
        user = base64.b64decode(encoded, validate=True).decode().partition(":")[0]
    except ValueError:  # broken base64, or not ASCII, or not UTF-8 in it
        return None
    return user or None


def text_field(fields: Fields, name: str) -> str | None:
    """Returns the text of a body's field; None if it is missing or not a text."""
    return text(fields.get(name))
