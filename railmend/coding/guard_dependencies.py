"""Dependencies that a change adds to a manifest, and lock files that changed without theirs."""

from collections.abc import Sequence

from railmend.source.manifests import ManifestError, canonical_name, manifests_of, parse


def new_dependencies(path: str, before: str | None, after: str | None) -> list[str]:
    """Return the names that the manifest at `path` has now and had not; [] for lock and other files.

    Raise `RecursionError` for a manifest that is nested too deeply.
    """
    if manifests_of(path):
        return []
    return sorted(_names(path, after or "") - _names(path, before or ""))


def _names(path: str, text: str) -> set[str]:
    """Of tests and tools, too. A manifest that cannot be read names nothing: its own tools will say so."""
    try:
        return {canonical_name(row.ecosystem, row.name) for row in parse(path, text)}
    except ManifestError:
        return set()


def lacks_manifest(paths: Sequence[str]) -> list[str]:
    """Return a sentence for each lock file that changed without a manifest in the same folder."""
    changed = {path.lower() for path in paths}
    return [
        f"{path} is a lock file that changed without its manifest."
        for path in paths
        if (manifests := manifests_of(path)) and changed.isdisjoint(manifests)
    ]
