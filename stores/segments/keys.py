"""The keys of the segment store in Redis. All start with one prefix."""

DEFAULT_KEY_PREFIX = "segments:"


def profile_key(key_prefix: str, profile_id: str) -> bytes:
    """Returns the key of a profile's hash. Different ids have different keys, even with unpaired surrogates."""
    return utf8(f"{key_prefix}profile:{profile_id}")


def profile_id_of(key_prefix: str, key: bytes) -> str:
    """Returns the profile id in a profile's key."""
    return key.decode("utf-8", "surrogatepass").removeprefix(f"{key_prefix}profile:")


def profile_pattern(key_prefix: str) -> bytes:
    """Returns the pattern for SCAN that matches every profile's key."""
    escaped = "".join(f"\\{character}" if character in "*?[]\\" else character for character in key_prefix)
    return utf8(f"{escaped}profile:*")


def changes_key(key_prefix: str) -> bytes:
    """Returns the key of the stream of changes."""
    return utf8(f"{key_prefix}changes")


def utf8(text: str) -> bytes:
    """Encodes an id. Different ids have different bytes, even with unpaired surrogates."""
    return text.encode("utf-8", "surrogatepass")
