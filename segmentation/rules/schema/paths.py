"""What a path in a file of definitions must look like, and the fix if it does not.

A file is stricter than `matching.paths`: a key that looks like another notation (an escape, an index, a wildcard, a
calculation) must be in quotes, because without quotes it is a mistake, and would match nothing.
"""

import re
from collections.abc import Callable

from segmentation.matching.paths import PathPart, join_path, parse_path, quoted_key

_KEY = r"""(?:[^\s.\[\]"\\*'`](?:[^.\[\]"\\*]*[^\s.\[\]"\\*])?|"(?:[^"]|"")*")"""
PLAIN_PATH_PATTERN = rf"^{_KEY}(?:\.{_KEY})*$"
LIST_PATH_PATTERN = rf"^{_KEY}(?:\[\])?(?:\.{_KEY}(?:\[\])?)*$"

_PLAIN_PATH, _LIST_PATH = re.compile(PLAIN_PATH_PATTERN), re.compile(LIST_PATH_PATTERN)
_PART = re.compile(rf"{_KEY}(?:\[\])?")
_ROOT = r"(?:properties|context|traits)"
_CALCULATION = re.compile(
    rf"(?:[*/+%<>=!(,|&?]\s*|\A[-+]|\s-\s+){_ROOT}\."  # total/properties.tax, sum(properties.total)
    r"|\A(?P<first_key>[\w$]+)\..*\s-\s+(?P=first_key)\."  # address.x - address.y
    r"|\S\s+[*/+%<>=!]+\s+\S"  # price * quantity; not " - ", which some keys contain
    r"|[^\s.*\[]\s*\*\s*[^\s.*\]]"  # price*quantity
    r"|\s-\s+[0-9]+(?:\.[0-9]+)?\Z|[^\W\d]/[0-9]+(?:\.[0-9]+)?\Z"  # total - 5, total/100
)
_ESCAPE_IN_QUOTES = re.compile(r"\\[.\[\]]")
_PATH_IN_QUOTES = re.compile(rf'\A"{_ROOT}[.\[]')
_QUOTED_KEY = re.compile(r'(?:\A|(?<=\.))"(?:[^"]|"")*"(?=\.|\[\]|\Z|\s)')

_EXPECTED = "expected a dotted path, such as properties.price or properties.products[].sku"
_EXAMPLE = 'properties."utm.source"'
_NO_ESCAPES = "a path has no escapes, and a key with a dot or brackets is in quotes"
_COMPUTES_NOTHING = "a path computes nothing: let the events carry the result, such as properties.discount"
_ONE_KEY_IN_QUOTES = "double quotes are around one whole key, and a quote in it is written twice"
_FIXES = [
    (re.compile(looks_like), fix)
    for looks_like, fix in (
        (r"\\", _NO_ESCAPES),
        (r"""\[['"]""", "keys are separated by dots"),
        (r'"|(?:\A|\.)[\'`]', _ONE_KEY_IN_QUOTES),
        (
            r"\[(?:[0-9]+|\*)\]",
            "a path has no indexes: [] walks all elements of a list, and a key with brackets is in quotes",
        ),
        (r"\[(?!\])|(?<!\[)\]|\[\](?!\.|\Z)|(?:\A|\.)\[", "a key with brackets is in quotes"),
        (_CALCULATION.pattern, _COMPUTES_NOTHING),
        (r"\*", "a path has no wildcards: [] walks all elements, and a key with * is in quotes"),
        (
            r"(?:\A|\.)\s|\s(?:\.|\[\]|\Z)",
            "a key begins and ends without white space, unless it is in quotes",
        ),
    )
]
"""What the text outside quotes looks like, and the fix. The first that matches is used."""


def path_fix(path: str, takes_lists: bool) -> str | None:
    """Returns what would be right instead of a path; None if it is right.

    Args:
      path: the path as it was written.
      takes_lists: whether a part may end in `[]`.
    """
    if _is_right(path, takes_lists):
        return None
    if _is_right(path, takes_lists=True):
        fix = "expected a dotted path without []; a key of that name is in quotes"
    else:
        fix = _fix_of_notation(path)
    candidates = [rewrite(path) for rewrite in _REWRITES]
    example = next((candidate for candidate in candidates if _is_right(candidate, takes_lists)), _EXAMPLE)
    if fix == _COMPUTES_NOTHING and _CALCULATION.search(path.rpartition(".")[2]):
        return f"{fix}; a key of that name is in quotes, such as {_in_yaml(example)}"
    return fix if fix in (_EXPECTED, _COMPUTES_NOTHING) else f"{fix}, such as {_in_yaml(example)}"


def _is_right(path: str, takes_lists: bool) -> bool:
    pattern = _LIST_PATH if takes_lists else _PLAIN_PATH
    return (
        pattern.fullmatch(path) is not None
        and not _CALCULATION.search(_outside_quotes(path))
        and not _ESCAPE_IN_QUOTES.search(path)
        and not _PATH_IN_QUOTES.search(path)
    )


def _fix_of_notation(path: str) -> str:
    outside = _outside_quotes(path)
    for looks_like, fix in _FIXES:
        if looks_like.search(outside):
            return fix
    if _ESCAPE_IN_QUOTES.search(path):
        return _NO_ESCAPES
    return _ONE_KEY_IN_QUOTES if _PATH_IN_QUOTES.search(path) else _EXPECTED


def _outside_quotes(path: str) -> str:
    """Returns the path with a plain key in place of each key in quotes."""
    return _QUOTED_KEY.sub("q", path) if '"' in path else path


def _in_yaml(path: str) -> str:
    """Returns a path as it can be pasted into a file."""
    return "'" + path.replace("'", "''") + "'"


# Rewrites: what a path in another notation probably means


def _rewrite_escapes(path: str) -> str:
    parts = re.findall(r'(?:\\+.|"(?:[^"]|"")*"|[^.])+', path)
    return ".".join(_unescape(part) if "\\" in part else part for part in parts)


def _unescape(part: str) -> str:
    key = re.sub(r'\\+([.\[\]"])', r"\1", part.strip('"') if part.startswith('"') else part)
    return quoted_key(key)


def _rewrite_subscripts(path: str) -> str:
    keys = re.sub(r"""\[(['"])(.+?)\1\]""", lambda match: f".{quoted_key(match[2])}", path)
    return keys.removeprefix(".")


def _rewrite_other_quotes(path: str) -> str:
    return re.sub(r"""(?:\A|(?<=\.))(['`])(.*?)\1(?=\.|\[\]|\Z)""", lambda match: quoted_key(match[2]), path)


def _close_quote(path: str) -> str:
    return path + '"'


def _unquote_path(path: str) -> str:
    return path.removeprefix('"').removesuffix('"') if _PATH_IN_QUOTES.search(path) else path


def _rewrite_indexes(path: str) -> str:
    return re.sub(r"\[(?:[0-9]+|\*)\]|\.\*(?=\.)", "[]", path)


def _strip_keys(path: str) -> str:
    return re.sub(r"\s*(\.|\[\]|\Z)\s*", r"\1", path.lstrip())


def _quote_keys(path: str) -> str:
    parts = re.findall(r'(?:"(?:[^"]|"")*"|\[[^\]]*\]|[^.])+', path)
    return ".".join(part if _needs_no_quotes(part) else quoted_key(part) for part in parts)


def _needs_no_quotes(part: str) -> bool:
    if part.startswith('"') or part.endswith('"'):
        return True
    return _PART.fullmatch(part) is not None and not _CALCULATION.search(part)


def _quote_walked_keys(path: str) -> str:
    try:
        parts = parse_path(path)
    except ValueError:
        return path
    return join_path(PathPart(part.key + "[]" if part.walks_list else part.key) for part in parts)


_REWRITES: list[Callable[[str], str]] = [
    _rewrite_escapes,
    _rewrite_subscripts,
    _rewrite_other_quotes,
    _close_quote,
    _unquote_path,
    _rewrite_indexes,
    _strip_keys,
    _quote_keys,
    _quote_walked_keys,
]
