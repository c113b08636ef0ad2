"""OpenCode's own configuration: one provider (the gateway), one agent, permissions that guide it."""

import json
import re
from pathlib import Path
from typing import Any

from railmend.coding.metering.dialects import Dialect
from railmend.coding.metering.meter import ModelEndpoint
from railmend.coding.sandbox import foreign_files

VERSION = "1.18.33"
AGENT = "railmend"
CONFIG = "config/opencode"
MODELS = f"{CONFIG}/models.json"
PROVIDER = "railmend"
# What OpenCode's binary holds of the AI SDK, so that nothing is installed.
PACKAGES = {
    Dialect.CHAT: "@ai-sdk/openai-compatible",
    Dialect.OPENROUTER: "@openrouter/ai-sdk-provider",
    Dialect.RESPONSES: "@ai-sdk/openai",
    Dialect.MESSAGES: "@ai-sdk/anthropic",
    Dialect.GEMINI: "@ai-sdk/google",
}
AGENT_PROMPT = (
    "You are a careful software engineer. Change as little as needed, and say honestly what you did."
)
# Nothing is left on "ask": nobody is there to answer. This guides the agent; it is no boundary.
PERMISSIONS: dict[str, Any] = {
    "*": "deny",
    "read": {"*": "allow", "*.env": "deny", "*.env.*": "deny", "*.env.example": "allow"},
    "edit": "allow",
    "glob": "allow",
    "grep": "allow",
    "list": "allow",
    "todowrite": "allow",
    "bash": {"*": "allow", "*git push*": "deny"},
    # OpenCode tells its models to keep temporary files there.
    "external_directory": {"*": "deny", "/tmp/opencode/*": "allow"},  # noqa: S108
    **dict.fromkeys(("webfetch", "websearch", "question", "task", "skill", "doom_loop"), "deny"),
}
# Of what OpenCode would do by itself: look at the network, and run what a repository tells it to.
DISABLED = (
    *("MODELS_FETCH", "AUTOUPDATE", "LSP_DOWNLOAD", "SHARE", "PROJECT_CONFIG", "CLAUDE_CODE"),
    *("DEFAULT_PLUGINS", "EXTERNAL_SKILLS"),
)


# What OpenCode keeps of a session, in `data/opencode`. All else in its home is configuration, plugins,
# programs or caches, which it would run or believe.
SESSION_FILE = re.compile(r"opencode[\w.-]*\.db(?:-wal|-shm)?|storage|snapshot|tool-output")


def keep_sessions(home: Path) -> None:
    """Remove everything but the sessions from a home, which foreign code may have written to."""
    for folders, kept in (
        ((), re.compile("data")),
        (("data",), re.compile("opencode")),
        (("data", "opencode"), SESSION_FILE),
    ):
        for name in foreign_files.names(home, *folders):
            if not kept.fullmatch(name):
                foreign_files.remove(home, "/".join((*folders, name)))


def provision(home: Path) -> None:
    """Make the home as OpenCode may find it at a start: its sessions, and the configuration that we wrote.

    Without the first two files it installs a plugin package over the network at first use. Without the third
    it reads its catalogue of all models of all providers, of which it may use none: 1.4 s of processor time.
    """
    keep_sessions(home)
    needs = {"dependencies": {"@opencode-ai/plugin": VERSION}}
    lock = {"name": "x", "lockfileVersion": 3, "requires": True, "packages": {"": needs}}
    foreign_files.make_folder(home, f"{CONFIG}/node_modules")
    for name, content in (
        (f"{CONFIG}/package.json", needs),
        (f"{CONFIG}/package-lock.json", lock),
        (MODELS, {}),
    ):
        foreign_files.write(home, name, (json.dumps(content).encode(),))


def environment(
    home: Path, path: str, password: str, model: ModelEndpoint, base_url: str, key: str
) -> dict[str, str]:
    """All that the server's process gets. `base_url` and `key` are the model gateway's."""
    return {
        "PATH": path,
        "HOME": str(home),
        **{f"XDG_{kind.upper()}_HOME": str(home / kind) for kind in ("config", "data", "state", "cache")},
        **{f"OPENCODE_DISABLE_{flag}": "1" for flag in DISABLED},
        "OPENCODE_MODELS_PATH": str(home / MODELS),
        "OPENCODE_SERVER_PASSWORD": password,
        "OPENCODE_CONFIG_CONTENT": json.dumps(_config(model, base_url)),
        "MODEL_KEY": key,
        "GIT_EDITOR": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",  # tests that the agent runs leave nothing behind
    }


def _config(model: ModelEndpoint, base_url: str) -> dict[str, Any]:
    name = f"{PROVIDER}/{model.model_id}"
    return {
        "autoupdate": False,
        "share": "disabled",
        "snapshot": False,
        "model": name,
        "small_model": name,
        "enabled_providers": [PROVIDER],
        "default_agent": AGENT,
        "provider": {
            PROVIDER: {
                "npm": PACKAGES[model.dialect],
                "name": "Railmend",
                # No `timeout`: it would kill long good answers. These two end a hanging one.
                "options": {
                    "baseURL": base_url,
                    "apiKey": "{env:MODEL_KEY}",
                    "headerTimeout": 120_000,
                    "chunkTimeout": 120_000,
                },
                "models": {
                    model.model_id: {
                        "name": model.model_id,
                        "tool_call": True,
                        "reasoning": model.reasoning,
                        "limit": {"context": model.context_limit, "output": model.output_limit},
                        "cost": {"input": model.input_cost, "output": model.output_cost},
                    }
                },
            }
        },
        "agent": {AGENT: {"mode": "primary", "description": "fixes code", "prompt": AGENT_PROMPT}},
        "permission": PERMISSIONS,
    }
