"""The mutation tester, on a package with a test that sees one half of it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import Reached, interval
from tests.mutations import mutants_of

ROOT = Path(__file__).parents[1]
CODE = """
LIMIT = 10


def is_full(count: int) -> bool:
    return count >= LIMIT


def is_empty(count: int) -> bool:
    return count == 0


def forever(count: int) -> None:
    while count > 0:
        count -= 1
"""
TESTS = """
from segmentation.limits import forever, is_full


def test_the_limit_is_full():
    assert is_full(10)


def test_it_ends():
    forever(3)
"""


@pytest.mark.long
def test_what_no_test_notices_is_listed(tmp_path: Path) -> None:
    files = {
        "segmentation/__init__.py": "",
        "segmentation/limits.py": CODE,
        "tests/segmentation/test_limits.py": TESTS,
        "pyproject.toml": "[tool.pytest.ini_options]\naddopts = ['--import-mode=importlib']\nmarkers = ['long']\n"
        "pythonpath = ['.']\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.mutants", "segmentation/limits.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    *listed, summary = ran.stdout.splitlines()
    assert sorted(line for line in listed[1:] if not line.startswith("killed: ")) == [
        "survived: segmentation/limits.py:14: 0 -> 1",
        "survived: segmentation/limits.py:14: count > 0 -> count >= 0",
        "survived: segmentation/limits.py:15: 1 -> 2",
        "unreached: segmentation/limits.py:10: 0 -> 1",
        "unreached: segmentation/limits.py:10: count == 0 -> count != 0",
        "unreached: segmentation/limits.py:10: return count == 0 -> return None",
    ]
    assert summary == (
        "segmentation/limits.py: 11 of 11 mutants, 5 killed, 3 survived, 3 unreached: "
        "45% killed, of all 21% to 72%"
    )


def test_a_mutant_meets_the_tests_that_reach_its_line_and_the_fastest_first() -> None:
    first, second, third = "t.py::first", "t.py::second", "t.py::third"
    found = Reached(
        seconds={first: 2.0, second: 1.0, third: 0.5},
        reach={"a.py": {"2": [first, second], "3": [third]}, "b.py": {"2": [third]}},
    )
    (inside, *_) = mutants_of("def f(a):\n    a.pop()\n", "a.py")
    assert found.tests(inside) == [second, first]
    (at_import, *_) = mutants_of("class A:\n    pass\n    b = 5\n", "b.py")
    assert found.tests(at_import) == [third]
    (elsewhere, *_) = mutants_of("def f(a):\n    a.pop()\n", "c.py")
    assert found.tests(elsewhere) == []


def test_the_interval_narrows_with_the_sample() -> None:
    assert [round(bound, 3) for bound in interval(84, 120)] == [0.613, 0.775]
    assert [round(bound, 3) for bound in interval(8400, 12000)] == [0.692, 0.708]
    least, most = interval(10, 10)
    assert (round(least, 3), round(most, 3)) == (0.722, 1)
