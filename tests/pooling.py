"""A PgBouncer of our own, before the PostgreSQL of the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.databases import Url, connect_postgres, postgres_url
from tests.servers import free_port

INI = """\
[databases]
* = host={server.host} port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = {auth}
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = {size}
ignore_startup_parameters = extra_float_digits
logfile = {folder}/log
"""


def find_pgbouncer() -> str | None:
    return shutil.which(
        "pgbouncer", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    )


@contextmanager
def pgbouncer(program: str, mode: str = "transaction", size: int = 10, auth: str = "trust") -> Iterator[Url]:
    """Start PgBouncer; give its address."""
    server, port = postgres_url(), free_port()
    assert server is not None
    folder = Path(tempfile.mkdtemp(prefix="chronomig-pgbouncer-"))
    ini = folder / "pgbouncer.ini"
    ini.write_text(INI.format(server=server, port=port, mode=mode, size=size, folder=folder, auth=auth))
    password = server.password or "of the pool"
    (folder / "users").write_text(f'"{server.user}" "{password}"\n')
    user = "nobody" if os.geteuid() == 0 else None  # it refuses to run as root
    if user:
        folder.chmod(0o755)
        shutil.chown(folder, user)
    running = subprocess.Popen(
        [program, "-q", str(ini)], user=user, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        found = Url(server.user, "", "127.0.0.1", port)
        if auth == "trust":
            until_it_answers(found)
        yield found
    finally:
        running.kill()
        running.wait()
        shutil.rmtree(folder, ignore_errors=True)


def until_it_answers(url: Url) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            connect_postgres(url).close()
        except Exception:
            assert time.monotonic() < deadline, "PgBouncer does not answer"
            time.sleep(0.1)
        else:
            return
