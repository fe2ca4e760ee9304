"""A PostgreSQL server in a chosen folder on a chosen port: password authentication, one role per
database, also when root."""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

from deploy.stack import databases, parts, processes
from deploy.stack.secrets import derived, root_secret

SUPERUSER = "postgres"
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root; every Unix has this account


class PostgresServer:
    """One server on 127.0.0.1. Starting again in the same folder keeps the data.

    `durable=False` leaves out fsync: right for tests that kill processes, wrong for measurements
    and for real use.
    """

    def __init__(self, folder: Path, port: int, *, durable: bool = True) -> None:
        self.port = port
        self.durable = durable
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.data = _reachable(self.folder) / "data"

    @property
    def password(self) -> str:
        """The superuser's password, made at first use and kept in the folder, readable by its owner
        only.
        """
        return root_secret(self.folder / "superuser.secret")

    def password_of(self, role: str) -> str:
        """Derive the password of `role`."""
        return derived(self.password, "postgres-role", role)

    def start(self, patience: int = 60) -> None:
        """Create the cluster if it is new, start the server and wait until it takes connections."""
        if self.running():
            return
        if processes.port_is_taken(self.port):
            raise processes.NotReady(
                f"port {self.port} is in use by another process; choose another (STACK_PORT) or "
                "stop it"
            )
        self._create()
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            # a socket's path may be at most 107 bytes, which a deep folder exceeds
            "unix_socket_directories": "",
            "max_connections": 200,
            "fsync": "on" if self.durable else "off",
            "timezone": "UTC",
        }
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self._run(
            "pg_ctl",
            "-D",
            str(self.data),
            "-l",
            str(self.data / "server.log"),
            "-w",
            "-t",
            str(patience),
            "-o",
            options,
            "start",
        )

    def stop(self) -> None:
        """Stop cleanly: sessions are ended, everything is written."""
        self._stop("fast")

    def kill(self) -> None:
        """Stop at once without a checkpoint, as after a crash; the next start replays the log."""
        self._stop("immediate")

    def restart(self) -> None:
        """Clean stop and start."""
        self.stop()
        self.start()

    def running(self) -> bool:
        """Tell whether the server of this folder is alive."""
        return (self.data / "PG_VERSION").exists() and self._command(
            "pg_ctl", "-D", str(self.data), "status"
        ).returncode == 0

    def database(self, name: str) -> str:
        """Create database `name` at the first call, and return its SQLAlchemy URL.

        A role of the same name goes with it, which reaches nothing else.
        """
        with psycopg.connect(self.superuser_url(), autocommit=True) as connection:
            databases.create(connection, name, self.password_of(name))
        return databases.url(name, self.password_of(name), "127.0.0.1", self.port)

    def drop(self, name: str) -> None:
        """Drop a database and its role, ending any sessions in it."""
        with psycopg.connect(self.superuser_url(), autocommit=True) as connection:
            databases.drop(connection, name)

    def superuser_url(self, database: str = "postgres") -> str:
        """Make a superuser's libpq URL, for provisioning and for tests that look at everything."""
        return f"postgresql://{SUPERUSER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def _create(self) -> None:
        if (self.data / "PG_VERSION").exists():
            return
        shutil.rmtree(self.data, ignore_errors=True)  # an initdb that was cut short
        self.data.mkdir(mode=0o700)
        passwords = self.data.parent / "initdb.secret"
        passwords.touch(mode=0o600)
        passwords.write_text(self.password)
        if os.geteuid() == 0:
            account = pwd.getpwnam(UNPRIVILEGED)
            for path in (self.data, passwords):
                os.chown(path, account.pw_uid, account.pw_gid)
        self._run(
            "initdb",
            "-D",
            str(self.data),
            "-U",
            SUPERUSER,
            "--auth=scram-sha-256",
            f"--pwfile={passwords}",
            "-E",
            "UTF8",
            "--locale=C",
        )
        passwords.unlink()
        self._run(
            "pg_ctl",
            "-D",
            str(self.data),
            "-l",
            str(self.data / "server.log"),
            "-w",
            "-o",
            self._first_start(),
            "start",
        )
        with psycopg.connect(self.superuser_url(), autocommit=True) as connection:
            databases.close_shared(connection)
        self._stop("fast")

    def _first_start(self) -> str:
        return f"-c port={self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"

    def _stop(self, mode: str) -> None:
        if self.running():
            self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def _run(self, *command: str) -> None:
        done = self._command(*command)
        if done.returncode:
            log = self.data / "server.log"
            tail = log.read_text(errors="replace")[-3000:] if log.exists() else ""
            raise processes.NotReady(
                f"{command[0]} failed in {self.folder} (port "
                f"{self.port}):\n{done.stdout[-2000:]}\n{tail}"
            )

    def _command(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        # The output goes to a file: a server started by pg_ctl would inherit a pipe and keep it
        # open for ever.
        user, group, others = _account()
        with tempfile.TemporaryFile("w+") as output:
            line = [str(_programs() / program), *arguments]
            done = subprocess.run(
                line,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
                user=user,
                group=group,
                extra_groups=others,
            )
            output.seek(0)
            return subprocess.CompletedProcess(line, done.returncode, output.read(), "")


def _account() -> tuple[int | None, int | None, list[int] | None]:
    """Choose user, group and further groups for the server's programs; None keeps our own."""
    if os.geteuid() != 0:
        return None, None, None
    account = pwd.getpwnam(UNPRIVILEGED)
    return account.pw_uid, account.pw_gid, []


def _programs() -> Path:
    """Find PostgreSQL's programs.

    They are copied out of a closed home folder if the unprivileged account could not reach them.
    """
    source = parts.postgres_bin()
    if os.geteuid() != 0 or _open_to_all(source):
        return source
    copy = _outside(source.parent)
    if not (copy / "bin" / "postgres").exists():
        shutil.copytree(source.parent, copy, dirs_exist_ok=True)
    return copy / "bin"


def _reachable(folder: Path) -> Path:
    """Return `folder`, or a temporary one where the unprivileged account cannot reach it."""
    folder.mkdir(parents=True, exist_ok=True)
    return folder if os.geteuid() != 0 or _open_to_all(folder) else _outside(folder)


def _outside(folder: Path) -> Path:
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"hub-postgres-{name}"
    path.mkdir(mode=0o755, exist_ok=True)
    if path.stat().st_uid != os.geteuid():
        raise processes.NotReady(
            f"{path} belongs to someone else; remove it, or move the clone out of {folder}'s "
            "closed parent folder"
        )
    return path


def _open_to_all(folder: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))
