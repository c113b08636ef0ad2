"""The artifact store: what is too large for Temporal, kept under the hash of its content.

Workflows hand on references alone; the activity that needs an artifact reads it. Why:
docs/decisions/0013-large-results-in-an-artifact-store.md.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Protocol, TypeVar

from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store
from pydantic import BaseModel, SecretStr, ValidationError

from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.base import stored

Model = TypeVar("Model", bound=BaseModel)
# Artifacts are some 100 kB at most. Temporal repeats the activity, so the client repeats nothing.
CONNECT, ANSWER = timedelta(seconds=5), timedelta(seconds=20)
FOLDER_MODE, FILE_MODE = 0o700, 0o600
PROBE = b"Railmend's doctor wrote this to see whether artifacts can be kept here."


class ArtifactError(Exception):
    """The store cannot be reached, or refuses; asking again may help."""

    retryable = True


class ArtifactGone(Exception):
    """There is no such artifact, or it cannot be opened; asking again cannot help."""

    retryable = False


class ArtifactCipher(Protocol):
    """Encrypts artifacts. `open` raises `ValueError` for what it cannot decrypt."""

    def seal(self, plain: bytes) -> bytes: ...

    def open(self, sealed: bytes) -> bytes: ...


class ArtifactStore:
    """Artifacts in a folder or a bucket, encrypted where there is a `cipher`. `place`: for people."""

    def __init__(self, store: ObjectStore, place: str, cipher: ArtifactCipher | None = None) -> None:
        self.objects = store
        self._cipher = cipher
        self.place = place

    async def put(self, content: bytes) -> ArtifactReference:
        """Keep `content`; what is there already is renewed, so that it is kept for as long as a new one."""
        reference = ArtifactReference(sha256=sha256(content).hexdigest(), size=len(content))
        sealed = self._cipher.seal(content) if self._cipher else content
        async with self._reaching():
            await self.objects.put_async(reference.sha256, sealed)
            if isinstance(self.objects, LocalStore) and self.objects.prefix is not None:
                await asyncio.to_thread((self.objects.prefix / reference.sha256).chmod, FILE_MODE)
        return reference

    async def get(self, reference: ArtifactReference) -> bytes:
        """Return the content. Raise `ArtifactGone`, or `ArtifactError` where a new attempt may help."""
        if not _is_name(reference.sha256):
            raise ArtifactGone(f"{reference.sha256!r} names no artifact.")
        async with self._reaching():
            try:
                answer = await self.objects.get_async(reference.sha256)
                sealed = bytes(await answer.bytes_async())
            except FileNotFoundError as error:
                raise ArtifactGone(
                    f"The artifact {reference.sha256[:12]} is not in {self.place}: it was removed, or who "
                    "wrote it uses another store. All roles and commands need the same RAILMEND_ARTIFACTS."
                ) from error
        try:
            content = self._cipher.open(sealed) if self._cipher else sealed
        except ValueError as error:
            raise ArtifactGone(f"The artifact {reference.sha256[:12]} cannot be opened: {error}") from error
        if sha256(content).hexdigest() != reference.sha256:
            raise ArtifactGone(
                f"The artifact {reference.sha256[:12]} in {self.place} is not what was written: it was "
                "altered, or it is encrypted and RAILMEND_ENCRYPTION_KEYS is not set here."
            )
        return content

    async def put_model(self, model: BaseModel) -> ArtifactReference:
        return await self.put(model.model_dump_json().encode())

    async def get_model(self, reference: ArtifactReference, kind: type[Model]) -> Model:
        """Return the model. Raise what `get` raises; `ArtifactGone` too for what this version cannot read."""
        try:
            content = await self.get(reference)
            with stored():
                return kind.model_validate_json(content)
        except ValidationError as error:
            raise ArtifactGone(
                f"The artifact {reference.sha256[:12]} was written by another version of Railmend."
            ) from error

    async def probe(self) -> None:
        """Write and read once. Raise `ArtifactError` or `ArtifactGone`."""
        await self.get(await self.put(PROBE))

    async def sweep(self, kept: timedelta) -> int:
        """Remove artifacts that were written longer ago than `kept`; return how many. Others' files stay."""
        oldest = datetime.now(UTC) - kept
        async with self._reaching():
            old = [
                meta["path"]
                async for batch in self.objects.list()
                for meta in batch
                if meta["last_modified"] < oldest and _is_name(meta["path"])
            ]
            for path in old:
                with suppress(FileNotFoundError):  # another worker sweeps too
                    await self.objects.delete_async(path)
        return len(old)

    @asynccontextmanager
    async def _reaching(self) -> AsyncIterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            reason = str(error).partition("\n")[0][:300]  # what follows is the library's own structures
            raise ArtifactError(
                f"The artifact store {self.place} cannot be used ({reason}): see RAILMEND_ARTIFACTS."
            ) from error


def _is_name(path: str) -> bool:
    return len(path) == 64 and set(path) <= set("0123456789abcdef")


def folder_store(folder: Path, cipher: ArtifactCipher | None = None) -> ArtifactStore:
    """Return the store in `folder`, made where it is missing: nobody else may read it. Raise `OSError`."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    return ArtifactStore(LocalStore(folder), str(folder), cipher)


def bucket_store(
    url: str,
    *,
    endpoint: str | None = None,
    region: str = "us-east-1",
    key: tuple[str, SecretStr] | None = None,
    cipher: ArtifactCipher | None = None,
) -> ArtifactStore:
    """Return the store in `s3://BUCKET/PREFIX`. `endpoint`: of another service than AWS that speaks S3.

    `key`: id and secret; None: what the machine or AWS_ACCESS_KEY_ID gives. Raise `ArtifactError`.
    """
    options: dict[str, object] = {"region": region}
    if endpoint:
        options["endpoint"] = endpoint
    if key:
        options |= {"access_key_id": key[0], "secret_access_key": key[1].get_secret_value()}
    try:
        store = S3Store.from_url(
            url,
            config=options,  # type: ignore[arg-type] # a TypedDict of all options
            client_options={
                "connect_timeout": CONNECT,
                "timeout": ANSWER,
                "allow_http": bool(endpoint and endpoint.startswith("http://")),
            },
            retry_config={"max_retries": 0},
        )
    except BaseError as error:
        raise ArtifactError(f"{url} is no bucket that can be used: {error}") from error
    return ArtifactStore(store, url, cipher)
