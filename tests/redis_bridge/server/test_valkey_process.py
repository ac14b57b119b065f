"""The embedded server: started, adopted, stopped, restarted with its data, and refused clearly."""

import os
import signal
import socket
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
import redis as redis_client

from redis_bridge.server.valkey_configuration import CLIENTS_BYTES
from redis_bridge.server.valkey_process import ValkeyError, ValkeyProcess, ValkeySettings
from tests.redis_bridge.conftest import free_port
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[3]


def same(process: ValkeyProcess) -> ValkeyProcess:
    """Another starter of the same server, as a replica's successor is."""
    return ValkeyProcess(process.settings)


def client_of(process: ValkeyProcess) -> redis_client.Redis:
    return redis_client.Redis.from_url(process.address, decode_responses=True)


def test_a_second_starter_adopts_the_living_server(own_valkey: ValkeyProcess) -> None:
    assert own_valkey.start()
    pid = own_valkey.living_pid()
    assert pid
    assert not same(own_valkey).start()
    assert same(own_valkey).living_pid() == pid
    assert same(own_valkey).answers()


@pytest.mark.parametrize(
    "name",
    [
        "with blanks",
        "it's",
        'in "quotes"',
        "back\\slash \\x41",
        "née 深海",
        "# %s {folder} ${HOME}",
        " ends in a blank ",
    ],
)
def test_a_folder_may_have_any_name_that_is_a_line(tmp_path: Path, name: str) -> None:
    process = ValkeyProcess(ValkeySettings(free_port(), tmp_path / name))
    try:
        assert process.start()
        assert process.answers()
        assert not same(process).start(), "it is recognised and adopted"
        assert (tmp_path / name / "appendonlydir").is_dir()
        assert (tmp_path / name / "valkey.log").is_file()
    finally:
        process.stop()


def test_the_server_outlives_the_process_that_started_it(own_valkey: ValkeyProcess) -> None:
    settings = own_valkey.settings
    script = (
        "import os, pathlib, signal\n"
        "from redis_bridge.server.valkey_process import ValkeyProcess, ValkeySettings\n"
        f"ValkeyProcess(ValkeySettings({settings.port}, pathlib.Path({str(settings.folder)!r}))).start()\n"
        "os.killpg(0, signal.SIGKILL)\n"
    )
    starter = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}, start_new_session=True
    )
    assert starter.returncode == -signal.SIGKILL
    assert own_valkey.answers()
    pid = own_valkey.living_pid()
    assert pid
    assert os.getsid(pid) == pid


def test_stopping_saves_and_leaves_no_process(own_valkey: ValkeyProcess) -> None:
    own_valkey.start()
    pid = own_valkey.living_pid()
    assert pid
    with client_of(own_valkey) as client:
        client.rpush("image_queue", "job")
    same(own_valkey).stop()
    assert own_valkey.living_pid() is None
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    own_valkey.stop()
    own_valkey.start()
    with client_of(own_valkey) as client:
        assert client.lrange("image_queue", 0, -1) == ["job"]


def test_a_killed_server_comes_back_with_its_data(own_valkey: ValkeyProcess) -> None:
    own_valkey.start()
    pid = own_valkey.living_pid()
    assert pid
    with client_of(own_valkey) as client:
        client.set("answer", "text", ex=100)
    psutil.Process(pid).kill()
    assert same(own_valkey).start()
    with client_of(own_valkey) as client:
        assert client.get("answer") == "text"


def test_it_never_evicts_and_listens_on_this_machine_only(own_valkey: ValkeyProcess) -> None:
    own_valkey.start()
    with client_of(own_valkey) as client:
        settings = client.config_get("*")
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["bind"] == "127.0.0.1"
    assert (settings["appendonly"], settings["appendfsync"]) == ("yes", "everysec")


def test_nobody_else_may_read_its_files(own_valkey: ValkeyProcess) -> None:
    own_valkey.start()
    folder = own_valkey.settings.folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with client_of(own_valkey) as client:
        client.rpush("image_queue", "job")
    readable = [path for path in folder.rglob("*.aof") if path.stat().st_mode & 0o077]
    assert not readable


def test_a_taken_port_is_one_line_that_names_port_and_setting(own_valkey: ValkeyProcess) -> None:
    port = own_valkey.settings.port
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        with pytest.raises(ValkeyError) as refusal:
            own_valkey.start()
    message = str(refusal.value)
    assert f"port {port} of the embedded Valkey (setting `port`)" in message
    assert "\n" not in message


def test_somebody_elses_server_on_the_port_is_not_adopted(own_valkey: ValkeyProcess, tmp_path: Path) -> None:
    own_valkey.start()
    stranger = ValkeyProcess(ValkeySettings(own_valkey.settings.port, tmp_path / "another"))
    assert not stranger.answers()
    with pytest.raises(ValkeyError, match="cannot be used"):
        stranger.start()
    stranger.stop()
    assert own_valkey.answers()


@pytest.mark.parametrize(
    "content", ["", "nonsense", "999999999", "1", pytest.param(str(os.getpid()), id="this process")]
)
def test_a_stale_pid_file_is_not_believed(own_valkey: ValkeyProcess, content: str) -> None:
    folder = own_valkey.settings.folder
    folder.mkdir(parents=True)
    (folder / "valkey.pid").write_text(content)
    assert own_valkey.living_pid() is None
    assert own_valkey.start()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    folder = tmp_path / "valkey"
    process = ValkeyProcess(ValkeySettings(free_port(), folder, start_timeout_s=10))
    process.start()
    with client_of(process) as client:
        client.set("a", "b")
    process.stop()
    [log] = (folder / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"*3\r\n$3\r\nSET\r\nnonsense")
    with pytest.raises(ValkeyError, match="did not come up on port"):
        process.start()


def test_clients_that_do_not_finish_a_large_job_cannot_take_the_memory_of_the_others(
    own_valkey: ValkeyProcess,
) -> None:
    own_valkey.start()
    size_bytes = CLIENTS_BYTES // 4
    begun = f"*3\r\n$5\r\nRPUSH\r\n$1\r\nq\r\n${size_bytes}\r\nbegun".encode()
    with ExitStack() as stack, client_of(own_valkey) as good:
        for _ in range(8):
            stranger = socket.create_connection(("127.0.0.1", own_valkey.settings.port))
            stack.enter_context(stranger).sendall(begun)
            # Its answer comes after the command of the stranger was looked at.
            assert good.ping()
        wait_for(lambda: good.info("memory")["mem_clients_normal"] < CLIENTS_BYTES, what="the limit")
        assert good.info("stats")["evicted_clients"] >= 4
        assert good.rpush("q", "a job") == 1
