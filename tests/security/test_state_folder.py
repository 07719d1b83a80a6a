"""The embedded server's folder, lock and socket stay its owner's, whatever other local users prepare."""

from __future__ import annotations

import fcntl
import os
import pwd
import stat
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from contentq.cli.main import execute
from contentq.database import embedded, launch, state_folder
from contentq.errors import EmbeddedServerError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")

STRANGER = "nobody"
"""Another user of the machine."""

NAMELESS = 12345
"""A user id without a name, as with `docker run --user 12345`."""

COMMANDS = [
    ["db", "start"],
    ["db", "stop"],
    ["db", "status"],
    ["db", "url"],
    ["db", "psql"],
    ["list"],
    ["migrate"],
]
"""Every use of the state folder."""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that others may pass through; pytest's temporary folders are closed to them."""
    with tempfile.TemporaryDirectory(prefix="contentq-test-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A new state folder; its server is stopped afterwards."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("CONTENTQ_HOME", str(folder / "home"))
    yield folder / "home"
    if (folder / "home" / "postgresql").is_dir():
        embedded.stop()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def _stranger() -> pwd.struct_passwd:
    return pwd.getpwnam(STRANGER)


def _give(path: Path) -> None:
    os.chown(path, _stranger().pw_uid, _stranger().pw_gid, follow_symlinks=False)


def test_folder_and_lock_are_closed_to_others(home: Path) -> None:
    before = os.umask(0)
    try:
        with state_folder.alone(home):
            assert _mode(home / "lock") == 0o600
    finally:
        os.umask(before)
    # Root's server runs as another user, who passes through.
    assert _mode(home) == (0o711 if os.geteuid() == 0 else 0o700)


def test_lock_that_was_open_to_others_is_closed(home: Path) -> None:
    home.mkdir(mode=0o755)
    (home / "lock").touch(0o644)

    with state_folder.alone(home):
        assert _mode(home / "lock") == 0o600


def test_lock_that_is_a_link_is_refused_and_its_target_stays(home: Path, folder: Path) -> None:
    home.mkdir(mode=0o755)
    (folder / "precious").write_text("precious")
    (home / "lock").symlink_to(folder / "precious")

    with pytest.raises(EmbeddedServerError, match=r"lock .*must be your own regular file: remove it"):
        embedded.start()
    assert (folder / "precious").read_text() == "precious"
    assert not (home / "postgresql").exists()


def test_lock_that_is_no_file_is_refused_at_once(home: Path) -> None:
    home.mkdir(mode=0o755)
    os.mkfifo(home / "lock")

    with pytest.raises(EmbeddedServerError, match="not your own regular file"):
        embedded.start()


@pytest.mark.parametrize("mode", [0o777, 0o757, 0o775, 0o1777])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_folder_that_others_can_write_to_is_refused(
    home: Path, capfd: pytest.CaptureFixture[str], command: list[str], mode: int
) -> None:
    home.mkdir()
    home.chmod(mode)

    assert execute(command) == 3
    assert f"run: chmod go-w {home}" in capfd.readouterr().err
    assert [*home.iterdir()] == []


@as_root
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_folder_of_another_user_is_refused(
    home: Path, capfd: pytest.CaptureFixture[str], command: list[str]
) -> None:
    home.mkdir(mode=0o700)
    _give(home)

    assert execute(command) == 3
    assert f"belongs to another user, {STRANGER}; become {STRANGER}" in capfd.readouterr().err
    assert [*home.iterdir()] == []


@as_root
@pytest.mark.parametrize("where", ["home", "above"])
def test_link_of_another_user_on_the_way_is_refused(
    home: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    (folder / "own" / "home").mkdir(parents=True)
    link = folder / "link"
    link.symlink_to(folder / "own" / "home" if where == "home" else folder / "own")
    monkeypatch.setenv("CONTENTQ_HOME", str(link if where == "home" else link / "home"))
    assert not embedded.status().running
    _give(link)

    for act in (embedded.status, embedded.start, embedded.stop):
        with pytest.raises(EmbeddedServerError, match=f"symbolic link of {STRANGER}, who can redirect it"):
            act()
    assert [*(folder / "own" / "home").iterdir()] == []


def test_lock_that_is_held_ends_with_a_sentence_that_says_who_holds_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.mkdir(mode=0o755)
    (home / "lock").touch(0o600)
    monkeypatch.setattr(state_folder, "LOCK_TIMEOUT", 0.2)
    script = "import fcntl, sys; f = open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_SH); print(flush=True); input()"
    command = [sys.executable, "-c", script, str(home / "lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        who = f"process {other.pid} of " if os.path.exists("/proc/locks") else "another process "
        with pytest.raises(EmbeddedServerError, match=f"{who}.*has held the lock .*/lock of the embedded server"):
            embedded.start()
        other.communicate(b"\n")
    with state_folder.alone(home):
        pass


def test_lock_is_not_inherited_by_programs(home: Path) -> None:
    with state_folder.alone(home) as place:
        opened = {
            os.readlink(f"/proc/self/fd/{each}"): each
            for each in map(int, os.listdir("/proc/self/fd"))
            if os.path.islink(f"/proc/self/fd/{each}")
        }
        assert not os.get_inheritable(opened[str(home / "lock")])
        assert not os.get_inheritable(place)
    with (home / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.slow
@as_root
def test_mode_of_a_folder_above_is_changed_only_with_a_note(
    home: Path, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder.chmod(0o700)

    assert execute(["db", "start"]) == 0
    said = capfd.readouterr().err
    assert _mode(folder) == 0o701
    assert said == (
        f"note: other users can now pass through {folder} (chmod o+x): root runs the server as the user "
        f"{launch.SERVER_USER}, and its data is in it\n"
    )
    assert execute(["db", "stop"]) == 0
    assert execute(["db", "start"]) == 0
    assert capfd.readouterr().err == ""


@as_root
def test_mode_of_a_folder_of_somebody_else_is_not_changed(home: Path, folder: Path) -> None:
    folder.chmod(0o700)
    _give(folder)

    with pytest.raises(EmbeddedServerError, match=f"have its owner run: chmod o.x {folder}"):
        embedded.start()
    assert _mode(folder) == 0o700


def _as_stranger(act: Callable[[], int]) -> int:
    return _as_user(_stranger().pw_uid, _stranger().pw_gid, act)


def _as_user(uid: int, gid: int, act: Callable[[], int]) -> int:
    """Continues as another user in a child process; returns the exit code from act().

    Root's Python may be closed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about forking with threads
        child = os.fork()
    if child == 0:
        code = 99
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            code = act()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.slow
@as_root
def test_other_users_do_not_reach_a_running_server(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    url = embedded.start().dsn
    assert url is not None
    psql = [str(embedded.program("psql")), "-XAtc", "SELECT 1", url]
    assert execute(["db", "url"]) == 0
    capfd.readouterr()

    assert _as_stranger(lambda: subprocess.run(psql, cwd="/", check=False).returncode) == 2
    assert "Permission denied" in capfd.readouterr().err
    assert _as_stranger(lambda: execute(["db", "url"])) == 3
    assert "belongs to another user, root; become root" in capfd.readouterr().err


@pytest.mark.slow
def test_port_would_let_nobody_in(home: Path) -> None:
    embedded.start()

    rules = (home / "postgresql" / "pg_hba.conf").read_text().splitlines()
    methods = {(line.split()[0], line.split()[-1]) for line in rules if line.strip() and not line.startswith("#")}
    assert methods == {("local", "trust"), ("host", "reject")}
    assert _mode(home / "postgresql") == 0o700


@pytest.mark.slow
@as_root
def test_ordinary_user_has_a_server_of_their_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    home = folder / "state" / "home"
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("CONTENTQ_HOME", str(home))
    embedded.programs(embedded.DEFAULT_VERSION)  # imports modules that root's Python may have closed to others
    _give(folder)
    folder.chmod(0o700)
    capfd.readouterr()
    try:
        assert _as_stranger(lambda: execute(["db", "start"])) == 0
        assert capfd.readouterr().err == ""
        assert _mode(folder) == 0o700
        assert _mode(home) == 0o700
        assert _mode(home / "lock") == 0o600
        assert (home / "postgresql" / "PG_VERSION").stat().st_uid == _stranger().pw_uid
    finally:
        assert _as_stranger(lambda: execute(["db", "stop"])) == 0
    assert capfd.readouterr().out == "stopped\n"


@as_root
@pytest.mark.parametrize(
    ("home", "message"),
    [
        ("{folder}/home", f"initdb needs a user with a name, but user id {NAMELESS} has none"),
        (
            "",
            f"no home folder is known for user id {NAMELESS}; set CONTENTQ_HOME to a folder for the embedded",
        ),
        ("~nobody-at-all", "no home folder is known for ~nobody-at-all"),
    ],
)
def test_user_without_a_name_is_told_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], home: str, message: str
) -> None:
    for name in ("DATABASE_URL", "HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CONTENTQ_HOME", home.format(folder=folder))
    embedded.programs(embedded.DEFAULT_VERSION)  # imports modules that root's Python may have closed to others
    folder.chmod(0o777)

    assert _as_user(NAMELESS, NAMELESS, lambda: execute(["db", "start"])) == 3
    assert message in capfd.readouterr().err
    assert not (folder / "home" / "postgresql").exists()
