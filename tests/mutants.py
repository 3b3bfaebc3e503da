"""Changes the code in one place at a time, and lists the changes that no test notices.

    make mutants ARGS="segmentation/memories --sample 60"

First, the tests run once under coverage, which tells which lines each test reaches. Then each mutant, written into a
copy of the sources, meets the tests that reach its line, the fastest first, in a forked process that has imported what
takes long. A constant meets the tests that name it and those that reach a line with its name, and other code that
runs at import those that reach its file.
"""

import argparse
import functools
import hashlib
import json
import math
import multiprocessing
import multiprocessing.connection
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import coverage
import pytest

from tests.mutations import Mutant, mutants_of

ROOT = Path.cwd()
FOLDER = ROOT / ".venv" / "mutants"
PACKAGES = ("segmentation", "stores", "transforms", "services/collector")
OF_ALL = ("tests/test_numbers.py", "tests/docs")
PRELOADED = (
    "apache_beam",
    "duckdb",
    "google.cloud.bigquery",
    "google.cloud.pubsub_v1",
    "pydantic",
    "redis",
    "starlette",
)
"""What takes long to import: imported once, before processes are forked."""
TIMED_OUT = 99
START_SECONDS = 300  # for collecting tests
MEMORY_BYTES = 6 << 30
Reach = dict[str, dict[str, list[str]]]
"""Of each file, and of each of its lines, the tests that reach it."""


def tests_of(room: str) -> tuple[str, ...]:
    """Returns the tests that a mutant of a room meets: those of its package, and of others that look at it."""
    package = next(package for package in PACKAGES if room.startswith(package))
    others = ("tests/transforms",) if package == "stores" else ()  # they see what BigQuery gets
    return (f"tests/{package}", *others, *(one for one in OF_ALL if (ROOT / one).exists()))


@dataclass
class Reached:
    """Which tests reach what, and how long they take: all of it from one run."""

    seconds: dict[str, float] = field(default_factory=dict)
    reach: Reach = field(default_factory=dict)

    def tests(self, mutant: Mutant) -> list[str]:
        """Returns the tests that can notice a mutant, the fastest first."""
        lines = self.reach.get(mutant.path, {})
        names = {name for line in mutant.lines for name in lines.get(str(line), ())}
        if mutant.constant:
            names.update(self._users(mutant.constant))
            names.update(name for name in self.seconds if mutant.constant in _text(name.split("::")[0]))
        if mutant.at_import and not names:
            names.update(*lines.values())
        return sorted(names & self.seconds.keys(), key=lambda name: (self.seconds[name], name))

    def _users(self, constant: str) -> Iterator[str]:
        """Yields the tests that reach a line with the name of a constant."""
        named = re.compile(rf"\b{constant}\b")
        for path, lines in self.reach.items():
            for number, line in enumerate(_text(path).splitlines(), start=1):
                if named.search(line):
                    yield from lines.get(str(number), ())


@functools.cache
def _text(path: str) -> str:
    return (ROOT / path).read_text()


class Recorder:
    """A plugin of pytest that keeps how long each test takes, and under coverage what it reaches."""

    def __init__(self, measurement: coverage.Coverage) -> None:
        self._measurement = measurement
        self.seconds: dict[str, float] = defaultdict(float)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._measurement.switch_context(item.nodeid)
        return (yield)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration


class Selection:
    """A plugin of pytest that runs the given tests in the given order, and ends the process if one hangs."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self._seconds = seconds
        self._places = {name: place for place, name in enumerate(seconds)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._places),
            key=lambda item: self._places[item.nodeid],
        )

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        signal.setitimer(signal.ITIMER_REAL, 20 + 10 * self._seconds[item.nodeid])
        return (yield)


def copy_sources(tree: Path) -> None:
    """Copies the sources, as git knows them, with their times."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    shutil.rmtree(tree, ignore_errors=True)
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def run_pytest(tree: Path, arguments: Sequence[str], plugin: object, output: Path) -> int:
    """Runs tests of a tree in this process, which has to be a forked one."""
    os.chdir(tree)
    for name in [name for name in sys.modules if name.split(".")[0] == "tests"]:
        del sys.modules[name]
    sys.path[:] = [str(tree), *(place for place in sys.path if Path(place or ".").resolve() != ROOT)]
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    quiet = ["-q", "-x", "-m", "not long", "-p", "no:cacheprovider"]
    return int(pytest.main([*quiet, *arguments], plugins=[plugin]))


def record(tree: Path, folder: str, file: Path) -> None:
    """Runs the tests of a folder under coverage and writes what they reach."""
    data = file.with_suffix(".coverage")
    packages = [str(tree / package) for package in PACKAGES]
    measurement = coverage.Coverage(data_file=str(data), source=packages, config_file=False)
    recorder = Recorder(measurement)
    measurement.start()
    code = run_pytest(tree, [folder], recorder, file.with_suffix(".log"))
    measurement.stop()
    if code:
        sys.exit(code)
    reach: Reach = {}
    found = measurement.get_data()
    for path in found.measured_files():
        lines = found.contexts_by_lineno(path)
        name = str(Path(path).relative_to(tree))
        reach[name] = {str(line): [test for test in tests if test] for line, tests in lines.items()}
    file.write_text(json.dumps({"seconds": recorder.seconds, "reach": reach}))


def reached(tree: Path, folders: Sequence[str]) -> Reached:
    """Returns what the tests of folders reach; records it unless the sources are those of an earlier run."""
    found = Reached()
    for folder in folders:
        file = FOLDER / f"{folder.replace('/', '-')}-{digest_of(tree, (folder, *PACKAGES))}.json"
        if not file.exists():
            print(f"recording what {folder} reaches", flush=True)
            process = forked(record, tree, folder, file)
            process.join()
            if process.exitcode:
                sys.exit(f"without a mutant, tests fail: {file.with_suffix('.log')}")
        content = json.loads(file.read_text())
        found.seconds |= content["seconds"]
        for path, lines in content["reach"].items():
            for line, names in lines.items():
                found.reach.setdefault(path, {}).setdefault(line, []).extend(names)
    return found


def digest_of(tree: Path, places: Sequence[str]) -> str:
    digest = hashlib.sha256()
    files = (path for place in places for path in (tree / place, *(tree / place).rglob("*")))
    for path in sorted(path for path in files if path.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def forked(target: Callable[..., None], *arguments: Any) -> Any:
    process = multiprocessing.get_context("fork").Process(target=target, args=arguments)
    process.start()
    return process


def meet(tree: Path, seconds: dict[str, float], output: Path) -> None:
    """Runs tests until one fails. The exit code of the process is pytest's, or TIMED_OUT."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    signal.signal(signal.SIGALRM, lambda number, frame: os._exit(TIMED_OUT))
    signal.setitimer(signal.ITIMER_REAL, START_SECONDS)
    files = list(dict.fromkeys(name.split("::")[0] for name in seconds))
    code = run_pytest(tree, files, Selection(seconds), output)
    signal.setitimer(signal.ITIMER_REAL, 0)
    sys.exit(code)


@dataclass
class Attempt:
    mutant: Mutant
    tree: Path
    path: Path
    original: bytes
    process: Any


def run(mutants: Sequence[Mutant], trees: list[Path], found: Reached) -> Iterator[tuple[Mutant, str]]:
    """Yields each mutant with what became of it: killed, survived, or unreached."""
    waiting, free, running = list(mutants), list(trees), dict[Any, Attempt]()
    newest = max(path.stat().st_mtime for path in trees[0].rglob("*.py"))
    while waiting or running:
        while waiting and free:
            mutant = waiting.pop(0)
            tests = found.tests(mutant)
            if not tests:
                yield mutant, "unreached"
                continue
            tree = free.pop()
            path = tree / mutant.path
            original = path.read_bytes()
            path.write_text(mutant.source)
            # Python takes compiled code for that of a source with the same size and time.
            newest += 1
            os.utime(path, (newest, newest))
            output = tree.with_suffix(".log")
            process = forked(meet, tree, {name: found.seconds[name] for name in tests}, output)
            running[process.sentinel] = Attempt(mutant, tree, path, original, process)
        for sentinel in multiprocessing.connection.wait(list(running)):
            attempt = running.pop(sentinel)
            attempt.process.join()
            end_group(attempt.process.pid)
            attempt.path.write_bytes(attempt.original)
            free.append(attempt.tree)
            yield attempt.mutant, "killed" if attempt.process.exitcode else "survived"


def end_group(pid: int) -> None:
    """Ends the programs that the tests of a mutant left running."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def interval(killed: int, total: int) -> tuple[float, float]:
    """Returns Wilson's 95 % interval for the share of all mutants that are killed, from a sample."""
    z, share = 1.96, killed / total
    middle = share + z * z / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return (middle - half) / scale, (middle + half) / scale


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.splitlines()[0])
    parser.add_argument("room", help="a folder or a file, such as segmentation/memories")
    parser.add_argument("--constants", action="store_true", help="only the constants of modules")
    parser.add_argument("--sample", type=int, default=60, help="so many mutants, at random (60)")
    parser.add_argument("--seed", type=int, default=1, help="of the sample (1)")
    parser.add_argument("--processes", type=int, default=2, help="so many at a time (2)")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    place = ROOT / options.room
    paths = sorted(place.rglob("*.py")) if place.is_dir() else [place]
    mutants = [
        mutant for path in paths for mutant in mutants_of(path.read_text(), str(path.relative_to(ROOT)))
    ]
    if options.constants:
        mutants = [mutant for mutant in mutants if mutant.constant]
    sample = random.Random(options.seed).sample(mutants, min(options.sample, len(mutants)))
    trees = [
        FOLDER / f"tree-{options.room.replace('/', '-')}-{number}" for number in range(options.processes)
    ]
    for tree in trees:
        copy_sources(tree)
    for name in PRELOADED:
        import_module(name)
    counts: Counter[str] = Counter()
    for mutant, outcome in run(sample, trees, reached(trees[0], tests_of(options.room))):
        counts[outcome] += 1
        print(f"{outcome}: {mutant}", flush=True)
    least, most = interval(counts["killed"], len(sample))
    print(
        f"{options.room}: {len(sample)} of {len(mutants)} mutants, {counts['killed']} killed, "
        f"{counts['survived']} survived, {counts['unreached']} unreached: "
        f"{counts['killed'] / len(sample):.0%} killed, of all {least:.0%} to {most:.0%}"
    )


if __name__ == "__main__":
    main()
