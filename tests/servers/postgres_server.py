"""A PostgreSQL server of the tests' own: Debian's package, a temporary cluster, one per process."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg

PACKAGES = Path("/usr/lib/postgresql")
USER = "batchspec"


def binaries() -> Path | None:
    """Return the folder of the newest server's programs; None: there is no server here."""
    found = sorted(PACKAGES.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return None if on_path is None else Path(on_path).resolve().parent


def _as_server_user() -> dict[str, object]:
    """Return how to start the server's programs: they refuse to run as root."""
    if os.getuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    account = names.get("postgres") or names["nobody"]
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


@dataclass
class PostgresServer:
    """A running server that listens on loopback and wants a password from nobody but ``guarded``.

    Attributes:
        folder: Its cluster.
        port: Where it listens.
        process: The server.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes]
    count: int = 0

    def database(self) -> str:
        """Make an empty database and return its address."""
        self.count += 1
        name = f"test_{self.count}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def restart(self) -> None:
        """Stop the server without warning, as a crash does, and start it again."""
        self._kill()
        self.process = _start(self.folder, self.port)

    def stop(self) -> None:
        """End it and remove its files."""
        self._kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kill(self) -> None:
        # Not through pg_ctl, which waits for a child of ours that only we can reap.
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(timeout=30)


def start_postgres(*, durable: bool = False) -> PostgresServer:
    """Make a cluster and start a server on it; ``durable`` keeps what a crash must not lose."""
    folder = Path(tempfile.mkdtemp(prefix="batchspec-postgres-"))
    as_user = _as_server_user()
    if as_user:
        os.chown(folder, int(str(as_user["user"])), int(str(as_user["group"])))
    _run("initdb", "-D", folder / "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
    sync = "on" if durable else "off"
    settings = f"fsync = {sync}\nmax_connections = 60\nunix_socket_directories = '{folder}'\n"
    with (folder / "data" / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(settings)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return PostgresServer(folder=folder, port=port, process=_start(folder, port))


def _start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    programs = binaries()
    assert programs is not None
    with (folder / "log.txt").open("ab") as log:
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [programs / "postgres", "-D", folder / "data", "-p", str(port)],
            stdout=log,
            stderr=log,
            cwd="/",
            **_as_server_user(),  # type: ignore[call-overload] # the keywords of a user
        )
    url = f"postgresql://{USER}@127.0.0.1:{port}/postgres"
    pause = "SELECT 1"
    for _ in range(300):
        try:
            with psycopg.connect(url, connect_timeout=2) as connection:
                connection.execute(pause.encode())
        except psycopg.OperationalError:
            assert process.poll() is None, (folder / "log.txt").read_text(encoding="utf-8")
            _run("pg_isready", "-t", "1", "-h", "127.0.0.1", "-p", str(port), check=False)
        else:
            return process
    raise AssertionError((folder / "log.txt").read_text(encoding="utf-8"))


def _run(program: str, *args: str | Path, check: bool = True) -> None:
    programs = binaries()
    assert programs is not None
    subprocess.run(
        [programs / program, *args],
        check=check,
        capture_output=True,
        cwd="/",
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
        **_as_server_user(),  # type: ignore[call-overload] # the keywords of a user
    )
