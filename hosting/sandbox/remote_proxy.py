"""Stands on the worker's machine for one command that the remote daemon runs, and ends with it.

Started as a file, `python -I -S remote_proxy.py CONFIG`, with the command's environment and output as its
own. CONFIG is JSON: `socket`, the daemon's; `request`, for the daemon; `lifeline` and `listen`, descriptors
to hand over (unix(7), SCM_RIGHTS). Ends with the command's exit code; by SIGHUP when the daemon is gone.
"""

import json
import os
import select
import signal
import socket
import sys

MAX_ANSWER = 128 * 1024


def main() -> int:
    config = json.loads(sys.argv[1])
    descriptors = [sys.stdout.fileno(), config["lifeline"]]
    if config["listen"] is not None:
        descriptors.append(config["listen"])
    request = {"op": "start", **config["request"], "environment": dict(os.environ)}
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(config["socket"])
            socket.send_fds(connection, [json.dumps(request).encode()], descriptors)
            ready, _, _ = select.select([connection, config["lifeline"]], [], [])
            if connection not in ready:
                return 0  # the worker is gone, and with this connection the command
            answer = json.loads(connection.recv(MAX_ANSWER) or b"{}")
    except OSError as error:
        answer = {"error": error.strerror}
    if "code" in answer:
        return int(answer["code"])
    sys.stderr.write(f"The daemon: {answer.get('error', 'it ended')}\n")
    sys.stderr.flush()
    # Under nohup the signal is ignored, which processes inherit.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGHUP)
    return 1


if __name__ == "__main__":
    sys.exit(main())
