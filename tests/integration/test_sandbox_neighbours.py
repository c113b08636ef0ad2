"""Two repairs beside each other, of which one is hostile: what they share, and what neither reaches."""

import asyncio
import ctypes
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from hosting.gateway.egress import egress
from hosting.sandbox import init
from railmend.coding.sandbox.interface import (
    EGRESS_SOCKET,
    CommandResult,
    RepairPaths,
    Sandbox,
    SandboxCommand,
    run_sandboxed,
)
from railmend.coding.sandbox.quota import Quota
from tests.integration.sandboxes import KINDS, a_place, a_sandbox, shell_in, until

pytestmark = pytest.mark.integration

# Through the relay by IPv4, and as Java does by an IPv6 socket; then it waits for the other.
INSTALLS = """
import os, socket, time
for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::ffff:127.0.0.1")):
    with socket.socket(family) as tunnel:
        tunnel.connect((host, {port}))
        tunnel.sendall(b"CONNECT {registry} HTTP/1.1\\r\\n\\r\\nx")
        print(tunnel.recv(12))
open("ready", "w").close()
while not os.path.exists("done"):
    time.sleep(0.02)
with socket.create_connection(("127.0.0.1", {port})) as tunnel:
    tunnel.sendall(b"CONNECT {registry} HTTP/1.1\\r\\n\\r\\nx")
    print(tunnel.recv(12))
"""
# Two ways in, one of which says all it has to say at once; then as many as hold the relay's places.
INTRUDES = """
import socket, time
for ends in (False, True):
    try:
        with socket.create_connection(("127.0.0.1", {port}), 5) as tunnel:
            tunnel.sendall(b"CONNECT {registry} HTTP/1.1\\r\\n\\r\\nx")
            if ends:
                tunnel.shutdown(socket.SHUT_WR)
            print(tunnel.recv(12))
    except OSError as error:
        print(b"", error)
held = []
for _ in range(200):
    held.append(socket.socket())
    held[-1].setblocking(False)
    held[-1].connect_ex(("127.0.0.1", {port}))
time.sleep(0.3)
"""


@dataclass(frozen=True)
class Neighbours:
    """Two repairs of one kind of sandbox, and a registry that the first may reach."""

    kind: str
    sandbox: Sandbox
    first: RepairPaths
    second: RepairPaths

    @asynccontextmanager
    async def registry(self) -> AsyncIterator[tuple[str, list[bytes]]]:
        """Yield its address, and who came."""
        visits: list[bytes] = []

        async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            visits.append(await reader.read(1))
            writer.close()

        server = await asyncio.start_server(visit, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, egress(self.first, [address]):
            yield address, visits

    def run(
        self, paths: RepairPaths, script: str, outward: dict[int, str] | None = None
    ) -> asyncio.Task[CommandResult]:
        command = ("python3", "-c", script)
        environment = {"PATH": self.sandbox.tools_path()}
        launch = SandboxCommand(paths, command, environment, paths.tree, outward=outward)
        return asyncio.create_task(run_sandboxed(self.sandbox, launch, 30, Quota()))


@pytest.fixture(scope="module", params=KINDS)
def neighbours(request: pytest.FixtureRequest) -> Iterator[Neighbours]:
    with a_sandbox(request.param) as (sandbox, folder):
        yield Neighbours(
            request.param, sandbox, a_place(folder, sandbox, "first"), a_place(folder, sandbox, "second")
        )


async def test_the_way_out_of_one_repair_is_closed_to_another(neighbours: Neighbours) -> None:
    first, second = neighbours.first, neighbours.second
    (port,) = await asyncio.to_thread(neighbours.sandbox.ports, 1)
    async with neighbours.registry() as (registry, visits):
        installing = neighbours.run(
            first, INSTALLS.format(port=port, registry=registry), {port: EGRESS_SOCKET}
        )
        await until((first.tree / "ready").exists)
        intruding = await neighbours.run(second, INTRUDES.format(port=port, registry=registry))
        (first.tree / "done").touch()
        (first.tree / "done").chmod(0o666)
        installed = await installing
    assert installed.output.splitlines() == [str(b"HTTP/1.1 200")] * 3
    assert [row[:3] for row in intruding.output.splitlines()] == ["b''"] * 2
    assert visits == [b"x"] * 3


LEAVES = """
import socket, subprocess
tunnel = socket.create_connection(("127.0.0.1", {port}))
tunnel.sendall(b"CONNECT {registry} HTTP/1.1\\r\\n\\r\\nx")
tunnel.recv(12)
quiet = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
subprocess.Popen(["sleep", "60"], pass_fds=(tunnel.fileno(),), **quiet)
print("ended")
"""


async def test_a_connection_that_a_command_leaves_open_writes_nothing_into_its_output(
    neighbours: Neighbours,
) -> None:
    (port,) = await asyncio.to_thread(neighbours.sandbox.ports, 1)
    async with neighbours.registry() as (registry, _):
        leaving = LEAVES.format(port=port, registry=registry)
        ended = await neighbours.run(neighbours.first, leaving, {port: EGRESS_SOCKET})
    assert ended.output == "ended\n"


LISTENS = """
import os, socket
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind("\\0railmend-test-{name}")
    listener.listen()
    listener.settimeout(0.05)
    open("ready-{name}", "w").close()
    while not os.path.exists("stop-{name}"):
        try:
            listener.accept()
            print("MET", flush=True)
        except TimeoutError:
            pass
print("ended")
"""
CONNECTS = """
import socket
for name in {names}:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("\\0railmend-test-" + name)
            print("MET", name)
    except OSError as error:
        print("refused", name)
"""


def scoped() -> bool:
    return bool(ctypes.CDLL(None).syscall(init.CREATE_RULESET, None, 0, 1) >= init.SCOPED_SINCE)


@pytest.mark.skipif(not scoped(), reason="Linux before 6.12")
async def test_abstract_sockets_of_others_are_out_of_reach(neighbours: Neighbours) -> None:
    """Another repair's, and the machine's; its own it reaches."""
    host = f"host-{os.getpid()}"
    names = (host, f"first-{os.getpid()}")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0railmend-test-{host}")
        listener.listen()
        waiting = neighbours.run(neighbours.first, LISTENS.format(name=names[1]))
        await until((neighbours.first.tree / f"ready-{names[1]}").exists)
        tried = await neighbours.run(neighbours.second, CONNECTS.format(names=names))
        (neighbours.first.tree / f"stop-{names[1]}").touch()
        assert (await waiting).output == "ended\n"
    assert tried.output == f"refused {names[0]}\nrefused {names[1]}\n"
    own = (
        "import threading, time, os\n"
        f"threading.Thread(target=exec, args=({LISTENS.format(name='own')!r}, {{}})).start()\n"
        "while not os.path.exists('ready-own'): time.sleep(0.02)\n"
        f"{CONNECTS.format(names=('own',))}\nopen('stop-own', 'w').close()"
    )
    assert "MET own" in (await neighbours.run(neighbours.second, own)).output


def bound(family: int, address: str) -> socket.socket:
    """Return a socket that listens; one of IPv6 takes what comes by IPv4 too."""
    listener = socket.socket(family)
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind((address, 0))
    listener.listen()
    return listener


@pytest.mark.parametrize("kernel", [True, False], ids=["the kernel is asked", "read from proc(5)"])
@pytest.mark.parametrize(
    ("address", "reached"),
    [("127.0.0.1", True), ("0.0.0.0", True), ("::", True), ("::ffff:127.0.0.1", True), ("::1", False)],
)
def test_who_listens_on_what_a_relay_connects_to_is_known(address: str, reached: bool, kernel: bool) -> None:
    listeners = init.Listeners()
    assert listeners.asking is not None
    if not kernel:
        listeners.asking.close()
    with bound(socket.AF_INET6 if ":" in address else socket.AF_INET, address) as listener:
        assert listeners.are_own(listener.getsockname()[1]) is reached
        assert (listeners.asking is not None) is kernel


FAMILIES = """
import errno, socket
for name in ("VSOCK", "ALG", "PACKET", "BLUETOOTH", "CAN", "TIPC", "XDP", "RDS", "KEY"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        for make in (socket.socket, socket.socketpair):
            try:
                make({"XDP": 44}.get(name) or getattr(socket, f"AF_{name}", 15), kind)
                print("MADE", name)
            except OSError as error:
                assert error.errno == errno.EAFNOSUPPORT, error
for protocol in range(1, 32):
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        print("MADE netlink", protocol)
    except OSError as error:
        assert error.errno == errno.EAFNOSUPPORT, error
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
    socket.socket(family).close()
socket.socketpair()
print([name for _, name in socket.if_nameindex()][0])
"""


async def test_no_family_of_sockets_but_those_that_programs_need(neighbours: Neighbours) -> None:
    """With the interfaces listed, as Node does when it starts."""
    done = await neighbours.run(neighbours.first, FAMILIES)
    assert done.output == "lo\n"


PROCESSORS = """
import os
before = os.sched_getaffinity(0)
print(len(before), flush=True)
for attempt in range(2):
    if attempt:
        if os.fork():
            os.wait()
            break
        os.setsid()
        if os.fork():
            os._exit(0)
    for process in (0, os.getpid(), os.getppid(), 1):
        try:
            os.sched_setaffinity(process, range(os.cpu_count()))
            print("UNBOUND")
        except OSError:
            pass
    assert os.sched_getaffinity(0) == before
"""


async def test_one_processor_is_left_to_the_worker(neighbours: Neighbours) -> None:
    """Whatever it starts; RLIMIT_CPU would count each process alone."""
    done = await neighbours.run(neighbours.first, PROCESSORS)
    assert done.output == f"{max(len(os.sched_getaffinity(0)) - 1, 1)}\n"


async def test_a_process_of_another_repair_shows_nothing_and_takes_no_signal(neighbours: Neighbours) -> None:
    token = f"token-{os.getpid()}"
    victim = asyncio.create_task(
        shell_in(
            neighbours.first,
            neighbours.sandbox,
            f"export TOKEN={token}; python3 -c \"import os, time; open('pid', 'w').write(str(os.getpid())); "
            'exec(\\"while not os.path.exists(\'stop\'): time.sleep(0.02)\\")"; echo UNHARMED',
        )
    )
    await until((neighbours.first.tree / "pid").exists)
    command = (
        "for p in /proc/[0-9]*; do cat $p/environ $p/maps $p/mem; ls -l $p/fd $p/cwd/ $p/root/; done "
        f"2>/dev/null | tr '\\0' '\\n' | grep -c {token}; kill -9 -1; echo STILL"
    )
    seen = await shell_in(neighbours.second, neighbours.sandbox, command)
    (neighbours.first.tree / "stop").touch()
    assert seen.output.splitlines()[:1] == ["0"]
    assert (await victim).output == "UNHARMED\n"
