"""The ids of a message, and the profile that they lead to."""

from typing import NamedTuple


class Identifiers(NamedTuple):
    """The ids of a message; None if the message lacks one."""

    user_id: str | None
    anonymous_id: str | None

    @property
    def profile_id(self) -> str | None:
        """The `userId`, or the `anonymousId` if there is no `userId`; None if there is neither."""
        return self.user_id or self.anonymous_id
