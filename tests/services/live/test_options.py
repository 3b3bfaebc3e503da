"""What is in use is named with the flag that avoids it, as its user gives it."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.own_folder import FolderError
from local.pubsub_emulator import free_port
from services.live.options import Caller, choose_ports, folder_conflict, in_use, parse_options
from services.live.system import is_free

MAKE, DIRECT = Caller(is_make=True), Caller(is_make=False)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("flag", ["port", "redis_port", "pubsub_port"])
def test_a_port_in_use_is_named_with_its_flag(taken: int, flag: str) -> None:
    options = parse_options([f"--port={free_port()}", f"--{flag}={taken}"], DIRECT)
    _, conflicts = choose_ports(options)
    assert in_use(conflicts, DIRECT) == f"live: port {taken} is in use: choose another one with --{flag}"
    (conflict,) = conflicts
    assert in_use(conflicts, MAKE).endswith(
        f"choose another one with make live ARGS=--{flag}={conflict.value}"
    )


def test_the_next_free_port_is_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.live.options.is_free", lambda port: port not in (9000, 9001))
    _, conflicts = choose_ports(parse_options(["--port=9000", "--redis_port=9002"], DIRECT))
    assert [conflict.value for conflict in conflicts] == [9003]


def test_a_port_is_free_when_nobody_listens_there(taken: int) -> None:
    assert not is_free(taken)
    assert is_free(free_port())


def test_ports_that_are_given_are_used_and_others_are_free() -> None:
    port, redis_port = free_port(), free_port()
    ports, conflicts = choose_ports(parse_options([f"--port={port}", f"--redis_port={redis_port}"], DIRECT))
    assert conflicts == []
    assert (ports.collector, ports.redis) == (port, redis_port)
    assert is_free(ports.pubsub)


def test_one_port_serves_one_program() -> None:
    port = free_port()
    _, conflicts = choose_ports(parse_options([f"--port={port}", f"--redis_port={port}"], DIRECT))
    assert in_use(conflicts, DIRECT) == (
        f"live: port {port} is given twice: choose another one with --redis_port"
    )


def test_all_problems_are_named_at_once(taken: int, tmp_path: Path) -> None:
    _, conflicts = choose_ports(parse_options([f"--port={taken}"], MAKE))
    (tmp_path / "live-2").mkdir()
    conflicts.append(folder_conflict(FolderError("the folder live is in use"), tmp_path / "live"))
    *_, last = in_use(conflicts, MAKE).splitlines()
    flags = f"--port={conflicts[0].value} --output={tmp_path}/live-3"
    assert last == f'live: all together: make live ARGS="{flags}"'
    assert "all together" not in in_use(conflicts, DIRECT)


def test_no_port_is_proposed_twice(taken: int) -> None:
    flags = [f"--port={taken}", f"--redis_port={taken}", f"--pubsub_port={taken}"]
    _, conflicts = choose_ports(parse_options(flags, DIRECT))
    assert len({conflict.value for conflict in conflicts} - {taken}) == 3


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--port=0", "expected a port from 1 to 65535"),
        ("--redis_port=65536", "expected a port from 1 to 65535"),
        ("--pubsub_port=x", "expected a port from 1 to 65535"),
        ("--replay=fast", "expected a number above 0, such as 60"),
        ("--replay=nan", "expected a number above 0, such as 60"),
        ("--prot=1", "unrecognized arguments: --prot=1"),
    ],
)
@pytest.mark.parametrize(("caller", "name"), [(MAKE, "make live"), (DIRECT, "python -m services.live")])
def test_a_wrong_flag_is_an_error(flag: str, message: str, caller: Caller, name: str, capsys) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options([flag], caller)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert f"{name}: error: " in error
    assert message in error
