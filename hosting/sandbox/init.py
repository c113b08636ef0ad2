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
from contextlib import suppress
from typing import Any, TypedDict

CHUNK = 65536
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
# prctl(2), seccomp(2), bpf(4)
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 1, 4, 38, 22, 2
LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, JUMP_IF_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000
CLONE_NEWUSER = 0x10000000
X32_CALLS = 0x40000000  # the same calls under other numbers, on x86_64
# Per machine: AUDIT_ARCH value, clone, clone3, unshare, and those that no build or test needs but many
# break-outs began with: ptrace, keyctl, add_key, request_key, bpf, perf_event_open, userfaultfd,
# io_uring_setup, mount, move_mount, fsopen, open_tree.
CALLS: dict[str, tuple[int, int, int, int, tuple[int, ...]]] = {
    "x86_64": (0xC000003E, 56, 435, 272, (101, 250, 248, 249, 321, 298, 323, 425, 165, 429, 430, 428)),
    "aarch64": (0xC00000B7, 220, 435, 97, (117, 219, 217, 218, 280, 241, 282, 425, 40, 429, 430, 428)),
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


def instruction(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("HBBI", code, yes, no, value)


def seccomp_filter(machine: str) -> bytes | None:
    """Return a filter that refuses user namespaces and the `CALLS`; None on a machine not in `CALLS`."""
    if machine not in CALLS:
        return None
    arch, clone, clone3, unshare, refused = CALLS[machine]
    program = [
        instruction(LOAD, 4),  # seccomp_data.arch
        instruction(JUMP_IF_EQUAL, arch, yes=1),
        instruction(RETURN, REFUSE | errno.EPERM),
        instruction(LOAD, 0),  # seccomp_data.nr
        instruction(JUMP_IF_AT_LEAST, X32_CALLS, no=1),
        instruction(RETURN, REFUSE | errno.EPERM),
    ]
    for number in refused:
        program += [
            instruction(JUMP_IF_EQUAL, number, no=1),
            instruction(RETURN, REFUSE | errno.EPERM),
        ]
    # Its flags lie in memory, where a filter cannot look: libc falls back to clone.
    program += [instruction(JUMP_IF_EQUAL, clone3, no=1), instruction(RETURN, REFUSE | errno.ENOSYS)]
    program += [
        instruction(JUMP_IF_EQUAL, clone, yes=1),
        instruction(JUMP_IF_EQUAL, unshare, no=3),
        instruction(LOAD, 16),  # the low half of the first argument: flags
        instruction(JUMP_IF_ANY_BIT, CLONE_NEWUSER, no=1),
        instruction(RETURN, REFUSE | errno.EPERM),
        instruction(RETURN, ALLOW),
    ]
    return b"".join(program)


def harden(die_with_parent: bool) -> None:
    """Give up privileges and dangerous system calls, for this process and all that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)
    if die_with_parent:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # lost with the change of user; /proc/self needs it
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
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


def own_listener(port: int) -> bool:
    """Return whether this user listens on `port`: agents that share a loopback could take each other's."""
    with open("/proc/self/net/tcp") as file:
        rows = [row.split() for row in file]
    listening = [row for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port]
    return {int(row[7]) for row in listening} == {os.getuid()}


async def relay(config: Config) -> list[asyncio.Server]:
    """Relay `listen` (from outside) to the command's port, and loopback ports to the sockets outside."""
    serve, folder = config["serve"], config["sockets"]

    async def inward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection("127.0.0.1", serve)
        except OSError:
            writer.close()
            return
        if serve is not None and own_listener(serve):
            await join((reader, writer), there)
        for stream in (writer, there[1]):
            stream.close()

    def outward(name: str) -> Any:
        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                there = await asyncio.open_unix_connection(f"{folder}/{name}")
            except OSError:
                writer.close()
                return
            await join((reader, writer), there)

        return carry

    servers: list[asyncio.Server] = []
    if config["listen"] is not None:
        listener = socket.socket(fileno=config["listen"])
        listener.set_inheritable(False)
        listener.setblocking(False)
        servers.append(await asyncio.start_unix_server(inward, sock=listener))
    for port, name in config["outward"].items():
        servers.append(await asyncio.start_server(outward(name), "127.0.0.1", int(port)))
    return servers


def end_all(uid: int | None) -> None:
    """End all processes, because the worker is gone. In a PID namespace all end with this one."""
    os.killpg(0, signal.SIGKILL) if uid is None else os.kill(-1, signal.SIGKILL)
    os._exit(1)


async def work(config: Config) -> int:
    os.set_inheritable(config["lifeline"], False)
    asyncio.get_running_loop().add_reader(config["lifeline"], end_all, config["uid"])
    servers = await relay(config)
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
    harden(config["die_with_parent"])
    try:
        return asyncio.run(work(config))
    except OSError as error:
        sys.stderr.write(f"{error.filename}: {error.strerror}\n")
        return 127


if __name__ == "__main__":
    sys.exit(main())
