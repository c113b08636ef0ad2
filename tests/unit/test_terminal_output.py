"""What the worker prints where a person watches: no values of local variables, which hold keys."""

import os
import pty
import subprocess
import sys

# A model that is dead, asked with a key, and the failure logged as the worker logs a failed activity.
PROGRAM = """
import logging
from hosting.logging import configure

configure()


def ask(key):
    header = {"Authorization": f"Bearer {key}"}
    raise ConnectionError("the model at 127.0.0.1:9 is dead")


try:
    ask("canary-" + "of-the-model")
except ConnectionError as error:
    try:
        raise RuntimeError("activity failed") from error
    except RuntimeError:
        logging.getLogger("temporalio.activity").exception("Completing activity as failed")
"""


def test_a_traceback_in_a_terminal_shows_no_local_variables() -> None:
    reader, writer = pty.openpty()
    done = subprocess.run([sys.executable, "-c", PROGRAM], stderr=writer, timeout=60, check=False)
    os.close(writer)
    text = os.read(reader, 1_000_000).decode()
    os.close(reader)
    assert done.returncode == 0
    assert "the model at 127.0.0.1:9 is dead" in text
    assert "canary-of-the-model" not in text
    assert text.count("\n") < 40
