"""Where large results are kept: folder and bucket, encrypted, gone, swept."""

import os
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from activities.planning import PlanningActivities, TextActivities
from hosting import clients
from hosting.codec import EncryptionCodec
from hosting.workspace_gc import remove_old_artifacts
from railmend.artifacts import ArtifactError, ArtifactGone, ArtifactStore, bucket_store, folder_store
from railmend.contracts.artifact import ArtifactReference
from railmend.contracts.incident import (
    ChallengeRequest,
    DiagnosisRequest,
    EvidencePacket,
    Facts,
    Verdict,
)
from railmend.contracts.policy import FollowUp, Policy
from railmend.settings import ConfigurationError, Settings
from tests import samples
from tests.integration.serving import serving
from tests.kept import memory_store
from tests.unit.test_diagnosis import Model

CODEC = EncryptionCodec({"old": b"k" * 32})
ROTATED = EncryptionCodec({"new": b"n" * 32, "old": b"k" * 32})


async def test_an_artifact_is_read_back_by_whoever_sees_the_folder_and_by_nobody_else(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "artifacts"
    reference = await folder_store(folder).put_model(samples.packet())
    assert await folder_store(folder).put_model(samples.packet()) == reference, "the content is the name"
    assert await folder_store(folder).get_model(reference, EvidencePacket) == samples.packet()
    (file,) = folder.iterdir()
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)


async def test_artifacts_are_encrypted_with_the_keys_of_payloads_and_survive_a_new_key(
    tmp_path: Path,
) -> None:
    reference = await folder_store(tmp_path, CODEC).put(b"customers of acme")
    assert b"acme" not in (tmp_path / reference.sha256).read_bytes()
    assert await folder_store(tmp_path, ROTATED).get(reference) == b"customers of acme"
    with pytest.raises(ArtifactGone, match="RAILMEND_ENCRYPTION_KEYS"):
        await folder_store(tmp_path).get(reference)
    with pytest.raises(ArtifactGone, match="'old', which is not among"):
        await folder_store(tmp_path, EncryptionCodec({"new": b"n" * 32})).get(reference)


async def test_what_was_written_before_encryption_is_still_read(tmp_path: Path) -> None:
    reference = await folder_store(tmp_path).put_model(samples.packet())
    assert await folder_store(tmp_path, CODEC).get_model(reference, EvidencePacket) == samples.packet()


async def test_an_artifact_that_was_altered_or_is_of_another_kind_counts_as_gone(tmp_path: Path) -> None:
    artifacts = folder_store(tmp_path)
    reference = await artifacts.put_model(samples.packet())
    with pytest.raises(ArtifactGone, match="another version"):
        await artifacts.get_model(reference, Facts)
    (tmp_path / reference.sha256).write_bytes(b"{}")
    with pytest.raises(ArtifactGone, match="is not what was written"):
        await artifacts.get(reference)


async def test_a_folder_that_cannot_be_used_is_an_error_that_names_it_and_may_pass(tmp_path: Path) -> None:
    artifacts = folder_store(tmp_path / "artifacts")
    (tmp_path / "artifacts").rmdir()
    (tmp_path / "artifacts").write_text("")
    with pytest.raises(ArtifactError, match=f"{tmp_path}/artifacts cannot be used") as caught:
        await artifacts.put(b"x")
    assert caught.value.retryable
    assert not ArtifactGone().retryable
    with pytest.raises(ConfigurationError, match=f"RAILMEND_ARTIFACTS={tmp_path}/artifacts cannot be used"):
        clients.artifacts(Settings.model_validate({"railmend_artifacts": str(tmp_path / "artifacts")}))


async def test_old_artifacts_are_swept_written_again_ones_and_other_files_stay(tmp_path: Path) -> None:
    artifacts = folder_store(tmp_path)
    old, renewed, young = [await artifacts.put(text) for text in (b"old", b"renewed", b"young")]
    (tmp_path / "README").write_text("not ours")
    long_ago = time.time() - timedelta(days=121).total_seconds()
    for name in (old.sha256, renewed.sha256, "README"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    await artifacts.put(b"renewed")
    assert await remove_old_artifacts(artifacts, Policy()) == 1
    assert {file.name for file in tmp_path.iterdir()} == {renewed.sha256, young.sha256, "README"}


def test_artifacts_are_kept_for_as_long_as_the_longest_repair_that_is_allowed() -> None:
    follow_up = FollowUp(watch_days=90, retries=3)
    assert Policy(follow_up=follow_up, approval_days=30).longest_repair() > timedelta(days=30 + 4 * 90)


class Bucket:
    """A server that speaks as much of S3 as the store asks for."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.signed: list[str] = []
        self.down = False

    async def answer(self, request: Request) -> Response:
        self.signed.append(request.headers.get("authorization", ""))
        path = request.path_params["path"]
        if self.down:
            return Response("slow down", 503)
        if request.method == "PUT":
            self.objects[path] = await request.body()
            return Response(headers={"ETag": '"1"'})
        if path not in self.objects:
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404)
        headers = {"ETag": '"1"', "Last-Modified": "Tue, 24 Nov 2026 09:00:00 GMT"}
        return Response(self.objects[path], headers=headers)


@pytest.fixture
async def bucket() -> AsyncIterator[tuple[Bucket, ArtifactStore]]:
    one = Bucket()
    app = Starlette(routes=[Route("/shop/{path:path}", one.answer, methods=["PUT", "GET"])])
    with serving(app) as url:
        key = ("AKIATEST", SecretStr("secret"))
        yield one, bucket_store("s3://shop/railmend", endpoint=url, key=key, cipher=CODEC)


async def test_a_bucket_is_used_as_a_folder_is(bucket: tuple[Bucket, ArtifactStore]) -> None:
    server, artifacts = bucket
    reference = await artifacts.put_model(samples.packet())
    assert list(server.objects) == [f"railmend/{reference.sha256}"]
    assert b"memory rises" not in server.objects[f"railmend/{reference.sha256}"]
    assert await artifacts.get_model(reference, EvidencePacket) == samples.packet()
    assert all("Credential=AKIATEST/" in header for header in server.signed)
    server.objects.clear()
    with pytest.raises(ArtifactGone, match="is not in s3://shop/railmend"):
        await artifacts.get(reference)


async def test_a_bucket_that_is_down_is_asked_once_because_temporal_repeats(
    bucket: tuple[Bucket, ArtifactStore],
) -> None:
    server, artifacts = bucket
    server.down = True
    with pytest.raises(ArtifactError, match="s3://shop/railmend cannot be used"):
        await artifacts.put(b"x")
    assert len(server.signed) == 1


@pytest.mark.parametrize("wrong", ["gs://bucket", "s3://", "http://host/bucket"])
def test_an_address_of_another_kind_of_store_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="is a folder or s3://BUCKET/PREFIX"):
        Settings.model_validate({"railmend_artifacts": wrong})


LOST = ArtifactReference(sha256="0" * 64, size=1)


async def test_evidence_that_is_gone_makes_unclear_and_no_model_is_asked() -> None:
    texts = TextActivities(memory_store())
    question = DiagnosisRequest(incident=samples.incident(), packet=LOST)
    decided = (await texts.decide(question)).diagnosis
    assert decided is not None
    assert decided.verdict is Verdict.UNCLEAR
    assert "RAILMEND_ARTIFACTS" in decided.summary
    shown = await texts.describe_incident(samples.report())
    assert "The evidence that these causes cite is no longer stored." in shown
    settings = Model().settings()
    planning = PlanningActivities(settings, settings, None, memory_store())  # type: ignore[arg-type]
    asked = await planning.diagnose(question)
    assert (asked.verdict, asked.cost_usd) == (Verdict.UNCLEAR, 0.0)
    doubted = await planning.refute(ChallengeRequest(packet=LOST, diagnosis=samples.diagnosis()))
    assert (doubted.verdict, doubted.plan) == (Verdict.UNCLEAR, ())
    assert "The evidence could not be read again." in doubted.sceptic
