"""The first process in a sandbox: becomes the agent's user, sets limits, relays sockets, runs one command.

Started as a file, `python -I -S init.py CONFIG`: nothing else of Railmend is visible there, so it
needs the standard library alone. CONFIG is JSON with the fields of `Config`.
"""

import asyncio
import ctypes
import errno
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple, TypedDict

CHUNK = 65536
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# prctl(2), seccomp(2), bpf(4)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 1, 4, 38, 22, 2
LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, JUMP_IF_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
CLONE_NEWUSER = 0x10000000
# A thread with descriptors of its own would hold files that /proc/PID/fd does not show.
CLONE_THREAD, CLONE_FILES, CLOSE_RANGE, CLOSE_RANGE_UNSHARE = 0x10000, 0x400, 436, 2
# landlock(7): numbers of calls, the same on all machines; the version of its interface; what is kept apart
CREATE_RULESET, RESTRICT_SELF, SCOPED_SINCE, SCOPE_ABSTRACT_SOCKETS, SCOPE_SIGNALS = 444, 446, 6, 1, 2
X32_CALLS = 0x40000000  # the same calls under other numbers, on x86_64
# What can carry IP or stays on the machine. Others have led to the hypervisor (AF_VSOCK) and into the kernel
# (AF_ALG, AF_PACKET).
FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
NETLINK_ROUTE = 0  # of AF_NETLINK this alone: getifaddrs(3), without which Node does not list its interfaces
# PostgreSQL guards its data with a segment of 56 bytes. All of a namespace (4096) are then 256 MiB at most.
MAX_SEGMENT = 64 * 1024


class Calls(NamedTuple):
    """Numbers of system calls, and the AUDIT_ARCH value, of one kind of machine.

    `refused`: no build or test needs them but many break-outs began with them. `missing`: they hold memory
    that no limit counts; the answer is an old kernel's, for which programs have another way.
    """

    arch: int
    clone: int
    clone3: int
    unshare: int
    socket: int
    socketpair: int
    shmget: int
    prctl: int
    refused: tuple[int, ...]
    missing: tuple[int, ...]


# refused: ptrace, keyctl, add_key, request_key, bpf, perf_event_open, userfaultfd, io_uring_setup, mount,
# move_mount, fsopen, open_tree; and what would undo the bound on processors: sched_setaffinity.
# missing: memfd_secret, msgget, semget. What memfd_create makes is counted: compilers (Wasmtime) need it.
CALLS = {
    "x86_64": Calls(
        *(0xC000003E, 56, 435, 272, 41, 53, 29, 157),
        (101, 250, 248, 249, 321, 298, 323, 425, 165, 429, 430, 428, 203),
        (447, 68, 64),
    ),
    "aarch64": Calls(
        *(0xC00000B7, 220, 435, 97, 198, 199, 194, 167),
        (117, 219, 217, 218, 280, 241, 282, 425, 40, 429, 430, 428, 122),
        (447, 186, 190),
    ),
}


class Config(TypedDict):
    """The configuration. `uid`: the user to become, if started as root. `lifeline`: pipe of the worker."""

    uid: int | None
    die_with_parent: bool
    limits: dict[str, int]
    listen: int | None
    lifeline: int
    serve: int | None
    outward: dict[str, str]
    sockets: str
    directory: str
    command: list[str]


def become(uid: int | None) -> None:
    """Become the user; when memory runs out, the kernel kills its processes before any other."""
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    if uid is None:
        return
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        which = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, value))


def leave_processors() -> None:
    """Leave one processor to the worker; where there is one only, let it go first.

    Children inherit it, however they are started, and the filter refuses to undo it. RLIMIT_CPU would be for
    each process, and control groups are rarely writable.
    """
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) > 1:
        os.sched_setaffinity(0, processors[1:])
    else:
        os.nice(10)


def instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def answer(error: int) -> bytes:
    return instruction(RETURN, REFUSE | error if error else ALLOW)


def on_call(number: int, *then: bytes) -> list[bytes]:
    """Run `then`, which ends with an answer, for the system call; its number is loaded."""
    return [instruction(JUMP_IF_EQUAL, number, no=len(then)), *then]


def argument(index: int) -> bytes:
    """Load the low half of an argument, which is all that the kernel uses of an int."""
    return instruction(LOAD, 16 + 8 * index)


def refused_flags(flags: int) -> list[bytes]:
    """Refuse any of the flags in the loaded argument."""
    return [instruction(JUMP_IF_ANY_BIT, flags, no=1), answer(errno.EPERM)]


def on_socket(number: int) -> list[bytes]:
    """Allow `FAMILIES`, and netlink for `NETLINK_ROUTE`."""
    families = [part for family in FAMILIES for part in (instruction(JUMP_IF_EQUAL, family, no=1), answer(0))]
    netlink = [argument(2), instruction(JUMP_IF_EQUAL, NETLINK_ROUTE, no=1), answer(0)]
    return on_call(
        number,
        argument(0),
        *families,
        instruction(JUMP_IF_EQUAL, socket.AF_NETLINK, no=len(netlink)),
        *netlink,
        answer(errno.EAFNOSUPPORT),
    )


def seccomp_filter(machine: str) -> bytes | None:
    """Return a filter that refuses user namespaces and what `CALLS` names; None on a machine not in it."""
    if machine not in CALLS:
        return None
    calls = CALLS[machine]
    program = [
        instruction(LOAD, 4),  # seccomp_data.arch
        instruction(JUMP_IF_EQUAL, calls.arch, yes=1),
        answer(errno.EPERM),
        instruction(LOAD, 0),  # seccomp_data.nr
        instruction(JUMP_IF_AT_LEAST, X32_CALLS, no=1),
        answer(errno.EPERM),
        *(part for number in calls.refused for part in on_call(number, answer(errno.EPERM))),
        *(part for number in calls.missing for part in on_call(number, answer(errno.ENOSYS))),
        # Its flags lie in memory, where a filter cannot look: libc falls back to clone.
        *on_call(calls.clone3, answer(errno.ENOSYS)),
        *on_call(
            calls.clone,
            argument(0),
            *refused_flags(CLONE_NEWUSER),
            *(
                instruction(JUMP_IF_ANY_BIT, CLONE_THREAD, no=1),
                instruction(JUMP_IF_ANY_BIT, CLONE_FILES, no=1),
            ),
            *(answer(0), answer(errno.EPERM)),
        ),
        *on_call(calls.unshare, argument(0), *refused_flags(CLONE_NEWUSER | CLONE_FILES), answer(0)),
        *on_call(CLOSE_RANGE, argument(2), *refused_flags(CLOSE_RANGE_UNSHARE), answer(0)),
        *on_socket(calls.socket),
        *on_socket(calls.socketpair),
        # Done, says the answer: without it a process could hide its descriptors from a worker without rights.
        *on_call(
            calls.prctl,
            *(argument(0), instruction(JUMP_IF_EQUAL, PR_SET_DUMPABLE, no=1)),
            *(instruction(RETURN, REFUSE), answer(0)),
        ),
        # The size has 64 bits.
        *on_call(
            calls.shmget,
            *(instruction(LOAD, 16 + 8 + 4), instruction(JUMP_IF_EQUAL, 0, no=3)),
            *(argument(1), instruction(JUMP_IF_AT_LEAST, MAX_SEGMENT + 1, yes=1)),
            *(answer(0), answer(errno.ENOSYS)),
        ),
        answer(0),
    ]
    return b"".join(program)


def keep_apart(libc: ctypes.CDLL) -> None:
    """Refuse abstract Unix sockets and signals of whatever is not below this process, by landlock(7).

    Without a network namespace the first belong to all of the machine. Before Linux 6.12 it does nothing.
    """
    if libc.syscall(CREATE_RULESET, None, 0, 1) < SCOPED_SINCE:
        return
    attributes = struct.pack("QQQ", 0, 0, SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS)
    rules = libc.syscall(CREATE_RULESET, attributes, len(attributes), 0)
    if rules < 0 or libc.syscall(RESTRICT_SELF, rules, 0):
        raise OSError(ctypes.get_errno(), "landlock")
    os.close(rules)


def harden(die_with_parent: bool) -> None:
    """Give up privileges and dangerous system calls, for this process and all that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if die_with_parent:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # lost with the change of user; /proc/self needs it
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    keep_apart(libc)
    code = seccomp_filter(os.uname().machine)
    if code is None:
        return
    buffer = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer)))
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()


async def join(
    left: Stream,
    right: Stream,
) -> None:
    try:
        await asyncio.gather(pipe(left[0], right[1]), pipe(right[0], left[1]))
    finally:
        for _, writer in (left, right):
            writer.close()


LISTENING, LIVE = 10, (1, 4, 5)  # established, and those that have said all: tcp_states.h
# sock_diag(7): the protocol, the request, "all of them", and how an answer ends.
SOCK_DIAG, BY_FAMILY, DUMP, ERROR, DONE = 4, 20, 0x301, 2, 3
HEADER, ASKED, TOLD = struct.Struct("=IHHII"), struct.Struct("=BBHI48x"), struct.Struct("=4xH2x16s40xI4x")
# What takes a connection to 127.0.0.1; the last is what Go and Node listen on where they are told no address.
PLACES = (socket.inet_aton("127.0.0.1"), socket.inet_aton("0.0.0.0"), bytes(16))
MAPPED = bytes(10) + b"\xff\xff"  # Java reaches IPv4 by sockets of IPv6, with such addresses


def end(written: str) -> tuple[bytes, int]:
    """Return address and port from what proc(5) has: numbers of the machine's, four bytes each."""
    host, port = written.split(":")
    words = (int(host[start : start + 8], 16) for start in range(0, len(host), 8))
    return b"".join(struct.pack("=I", word) for word in words).removeprefix(MAPPED), int(port, 16)


def sockets() -> Iterator[tuple[tuple[bytes, int], tuple[bytes, int], int, int]]:
    """Yield what is seen here of TCP: local and remote end, state, user. See proc(5)."""
    for name in ("tcp", "tcp6"):
        with suppress(FileNotFoundError), open(f"/proc/self/net/{name}") as file:
            for row in islice(file, 1, None):
                _, local, remote, state, *_, user = row.split()[:8]
                yield end(local), end(remote), int(state, 16), int(user)


class Listeners:
    """Who listens. Made before the filter, which refuses more of its kind of sockets.

    `sockets` takes milliseconds of a processor, as it walks through room for all connections that the
    machine could have; it does where the kernel cannot be asked.
    """

    def __init__(self) -> None:
        self.asking: socket.socket | None = None
        with suppress(OSError):
            self.asking = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG)

    def are_own(self, port: int) -> bool:
        """Return whether this user alone listens on `port`.

        Agents that share a loopback could take each other's.
        """
        users = {user for address, at, user in self._all() if at == port and address in PLACES}
        return users == {os.getuid()}

    def _all(self) -> list[tuple[bytes, int, int]]:
        if self.asking is not None:
            try:
                return [*told(self.asking, socket.AF_INET), *told(self.asking, socket.AF_INET6)]
            except OSError:
                self.asking = None
        return [(*local, user) for local, _, state, user in sockets() if state == LISTENING]


def told(asking: socket.socket, family: int) -> list[tuple[bytes, int, int]]:
    """Return address, port and user of all that listen; raise `OSError` where the kernel does not tell."""
    question = ASKED.pack(family, socket.IPPROTO_TCP, 0, 1 << LISTENING)
    asking.send(HEADER.pack(HEADER.size + len(question), BY_FAMILY, DUMP, 0, 0) + question)
    listening: list[tuple[bytes, int, int]] = []
    while True:
        data = asking.recv(CHUNK)
        while data:
            size, kind, *_ = HEADER.unpack_from(data)
            if kind == DONE:
                return listening
            if kind == ERROR:
                raise OSError(errno.EOPNOTSUPP, "sock_diag")
            port, address, user = TOLD.unpack_from(data, HEADER.size)
            address = address[:4] if family == socket.AF_INET else address.removeprefix(MAPPED)
            listening.append((address, socket.ntohs(port), user))
            data = data[size + 3 & ~3 :]


def own_client(there: tuple[str, int], here: tuple[str, int]) -> bool:
    """Return whether a process of this user made the connection: others share the loopback.

    Whoever hands a connection on, or relays, does so on purpose.
    """
    ends = tuple((socket.inet_aton(host), port) for host, port in (there, here))
    return any(
        (local, remote) == ends and state in LIVE and user == os.getuid()
        for local, remote, state, user in sockets()
    )


# How a connection ends. Of one that the command leaves open asyncio would write into the command's output.
ENDS = (OSError, asyncio.CancelledError)


async def carry_in(listeners: Listeners, port: int, outside: Stream) -> None:
    """Carry what comes from outside to the command's port, if the command listens there.

    Looked at before and after connecting: whoever had the port until now shall not keep the connection.
    """
    with suppress(*ENDS):
        own = listeners.are_own(port)
        inside = await asyncio.open_connection("127.0.0.1", port)
        if own and listeners.are_own(port):
            await join(outside, inside)
        inside[1].close()
    outside[1].close()


async def carry_out(path: str, inside: Stream) -> None:
    """Carry what a process of this user sends to a socket outside."""
    with suppress(*ENDS):
        if own_client(inside[1].get_extra_info("peername"), inside[1].get_extra_info("sockname")):
            await join(inside, await asyncio.open_unix_connection(path))
    inside[1].close()


async def relay(config: Config, listeners: Listeners) -> list[asyncio.Server]:
    """Relay `listen` (from outside) to the command's port, and loopback ports to the sockets outside."""

    def carried(carry: Callable[..., Awaitable[None]], *where: Any) -> Any:
        return lambda reader, writer: carry(*where, (reader, writer))

    servers: list[asyncio.Server] = []
    if config["listen"] is not None:
        listener = socket.socket(fileno=config["listen"])
        listener.set_inheritable(False)
        listener.setblocking(False)
        carry = carried(carry_in, listeners, config["serve"])
        servers.append(await asyncio.start_unix_server(carry, sock=listener))
    for port, name in config["outward"].items():
        path = f"{config['sockets']}/{name}"
        servers.append(await asyncio.start_server(carried(carry_out, path), "127.0.0.1", int(port)))
    return servers


def end_all(uid: int | None) -> None:
    """End all processes, because the worker is gone. In a PID namespace all end with this one."""
    os.killpg(0, signal.SIGKILL) if uid is None else os.kill(-1, signal.SIGKILL)
    os._exit(1)


async def work(config: Config, listeners: Listeners) -> int:
    os.set_inheritable(config["lifeline"], False)
    asyncio.get_running_loop().add_reader(config["lifeline"], end_all, config["uid"])
    servers = await relay(config, listeners)
    process = await asyncio.create_subprocess_exec(
        *config["command"], cwd=config["directory"], stdin=asyncio.subprocess.DEVNULL
    )
    code = await process.wait()
    for server in servers:
        server.close()
    return code if code >= 0 else 128 - code


def main() -> int:
    config: Config = json.loads(sys.argv[1])
    # Opened first: the agent's user may not be able to walk to the folder, but may go on from here.
    folder = os.open(config["sockets"], os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
    config["sockets"] = f"/proc/self/fd/{folder}"
    become(config["uid"])
    limit(config["limits"])
    leave_processors()
    listeners = Listeners()
    harden(config["die_with_parent"])
    try:
        return asyncio.run(work(config, listeners))
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 127


if __name__ == "__main__":
    sys.exit(main())
