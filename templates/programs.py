"""Runs gcloud, docker and terraform, each shown before it runs."""

import shlex
import subprocess
import sys

from templates.settings import ROOT

_NOT_THERE = ("not found", "not_found")


class CommandError(RuntimeError):
    """A program is missing or has failed; the message holds what it said."""


def run(command: str, *arguments: str) -> None:
    """Runs a program, which may ask the user.

    Args:
      command: the program and its subcommands, such as "gcloud storage cp".
      arguments: what follows, of any characters.

    Raises:
      CommandError: it is missing, or failed.
    """
    _start(command, arguments, capture=False)


def ask(command: str, *arguments: str) -> str:
    """Returns what a program prints; otherwise as `run`."""
    return _start(command, arguments, capture=True).strip()


def look_up(command: str, *arguments: str) -> str | None:
    """Returns what a program prints of a thing; None if there is no such thing.

    Raises:
      CommandError: the program is missing, or failed for another reason.
    """
    try:
        return ask(command, *arguments)
    except CommandError as error:
        if any(words in str(error).lower() for words in _NOT_THERE):
            return None
        raise


def _start(command: str, arguments: tuple[str, ...], *, capture: bool) -> str:
    whole = [*command.split(), *arguments]
    print(f"$ {shlex.join(whole)}", flush=True)
    try:
        done = subprocess.run(whole, capture_output=capture, text=True, check=False, cwd=ROOT)
    except FileNotFoundError:
        raise CommandError(f"the program {whole[0]} is missing: install it") from None
    if done.returncode != 0:
        raise CommandError((done.stderr or "").strip() or f"{whole[0]} ended with status {done.returncode}")
    if capture:
        print(done.stderr, end="", file=sys.stderr)
    return done.stdout or ""
