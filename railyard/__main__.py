"""`python -m railyard`: platform, API, forge and rehearsal model on loopback, in one process.

When everything answers, `railyard.json` in the state directory tells the addresses, ids and tokens; with
`--env` a file holds them as settings, for a first try of Railmend by hand.
"""

import argparse
import asyncio
import json
import secrets
import signal
import sys
from pathlib import Path
from typing import Any

from railyard.api import build_api
from railyard.forge import Forge, build
from railyard.forge.store import PERSON
from railyard.platform import Platform, ServiceSpec
from railyard.rehearsal import build_rehearsal
from railyard.seeding import seed
from railyard.serving import Serving

OWNER = "acme"
PROJECT_ID = "7b1d0c1e-2f4a-4a53-9c1e-0d5a3f6f7a01"
ENVIRONMENT_ID = "c0a4f6b2-8f1d-4f0e-a4f7-51f2d8e1b902"
# A minute instead of hours: traffic here is dense.
PACE = {"RAILMEND_WINDOW_SECONDS": "55", "RAILMEND_STEP_SECONDS": "1", "RAILMEND_SETTLE_SECONDS": "2"}
SERVICES = Path(__file__).parent / "services"


def write(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_suffix(".tmp")
    partial.write_text(json.dumps(content, indent=1))
    partial.chmod(0o600)
    partial.replace(path)


def write_env(path: Path, told: dict[str, str]) -> None:
    """Refuse to replace a file: it may hold real tokens."""
    values = {name: value for name, value in told.items() if name not in ("REHEARSAL_URL", "FORGE_URL")}
    values |= {
        "MODEL": "openai/rehearsal",
        "MODEL_BASE_URL": told["REHEARSAL_URL"],
        "MODEL_API_KEY": "rehearsal",
        **PACE,
    }
    path.touch(0o600, exist_ok=False)
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))


def specs(forge: Forge, services: Path, names: list[str] | None) -> list[ServiceSpec]:
    found = []
    for number, entry in enumerate(json.loads((services / "manifest.json").read_text())):
        if names and entry["name"] not in names:
            continue
        repository = f"{OWNER}/{entry['name']}"
        git_dir = forge.add_repo(repository)
        seed(git_dir, entry, services)
        found.append(
            ServiceSpec(
                service_id=f"5e21{number:04d}-0000-4000-8000-{number:012d}",
                name=entry["name"],
                repo=repository,
                git_dir=git_dir,
                branch="main",
                start_command=entry["start_command"],
                memory_limit_gb=entry["memory_limit_gb"],
                cpu_limit=entry["cpu_limit"],
                traffic=entry["traffic"],
            )
        )
    return found


async def main(options: argparse.Namespace) -> None:
    state: Path = options.state.absolute()
    state.mkdir(parents=True, exist_ok=True)
    railway_token, github_token = secrets.token_hex(18), f"ghp_{secrets.token_hex(18)}"
    account_token = secrets.token_hex(18)
    person_token = f"ghp_{secrets.token_hex(18)}"
    forge = Forge(state / "forge", {github_token: "railmend[bot]", person_token: PERSON})
    # As docs/getting-started.md asks for.
    writes = dict.fromkeys(("contents", "issues", "pull_requests"), "write")
    forge.limit(github_token, "fine-grained", **writes, actions="read", statuses="write")
    # Beside the settings, not among them: only the person who reviews, or watches all, needs them.
    write(state / "person.json", {"GITHUB_TOKEN": person_token, "RAILWAY_TOKEN": account_token})
    platform = Platform(state / "platform", specs(forge, options.services, options.service))
    api = build_api(
        platform,
        project_id=PROJECT_ID,
        project_name="acme",
        environment_id=ENVIRONMENT_ID,
        token=railway_token,
        account_token=account_token,
    )
    apps = {
        "forge": build(forge),
        "railway": api,
        "model": build_rehearsal(delay_seconds=options.model_delay),
    }
    running = {name: Serving(app) for name, app in apps.items()}
    for one in running.values():
        one.start()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await platform.start()
    address = {name: one.url for name, one in running.items()}
    told = {
        "RAILWAY_API_URL": address["railway"] + "/graphql/v2",
        "RAILWAY_TOKEN": railway_token,
        "RAILWAY_PROJECT_ID": PROJECT_ID,
        "RAILWAY_ENVIRONMENT_ID": ENVIRONMENT_ID,
        "GITHUB_API_URL": address["forge"] + "/api/v3",
        "GITHUB_TOKEN": github_token,
        "REHEARSAL_URL": address["model"] + "/v1",
        "FORGE_URL": address["forge"],
    }
    if options.env:
        write_env(options.env, told)
    write(state / "railyard.json", told)
    say_what_runs(options, told)
    await stop.wait()
    await platform.stop()
    for one in running.values():
        await one.stop()


def say_what_runs(options: argparse.Namespace, told: dict[str, str]) -> None:
    """Print what was started, where, and what to do next."""
    settings = options.env or options.state / "railyard.json"
    lines = [
        "A practice project of real services runs, with its own GitHub and model.",
        f"  Repositories: {told['FORGE_URL']}",
        f"  Railway API:  {told['RAILWAY_API_URL']}",
        f"  Settings:     {settings}",
        *(["Next, with these settings as .env: .venv/bin/python worker.py --dev"] if options.env else []),
        "Stop with Ctrl-C.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m railyard", description=__doc__)
    parser.add_argument(
        "--state", type=Path, required=True, help="directory for repositories and deployments"
    )
    parser.add_argument(
        "--services", type=Path, default=SERVICES, help="folder with a manifest.json and them"
    )
    parser.add_argument("--service", action="append", help="run only this service (repeatable)")
    parser.add_argument("--model-delay", type=float, default=0.0, help="seconds the rehearsal model thinks")
    parser.add_argument("--env", type=Path, help="write the settings for Railmend into this new file")
    options = parser.parse_args()
    if options.env and options.env.exists():
        parser.error(f"{options.env} is there already: move it away first.")
    return options


if __name__ == "__main__":
    asyncio.run(main(arguments()))
