"""Rules of the code base that no linter knows."""

import ast
import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("railmend", "workflows", "activities", "hosting", "commands")


def test_patch_ids_are_constants_of_the_policies() -> None:
    ids = [
        ast.unparse(node.args[0])
        for file in (ROOT / "workflows").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("workflow.patched")
    ]
    assert [each for each in ids if not each.startswith("policies.PATCH_")] == []
    assert len(set(ids)) == len(ids), "one id, one place"


# Where the worker's own clock is read, which may be wrong: all else decides by the clocks of the servers.
OWN_CLOCK = {
    "activities/ledger_recovery.py": "where no activity runs, a command or a test asks",
    "hosting/workspace_gc.py": "the times of files are this machine's too",
    "railmend/artifacts.py": "four months, and the time of files",
    "railmend/notifying/delivery.py": "a signature's time, which the receiver compares with its own",
    "railmend/providers/status/reader.py": "an hour off shows announced maintenance early or late",
    "railmend/publishing/github/auth.py": "compared with GitHub's",
    "railmend/publishing/github/errors.py": "an answer without a date",
    "railmend/publishing/github/thread.py": "a pull request without the times that GitHub gives it",
}


def test_nothing_is_decided_by_the_workers_own_clock() -> None:
    calls = re.compile(r"\b(datetime\.(now|utcnow|today)|date\.today|time\.time(_ns)?|time\.localtime)\(")
    folders = [package for package in PRODUCT if package != "commands"]
    files = [file for package in folders for file in (ROOT / package).rglob("*.py")]
    reading = {str(file.relative_to(ROOT)) for file in files if calls.search(file.read_text())}
    assert reading == set(OWN_CLOCK)


def test_a_public_class_name_has_one_meaning() -> None:
    places = defaultdict(list)
    for package in PRODUCT:
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(str(file.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


# What opens, lists or changes files, and where: by name of the function, in folders that are the worker's own
# (its state, `run`, `sockets`, /proc, or a folder that it has just made). All else of a repair's folders goes
# through `railmend/coding/sandbox/foreign_files.py`.
FILE_CALLS = frozenset(
    """open fdopen read_text write_text read_bytes write_bytes mkdir makedirs chmod chown lchown rmtree
    copytree copyfile copy2 walk fwalk scandir listdir iterdir glob rglob unlink touch rename renames symlink
    symlink_to hardlink_to rmdir readlink utime truncate mkfifo""".split()  # noqa: SIM905 - a list of words
)
OWN_FOLDERS = {
    "railmend/coding/git/repository.py": {"prepare", "fetch", "export"},
    "railmend/coding/git/commands.py": {"_excludes", "_index"},
    "railmend/coding/guard/tables.py": {"<module>"},  # of the package
    "railmend/coding/metering/meter.py": {"__init__", "_save"},
    "railmend/coding/sandbox/resource_usage.py": {"_fields", "add"},  # of /proc
    "railmend/coding/git/revert.py": {"_merged_file"},
    "railmend/coding/sandbox/interface.py": {"short_path", "listening", "run_sandboxed", "last", "create"},
    "railmend/coding/session/server.py": {
        *("_read", "stop_leftovers", "stop_leftover", "_write", "start_or_adopt", "_start", "stop"),
    },
    "railmend/coding/git/work_tree.py": {"lay_out"},
    "activities/source.py": {"_fetch"},
    "hosting/sandbox/bubblewrap.py": {"start", "system"},
    "hosting/sandbox/choice.py": {"probe", "hand_over"},
    "hosting/sandbox/common.py": {"uid_for", "_claim_user", "_claimed", "_holds"},
    "hosting/sandbox/init.py": {"become", "sockets", "main"},
    "hosting/sandbox/remote_daemon.py": {"listen", "_hand_over"},
    "hosting/sandbox/uids.py": {"processes", "_temporary_files", "remove_left"},
}


def _file_calls(file: Path) -> set[str]:
    """Return the functions of a file that call what opens files; a module's own level is `<module>`."""
    found = set()

    def visit(node: ast.AST, inside: str) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = node.name
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            by_layer = ast.unparse(node.func).startswith("foreign_files.") or called == "walk"
            if called in FILE_CALLS and not by_layer:
                found.add(inside)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(ast.parse(file.read_text()), "<module>")
    return found


def test_what_foreign_code_could_write_is_opened_by_one_layer_alone() -> None:
    seen = {}
    for package in ("railmend/coding", "activities", "hosting/sandbox"):
        for file in (ROOT / package).rglob("*.py"):
            name = str(file.relative_to(ROOT))
            if name != "railmend/coding/sandbox/foreign_files.py" and (functions := _file_calls(file)):
                seen[name] = functions
    assert seen == OWN_FOLDERS


def test_what_an_activity_decides_does_not_rest_on_its_worker_s_clock() -> None:
    """Times are the server's: they come with the request. A ledger that was lost is no decision of a run."""
    reading = [
        path.name
        for path in sorted((ROOT / "activities").glob("*.py"))
        if re.search(r"datetime\.now\(|time\.time\(", path.read_text())
    ]
    assert reading == ["ledger_recovery.py"]
