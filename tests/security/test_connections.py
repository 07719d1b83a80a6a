"""Protection of database connections: TLS as PostgreSQL offers it, and what is not sent without it."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from contentq.cli.main import execute
from contentq.database import transport
from contentq.database.connect import connect, connect_async, connection_parameters
from contentq.database.dsn import has_password
from contentq.errors import DatabaseUnreachable

from tests.cli.conftest import Outcome, Start, start
from tests.support.certificates import Authority, make_authority
from tests.support.cluster import Cluster
from tests.support.programs import installed

__all__ = ["start"]  # a fixture

PASSWORD = "s3cret"
SSL_REQUEST, GSS_REQUEST = 80877103, 80877104

Connect = Callable[[str], "psycopg.Connection[tuple[object, ...]] | psycopg.AsyncConnection[tuple[object, ...]]"]


class Thief(socketserver.ThreadingTCPServer):
    """Refuses TLS, and asks for the password in clear text."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asking)
        self.heard: list[bytes] = []

    @property
    def dsn(self) -> str:
        return (
            f"host=127.0.0.1 port={self.server_address[1]} user=u dbname=d password={PASSWORD} connect_timeout=5"
        )


class _Asking(socketserver.StreamRequestHandler):
    server: Thief

    def handle(self) -> None:
        while True:
            length = self.rfile.read(4)
            if len(length) < 4:
                return
            message = self.rfile.read(struct.unpack("!I", length)[0] - 4)
            if struct.unpack("!I", message[:4])[0] not in (SSL_REQUEST, GSS_REQUEST):
                break
            self.wfile.write(b"N")
        self.wfile.write(struct.pack("!cII", b"R", 8, 3))
        self.server.heard.append(self.rfile.read(1) + self.rfile.read(4 + len(PASSWORD)))


@pytest.fixture
def thief() -> Iterator[Thief]:
    with Thief() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Removes everything that libpq would use in addition to the DSN, and earlier warnings."""
    for name in ("PGSSLMODE", "PGREQUIREAUTH", "PGSERVICE", "PGHOST", "PGSSLROOTCERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "pg_service.conf"))
    monkeypatch.setattr(transport, "_warned", set())


def _async(dsn: str) -> psycopg.AsyncConnection[tuple[object, ...]]:
    return asyncio.run(connect_async(dsn))


@pytest.mark.parametrize("open_one", [connect, _async])
@pytest.mark.parametrize("mode", ["", "prefer", "allow", "disable", "require", "verify-full"])
def test_server_without_tls_that_asks_for_clear_text_gets_no_password(
    thief: Thief, tmp_path: Path, mode: str, open_one: Connect
) -> None:
    authority = shutil.copy(make_authority(tmp_path / "authority").certificate, tmp_path)
    more = f" sslmode={mode} sslrootcert={authority}" if mode else ""

    with pytest.raises(DatabaseUnreachable) as caught:
        open_one(thief.dsn + more)

    assert [heard for heard in thief.heard if PASSWORD.encode() in heard] == []
    said = str(caught.value)
    assert PASSWORD not in said
    if mode in ("require", "verify-full"):
        assert said.endswith("nothing was sent; enable TLS on the server (ssl = on)")
    else:
        assert "requested the password in clear text over an unencrypted connection, and it was not" in said
        assert "allow it with require_auth=password in the DSN" in said


@pytest.mark.parametrize("way", ["dsn", "environment", "service", "service in the DSN"])
def test_password_is_sent_in_clear_text_where_the_user_allows_it(
    thief: Thief, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    dsn = thief.dsn
    if way == "dsn":
        dsn += " require_auth=password"
    elif way == "environment":
        monkeypatch.setenv("PGREQUIREAUTH", "password")
    else:
        (tmp_path / "pg_service.conf").write_text("[other]\nuser=x\n[blog]\nrequire_auth=password\n")
        if way == "service":
            monkeypatch.setenv("PGSERVICE", "blog")
        else:
            dsn += " service=blog"

    with pytest.raises(DatabaseUnreachable):
        connect(dsn)

    assert [heard[5:] for heard in thief.heard] == [PASSWORD.encode()]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("certificates") / "right")


@pytest.fixture(scope="module")
def tls_server(authority: Authority) -> Iterator[Cluster]:
    """A server with TLS and a certificate for localhost, which asks for a password in clear text."""
    system = [programs for programs in installed().values() if programs.origin == "the system"]
    programs = (system or list(installed().values()))[0]
    with Cluster(programs.folder, tcp=True) as cluster:
        folder = cluster.data
        for source, name in zip(authority.sign("localhost"), ("server.crt", "server.key"), strict=True):
            made = Path(shutil.copy(source, folder / name))
            made.chmod(0o600)
            shutil.chown(made, folder.stat().st_uid, folder.stat().st_gid)
        cluster.configure({"ssl": "on", "listen_addresses": "localhost", "password_encryption": "scram-sha-256"})
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            connection.execute("CREATE ROLE blog SUPERUSER LOGIN PASSWORD 's3cret'")
        (folder / "pg_hba.conf").write_text("local all all trust\nhost all all all password\n")
        cluster.restart()
        yield cluster


def _dsn(server: Cluster, host: str = "localhost", **more: object) -> str:
    parameters = {"host": host, "port": server.port, "user": "blog", "password": PASSWORD, "dbname": "postgres"}
    return " ".join(f"{name}={value}" for name, value in {**parameters, **more}.items())


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_tls_with_the_right_certificate_works(tls_server: Cluster, authority: Authority, mode: str) -> None:
    with connect(_dsn(tls_server, sslmode=mode, sslrootcert=authority.certificate)) as connection:
        assert connection.pgconn.ssl_in_use


def test_password_in_clear_text_goes_over_tls_also_without_sslmode(tls_server: Cluster) -> None:
    with connect(_dsn(tls_server)) as connection:
        assert connection.pgconn.ssl_in_use

    async def is_encrypted() -> bool:
        async with await connect_async(_dsn(tls_server)) as connection:
            return bool(connection.pgconn.ssl_in_use)

    assert asyncio.run(is_encrypted())


def test_wrong_password_over_tls_is_called_wrong(tls_server: Cluster) -> None:
    with pytest.raises(DatabaseUnreachable, match="password authentication failed") as caught:
        connect(_dsn(tls_server, password="wrong"))

    assert "clear text" not in str(caught.value)


def test_where_tls_is_ruled_out_the_password_is_not_sent(tls_server: Cluster) -> None:
    with pytest.raises(DatabaseUnreachable, match="requested the password in clear text"):
        connect(_dsn(tls_server, sslmode="disable"))
    with connect(_dsn(tls_server, sslmode="disable", require_auth="password")) as connection:
        assert not connection.pgconn.ssl_in_use


@pytest.mark.parametrize(
    ("host", "root", "said"),
    [
        ("localhost", "wrong", "set sslrootcert in the DSN to the file with the authority's certificate"),
        ("127.0.0.1", "right", "connect by a name that is in the server's certificate"),
        (
            "localhost",
            "missing",
            "set sslrootcert in the DSN to the file with the certificate of the server's authority",
        ),
    ],
)
def test_certificate_that_proves_nothing_is_refused_with_what_to_do(
    tls_server: Cluster,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    host: str,
    root: str,
    said: str,
) -> None:
    roots = {
        "right": authority.certificate,
        "wrong": make_authority(tmp_path / "wrong").certificate,
        "missing": tmp_path / "nothing.crt",
    }
    monkeypatch.setenv("DATABASE_URL", _dsn(tls_server, host, sslmode="verify-full", sslrootcert=roots[root]))

    for command in (["migrate"], ["list"], ["worker", "--until-empty"]):
        capfd.readouterr()
        assert execute(command) == 3
        error = capfd.readouterr().err
        assert said in error
        assert PASSWORD not in error


@pytest.mark.slow
def test_commands_and_workers_work_over_tls(
    tls_server: Cluster, authority: Authority, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    url = _dsn(tls_server, sslmode="verify-full", sslrootcert=authority.certificate)
    for command in (["migrate"], ["worker", "--until-empty"], ["list", "--json"]):
        process = start(*command, DATABASE_URL=url)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, b"warning" in err) == (0, False), (out, err)


REMOTE = [
    "postgresql://u@db.example/d",
    "host=192.0.2.1 dbname=d",
    "host=localhost,db.example dbname=d",
    "host=localhost hostaddr=192.0.2.1 dbname=d",
    "host=2001:db8::1 dbname=d",
]
NEAR = [
    "postgresql:///d",
    "postgresql://u@localhost/d",
    "host=127.0.0.1 dbname=d",
    "host=127.8.8.8",
    "host=::1",
    "host=/var/run/postgresql",
    "host=db.example hostaddr=127.0.0.1",
]
CHOSEN = [f"host=db.example sslmode={mode}" for mode in ("disable", "prefer", "require", "verify-full")]


@pytest.mark.parametrize("dsn", REMOTE)
def test_remote_host_without_sslmode_is_warned_of_once(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert connection_parameters(dsn, "test")["require_auth"] == "!password"

    (warning,) = [record.getMessage() for record in caplog.records]
    assert "add sslmode=verify-full to the DSN" in warning


@pytest.mark.parametrize("dsn", [*NEAR, *CHOSEN])
def test_nothing_is_said_of_this_machine_nor_of_a_choice(dsn: str, caplog: pytest.LogCaptureFixture) -> None:
    connection_parameters(dsn, "test")

    assert caplog.records == []


@pytest.mark.parametrize("way", ["PGSSLMODE", "PGSERVICE", "service in the DSN"])
def test_sslmode_of_the_environment_and_of_a_service_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, way: str
) -> None:
    dsn = "dbname=d host=db.example"
    (tmp_path / "pg_service.conf").write_text("# ours\n[blog]\n sslmode = verify-full\n[other]\nsslmode=prefer\n")
    if way == "PGSSLMODE":
        monkeypatch.setenv("PGSSLMODE", "verify-full")
    elif way == "PGSERVICE":
        monkeypatch.setenv("PGSERVICE", "blog")
    else:
        dsn += " service=blog"

    assert "require_auth" not in connection_parameters(dsn, "test")
    assert caplog.records == []


def test_host_of_a_service_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "pg_service.conf").write_text("[blog]\nhost=db.example\n")

    connection_parameters("service=blog", "test")

    assert "no sslmode is set for db.example" in caplog.text


def test_older_libpq_is_warned_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(transport, "REQUIRE_AUTH_SINCE", 10**9)

    assert "require_auth" not in connection_parameters("host=db.example", "test")
    assert "sends the password in clear text if the server requests it" in caplog.text


@pytest.mark.slow
def test_warning_stands_once_on_standard_error_and_json_stays_json(
    tls_server: Cluster, authority: Authority, start: Start
) -> None:
    url = _dsn(
        tls_server, "db.invalid,localhost", port=f"{tls_server.port},{tls_server.port}", target_session_attrs="any"
    )
    process = start("--dsn", url, "migrate", "--json")
    out, err = process.communicate(timeout=60)
    assert json.loads(out)["after"] == "0001"
    assert [line.partition(":")[0] for line in err.decode().splitlines()] == ["warning", "warning"]
    assert b"the password in --dsn" in err
    assert b"no sslmode is set for db.invalid" in err

    process = start("worker", "--until-empty", DATABASE_URL=url)
    _, err = process.communicate(timeout=60)
    lines = [line for line in err.decode().splitlines() if "sslmode" in line]
    assert len(lines) == 1
    assert " level=WARNING logger=contentq.database no sslmode is set" in lines[0]


@pytest.mark.parametrize(
    ("dsn", "has"),
    [
        ("postgresql://u:s3cret@h/d", True),
        ("postgresql+psycopg://u:s3cret@h/d", True),
        ("postgresql://u@h/d?password=s3cret", True),
        ("host=h password=s3cret", True),
        ("host=h sslpassword=s3cret", True),
        ("postgresql://u@h/d", False),
        ("host=h passfile=/f", False),
        ("service=blog", False),
        ("postgresql://u:s3cret%zz@h/d", False),
    ],
)
def test_password_in_a_dsn_is_found(dsn: str, has: bool) -> None:
    assert has_password(dsn) is has


@pytest.mark.parametrize("option", ["--dsn", "--listen-dsn"])
def test_password_on_the_command_line_is_warned_of_once(start: Start, option: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"postgresql://u:{PASSWORD}@127.0.0.1:{closed.getsockname()[1]}/d"
        if option == "--dsn":
            process = start(option, url, "worker", "--until-empty")
        else:
            process = start("worker", "--until-empty", option, url, DATABASE_URL=url)
        out, err = process.communicate(timeout=60)

    outcome = Outcome(process.returncode, out.decode(), err.decode())
    assert (outcome.code, outcome.out) == (3, "")
    assert (
        outcome.err.count(f"warning: other users of this machine can read the password in {option} (with ps)") == 1
    )
    assert "DATABASE_URL" in outcome.err
    assert "PGPASSFILE" in outcome.err
    assert PASSWORD not in outcome.err


def test_password_in_the_environment_is_not_warned_of(start: Start) -> None:
    url = f"postgresql://u:{PASSWORD}@127.0.0.1:1/d"
    process = start("list", DATABASE_URL=url, CONTENTQ_LISTEN_DSN=url)

    assert b"warning" not in process.communicate(timeout=60)[1]


@pytest.fixture(autouse=True)
def _own_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="contentq.database")
