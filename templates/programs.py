"""Runs gcloud, docker and terraform, and prints each command line first."""

import shlex
import subprocess
import sys

from templates.settings import ROOT

_NOT_FOUND = ("not found", "not_found")


class CommandError(RuntimeError):
    """A program is missing or has failed; the message has its error output."""


def run(command: str, *arguments: str) -> None:
    """Runs a program on the terminal, where it may ask the user.

    Args:
      command: the program and its subcommands, such as "gcloud storage cp".
      arguments: the arguments, unquoted.

    Raises:
      CommandError: the program is missing, or failed.
    """
    _start(command, arguments, capture=False)


def run_and_read(command: str, *arguments: str) -> str:
    """Runs a program as `run` does, and returns its output."""
    return _start(command, arguments, capture=True).strip()


def look_up(command: str, *arguments: str) -> str | None:
    """Runs a program that describes a resource, and returns its output; None if the resource does not exist.

    Raises:
      CommandError: the program is missing, or failed for another reason.
    """
    try:
        return run_and_read(command, *arguments)
    except CommandError as error:
        if any(words in str(error).lower() for words in _NOT_FOUND):
            return None
        raise


def _start(command: str, arguments: tuple[str, ...], *, capture: bool) -> str:
    argv = [*command.split(), *arguments]
    print(f"$ {shlex.join(argv)}", flush=True)
    try:
        done = subprocess.run(argv, capture_output=capture, text=True, check=False, cwd=ROOT)
    except FileNotFoundError:
        raise CommandError(f"the program {argv[0]} is missing: install it") from None
    if done.returncode != 0:
        raise CommandError((done.stderr or "").strip() or f"{argv[0]} ended with status {done.returncode}")
    if capture:
        print(done.stderr, end="", file=sys.stderr)
    return done.stdout or ""
