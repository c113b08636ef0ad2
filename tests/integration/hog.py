"""What a hostile process fills, for test_sandbox_hogs.py: each until it is ended. Standard library alone."""

import ctypes
import mmap
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable

MIB = 1024 * 1024
BLOCK = b"x" * MIB
PR_SET_DUMPABLE, PR_SET_NAME = 4, 15
LIBC = ctypes.CDLL(None, use_errno=True)
NUMBERS = {"x86_64": (29, 68, 64, 60), "aarch64": (194, 186, 190, 93)}
SHMGET, MSGGET, SEMGET, EXIT = NUMBERS[os.uname().machine]
CLONE_VM, CLONE_FILES, CLONE_SIGHAND, CLONE_THREAD, CLOSE_RANGE = 0x100, 0x400, 0x800, 0x10000, 436


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def fill(descriptor: int) -> None:
    for _ in range(512):
        os.write(descriptor, BLOCK)
        time.sleep(0.005)
    say("FILLED")
    time.sleep(20)


def unlinked(folder: str = ".") -> None:
    name = f"{folder}/hog-{os.getpid()}"
    descriptor = os.open(name, os.O_CREAT | os.O_RDWR, 0o600)
    os.unlink(name)
    fill(descriptor)


def temporary() -> None:
    descriptor, name = tempfile.mkstemp(prefix="hog-")
    say(name)
    fill(descriptor)


def system_v() -> None:
    """As many segments as there may be, left behind."""
    size = 0
    for _ in range(512):
        for each in (MIB, 65536):
            number = LIBC.syscall(SHMGET, 0, ctypes.c_ulong(each), 0o1600)
            size += each if number >= 0 else 0
    say("SEGMENTS", size, os.getuid(), LIBC.syscall(MSGGET, 0, 0o1600), LIBC.syscall(SEMGET, 0, 1, 0o1600))


def memfd() -> None:
    fill(os.memfd_create("hog"))


def hidden() -> None:
    """Shared memory of which one page stays mapped."""
    kept = [mmap.mmap(-1, 512 * MIB)]
    for at in range(0, 512 * MIB, MIB):
        kept[0][at : at + MIB] = BLOCK
    kept[0].madvise(mmap.MADV_DONTNEED)
    time.sleep(20)


def grown() -> None:
    memory = BLOCK * 512
    time.sleep(20)
    del memory


def orphan() -> None:
    """The same in a process that left its session and its parent, with a name that is no text."""
    if os.fork():
        time.sleep(20)
    os.setsid()
    if os.fork():
        os._exit(0)
    LIBC.prctl(PR_SET_NAME, b"\xff 1 kB", 0, 0, 0)
    grown()


def leaderless(name: bytes = b"hog") -> None:
    """The same in a thread that outlives the first one: to proc(5) the process is a zombie."""

    def work() -> None:
        LIBC.prctl(PR_SET_NAME, name, 0, 0, 0)
        grown()

    threading.Thread(target=work).start()
    LIBC.syscall(EXIT, 0)


def survivor() -> None:
    """The same in a session of its own, named after the argument."""
    os.setsid()
    leaderless(sys.argv[2].encode())


def own_descriptors() -> None:
    """Threads with descriptors of their own, which /proc/PID/fd would not show."""
    stack = ctypes.create_string_buffer(1 << 16)
    entry = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(lambda _: 0)
    as_thread = CLONE_THREAD | CLONE_VM | CLONE_SIGHAND
    made = LIBC.clone(entry, ctypes.byref(stack, (1 << 16) - 64), as_thread, None)
    say(
        made,
        LIBC.unshare(CLONE_FILES),
        LIBC.syscall(CLOSE_RANGE, 900, 901, 2),
        LIBC.syscall(CLOSE_RANGE, 900, 901, 0),
    )


def log() -> None:
    fill(1)


def descriptors() -> None:
    for _ in range(5):
        if not os.fork():
            kept = []
            try:
                while True:
                    kept.append(os.dup(0))
            except OSError:
                time.sleep(20)
    time.sleep(20)


HOGS: dict[str, Callable[[], None]] = {
    each.__name__: each
    for each in (
        unlinked,
        temporary,
        system_v,
        memfd,
        hidden,
        grown,
        orphan,
        leaderless,
        survivor,
        own_descriptors,
        log,
        descriptors,
    )
}

if __name__ == "__main__":
    LIBC.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    HOGS[sys.argv[1]]()
