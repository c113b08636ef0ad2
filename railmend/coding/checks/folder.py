"""A directory of a repository, as the finder of checks reads it: files, manifests, and what scripts do."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from railmend.coding.checks.ci import parsed_yaml
from railmend.coding.checks.programs import RECIPES, ecosystem_of

MAX_SCRIPT, MAX_DEPTH = 20_000, 3
SCRIPT_FILE = re.compile(
    r"[\w./-]+\.(?:sh|bash|js|cjs|mjs|ts|py)\b|(?<!\S)(?:\./)?(?:scripts?|bin|hack|ci)/[\w./-]+"
)
NESTED = re.compile(
    r"\b(?:npm|pnpm|yarn|bun|composer|run-s|run-p|npm-run-all|npm-run-all2)\s+(?:run(?:-script)?\s+)?([\w:.@-]+)|@([\w:-]+)"
)

Read = Callable[[str], str | None]


class Folder:
    """One directory of the repository: its files, named relative to it, and the directories above."""

    def __init__(self, directory: str, paths: Sequence[str], read: Read) -> None:
        self.directory = directory
        self._paths, self._read = paths, read
        prefix = f"{directory}/" if directory else ""
        self.files = [path.removeprefix(prefix) for path in paths if path.startswith(prefix)]
        self._known = set(self.files)
        self.top = {path for path in self.files if "/" not in path}

    def text(self, name: str) -> str:
        if name not in self._known:
            return ""
        return self._read(f"{self.directory}/{name}" if self.directory else name) or ""

    def at(self, directory: str) -> "Folder":
        return self if directory == self.directory else Folder(directory, self._paths, self._read)

    @cached_property
    def above(self) -> "list[Folder]":
        """Return the directory, its parent, and so on to the root."""
        parts = self.directory.split("/") if self.directory else []
        return [self.at("/".join(parts[:count])) for count in range(len(parts), -1, -1)]

    @cached_property
    def package(self) -> Mapping[str, Any]:
        return json_object(self.text("package.json"))

    @cached_property
    def pyproject(self) -> Mapping[str, Any]:
        try:
            return tomllib.loads(self.text("pyproject.toml"))
        except (tomllib.TOMLDecodeError, RecursionError):
            return {}

    def scripts(self, program: str) -> Mapping[str, str]:
        """Return the scripts of a package by name, each as text."""
        name, key = {"composer": ("composer.json", "scripts"), "deno": ("deno.json", "tasks")}.get(
            program, ("package.json", "scripts")
        )
        found = table(json_object(self.text(name)) or json_object(self.text(f"{name}c")), key)
        return {str(each): _flat(value) for each, value in found.items()}

    def script(self, program: str, name: str) -> str:
        """Return what a script does, with those that it runs; empty for an unknown one."""
        return self._expanded(program, self._script(program, name), MAX_DEPTH)[:MAX_SCRIPT]

    def _script(self, program: str, name: str) -> str:
        if program == "file":
            return self.text(name.removeprefix("./"))
        if program in RECIPES:
            return self._recipe(program, name)
        return self.scripts(program).get(name, "")

    def recipe(self, program: str, name: str) -> str:
        """Return what a recipe runs, for a shell in the directory."""
        text = self._recipe(program, name)
        if program == "task":
            return text
        lines = re.sub(r"\\\s*\n\s*", " ", text).replace("$$", "$").splitlines()
        return "\n".join(f"({line})" for each in lines if (line := each.strip().lstrip("@-")))

    def _recipe(self, program: str, name: str) -> str:
        names = {
            "make": ("Makefile", "makefile", "GNUmakefile"),
            "just": ("justfile", "Justfile", ".justfile"),
        }
        text = "\n".join(self.text(each) for each in names.get(program, ("Taskfile.yml", "Taskfile.yaml")))
        if program == "task":
            return self._task(table(yaml_object(text), "tasks"), name, MAX_DEPTH)[:MAX_SCRIPT]
        rule, stem = name, ""
        for before, after in re.findall(r"^([\w.-]*)%([\w.-]*)\s*:", text, re.M):
            if name.startswith(before) and name.endswith(after) and f"\n{name}:" not in text:
                rule, stem = f"{before}%{after}", name[len(before) : len(name) - len(after)]
        head = re.search(rf"^{re.escape(rule)}\s*[^:=\n]*:(?!=)(.*(?:\n(?:[\t ]+.*|[ \t]*))*)", text, re.M)
        if head is None:
            return ""
        body = re.sub(r"^[\t ]*(?:@?echo|#).*$", "", head[1], flags=re.M).replace("$*", stem)
        first = body.split("\n", 1)[0]
        needed = [each for each in first.split("#")[0].split() if re.fullmatch(r"[\w-]+", each)][:5]
        return "\n".join([body, *(self._recipe(program, each) for each in needed if each != name)])

    def _task(self, tasks: Mapping[str, Any], name: str, depth: int) -> str:
        """Return what a task of a Taskfile runs, for a shell."""
        task = tasks.get(name)
        task = task if isinstance(task, dict) else {"cmds": task}
        lines = [f"cd {task['dir']}"] if isinstance(task.get("dir"), str) else []
        for key in ("deps", "cmds"):
            listed = task.get(key)
            for each in listed if isinstance(listed, list) else [listed]:
                other = each.get("task") if isinstance(each, dict) else each if key == "deps" else None
                if isinstance(other, str) and depth:
                    lines.append(f"({self._task(tasks, other, depth - 1)})".replace("\n", " && "))
                elif isinstance(each, str):
                    lines.append(re.sub(r"\{\{[^{}]*\}\}", "", each))
        return "\n".join(lines)

    def _expanded(self, program: str, text: str, depth: int) -> str:
        if not text or not depth:
            return text
        parts = [text]
        scripts = self.scripts(program) if program not in (*RECIPES, "file") else {}
        for match in list(NESTED.finditer(text))[:10]:
            name = match[1] or match[2]
            if (body := scripts.get(name)) and body != text:
                parts.append(self._expanded(program, body, depth - 1))
        if not ecosystem_of(text):
            for path in SCRIPT_FILE.findall(text)[:10]:
                if (body := self.text(path.removeprefix("./"))) and len(body) < MAX_SCRIPT:
                    parts.append(self._expanded(program, body, depth - 1))
        return "\n".join(parts)


def json_object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def yaml_object(text: str) -> Mapping[str, Any]:
    value = parsed_yaml(text[:MAX_SCRIPT])
    return value if isinstance(value, dict) else {}


def table(value: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    for key in keys:
        value = value.get(key) if isinstance(value.get(key), dict) else {}  # type: ignore[assignment]
    return value


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("command", "")
    return (
        "\n".join(each for each in value if isinstance(each, str)) if isinstance(value, list) else str(value)
    )
