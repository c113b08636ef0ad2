"""JSON logs with workflow and activity ids; console form when a person watches."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from temporalio import activity, workflow

# As the SDK hands them over, and as they stand in a line.
WORKFLOW_IDS = {"workflow_id": "workflow_id", "run_id": "run_id", "workflow_type": "workflow"}
ACTIVITY_IDS = {
    "workflow_id": "workflow_id",
    "workflow_run_id": "run_id",
    "activity_type": "activity",
    "activity_id": "activity_id",
    "attempt": "attempt",
}


def flat_ids(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make the ids that the SDK's loggers put into dictionaries keys of the line; likewise what core adds."""
    for key, names in (("temporal_workflow", WORKFLOW_IDS), ("temporal_activity", ACTIVITY_IDS)):
        details = line.pop(key, None)
        if isinstance(details, dict):
            line.update({ours: details[theirs] for theirs, ours in names.items() if theirs in details})
    core = line.pop("temporal_log", None)
    if core is not None:
        line["core"] = core.target
    return line


def configure(level: str = "INFO", *, json: bool | None = None) -> None:
    """One handler on the root logger; `json=None` chooses by whether stderr is a terminal."""
    as_json = not sys.stderr.isatty() if json is None else json
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # Local variables stay out of tracebacks in either form: they hold keys. Rich would print them.
    tracebacks = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    )
    last: list[structlog.typing.Processor] = (
        [tracebacks, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(), flat_ids],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for client in ("httpx", "urllib3"):  # their lines name whole URLs
        logging.getLogger(client).setLevel(logging.WARNING)
    # The ids are keys of their own; in the message they would make every line another text.
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
