"""Read in what two trees differ, within bounds: both may be hostile."""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from railmend.coding.git.commands import MAX_LOCK_BYTES, MAX_TEXT_BYTES, GitCommands, failure
from railmend.coding.git.diff import ChangedFile, ChangedLines, parse_diff
from railmend.source.manifests import manifests_of

# Texts are read for the guard up to these; lines cost more than their bytes in memory.
MAX_TEXTS = 100
MAX_ALL_TEXTS_BYTES = 8_000_000
MAX_LINES = 50_000
# What git tells before an object's content: its hash, kind and size.
MAX_HEADER = 200
MORE = "the change has more files than can be listed"


class _RawRow(NamedTuple):
    path: str
    status: str
    old_mode: str
    new_mode: str
    old_sha: str
    new_sha: str

    def sides(self) -> tuple[str | None, str | None]:
        """Return the objects before and after it; None where there is no regular file."""
        pairs = ((self.old_mode, self.old_sha), (self.new_mode, self.new_sha))
        before, after = (sha if mode.startswith("100") else None for mode, sha in pairs)
        return before, after


class ComparedTrees(GitCommands):
    """What a change is, file by file."""

    def changed_files(
        self, tree: str, base: str, oversized: Mapping[str, int] | None = None
    ) -> list[ChangedFile]:
        """Return every file in which `tree` differs from `base`; a rename is a deletion and an addition.

        `oversized`: of the snapshot that `tree` is, files that it does not hold.
        """
        rows, more = self._differences(base, tree)
        counts = self._counts(base, tree)
        sizes = self._sizes({sha for row in rows for sha in (row.old_sha, row.new_sha)})
        unread = _unread(rows, counts, sizes)
        lines = self._changed_lines(base, tree, [row.path for row in rows if unread[row.path] is None])
        readable = {
            row for row in rows if counts.get(row.path, (-1, -1))[0] >= 0 and unread[row.path] is None
        }
        objects = {sha for row in readable for sha in row.sides() if sha}
        texts = self._read({sha for sha in objects if sizes.get(sha, 0) <= MAX_TEXT_BYTES})
        files = []
        for row in rows:
            additions, deletions = counts.get(row.path, (-1, -1))
            before, after = row.sides() if row in readable else (None, None)
            changed = lines.get(row.path, ChangedLines()) if row in readable else ChangedLines()
            files.append(
                ChangedFile(
                    path=row.path,
                    status=row.status,
                    additions=additions,
                    deletions=deletions,
                    mode=row.new_mode,
                    before=texts.get(before) if before else None,
                    after=texts.get(after) if after else None,
                    added=changed.added,
                    removed=changed.removed,
                    unread=MORE if more and row is rows[-1] else unread[row.path],
                )
            )
        known = {row.path for row in rows}
        for path, size in (oversized or {}).items():
            if path not in known:
                files.append(ChangedFile(path, "modified", -1, -1, unread=_too_large(size)))
        return files

    def _differences(self, base: str, tree: str) -> tuple[list[_RawRow], bool]:
        """Return the differences, and whether there are more than could be listed."""
        kinds = {"A": "added", "D": "deleted"}
        raw, more = self._head("diff", "--no-renames", "--no-abbrev", "--raw", "-z", base, tree)
        fields = raw.split("\0")
        rows = []
        for meta, path in zip(fields[0::2], fields[1::2], strict=False):
            old_mode, new_mode, old_sha, new_sha, kind = meta.removeprefix(":").split()
            rows.append(_RawRow(path, kinds.get(kind[0], "modified"), old_mode, new_mode, old_sha, new_sha))
        return (rows[:-1], True) if more else (rows, False)

    def _counts(self, base: str, tree: str) -> dict[str, tuple[int, int]]:
        """Return added and deleted lines by path; -1: binary, or too large for git to look into."""
        counts = {}
        raw, more = self._head("diff", "--no-renames", "--numstat", "-z", base, tree)
        rows = raw.split("\0")
        for row in filter(None, rows[:-1] if more else rows):
            added, deleted, path = row.split("\t", 2)
            counts[path] = (int(added), int(deleted)) if added != "-" else (-1, -1)
        return counts

    def _sizes(self, objects: Collection[str]) -> dict[str, int]:
        """Return bytes by object; what is not here (none, or a submodule's commit) is left out."""
        stdin = "".join(f"{each}\n" for each in objects).encode()
        rows = self._git("cat-file", "--batch-check", stdin=stdin).splitlines() if objects else []
        found = (row.split() for row in rows)
        return {fields[0]: int(fields[2]) for fields in found if len(fields) == 3}

    def _read(self, objects: Collection[str]) -> dict[str, str]:
        """Return the text of each object, all from one process."""
        if not objects:
            return {}
        done = self._run("cat-file", "--batch", stdin="".join(f"{each}\n" for each in objects).encode())
        texts, at = {}, 0
        for each in objects:
            header, _, _ = done.stdout[at : at + MAX_HEADER].partition(b"\n")
            fields = header.split()
            if done.returncode or len(fields) != 3:
                raise failure("cat-file", f"{each}: {(done.stderr or header).decode(errors='replace')}")
            start, size = at + len(header) + 1, int(fields[2])
            texts[each] = done.stdout[start : start + size].decode(errors="replace")
            at = start + size + 1
        return texts

    def _changed_lines(self, base: str, tree: str, paths: Collection[str]) -> dict[str, ChangedLines]:
        if not paths:
            return {}
        options = (
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            "-U0",
            "--src-prefix=a/",
            "--dst-prefix=b/",
        )
        done = self._run("diff", *options, base, tree, "--", *paths)
        if done.returncode:
            raise failure("diff", done.stderr.decode(errors="replace"))
        return parse_diff(done.stdout)


def _unread(
    rows: list[_RawRow], counts: Mapping[str, tuple[int, int]], sizes: Mapping[str, int]
) -> dict[str, str | None]:
    """Return by path why a file's lines are not read, which its size tells before any of its content."""
    unread: dict[str, str | None] = {}
    texts, all_bytes, all_lines = 0, 0, 0
    for row in rows:
        size = max(sizes.get(row.old_sha, 0), sizes.get(row.new_sha, 0))
        additions, deletions = counts.get(row.path, (-1, -1))
        if size > (MAX_LOCK_BYTES if manifests_of(row.path) else MAX_TEXT_BYTES):
            unread[row.path] = _too_large(size)
            continue
        texts, all_lines = texts + 1, all_lines + additions + deletions
        all_bytes += size if size <= MAX_TEXT_BYTES else 0
        if texts > MAX_TEXTS or all_bytes > MAX_ALL_TEXTS_BYTES or all_lines > MAX_LINES:
            unread[row.path] = "the whole change is too large to be read"
        else:
            unread[row.path] = None
    return unread


def _too_large(size: int) -> str:
    return f"its {size / 1_000_000:.1f} MB are more than the {MAX_TEXT_BYTES / 1_000_000:g} MB that are read"
