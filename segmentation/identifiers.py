"""Identifiers: which ids a message has, and which of them names its profile."""

from typing import NamedTuple


class Identifiers(NamedTuple):
    """The ids of a message; None where it has none."""

    user_id: str | None
    anonymous_id: str | None

    @property
    def profile_id(self) -> str | None:
        """The user's id where there is one, else the anonymous id."""
        return self.user_id or self.anonymous_id
