"""Temporal's runtime of this process: its metrics endpoint, and its own log lines in ours."""

import logging
import os

from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

from hosting.http_server import split
from hosting.metrics import BUCKETS
from railmend.hosting_settings import LogLevel
from railmend.settings import ConfigurationError, Settings
from workflows.shared.plugin import Interceptor

# Core knows TRACE to ERROR; below WARN it tells of every poll, which only a search for a bug wants.
CORE_LEVELS: dict[LogLevel, str] = {"DEBUG": "DEBUG", "INFO": "WARN", "WARNING": "WARN", "ERROR": "ERROR"}


def runtime(settings: Settings) -> Runtime:
    """One per process; metrics are served where RAILMEND_METRICS_ADDRESS says, by Temporal's core."""
    core = CORE_LEVELS[settings.railmend_log_level]
    forwarding = LogForwardingConfig(
        logger=logging.getLogger("temporalio.core"),
        append_target_to_name=False,
        prepend_target_on_message=False,
    )
    telemetry = TelemetryConfig(
        logging=LoggingConfig(
            filter=TelemetryFilter(core_level=core, other_level="ERROR"), forwarding=forwarding
        ),
        metrics=_prometheus(settings.railmend_metrics_address),
    )
    try:
        return Runtime(telemetry=telemetry)
    except (RuntimeError, ValueError) as error:
        raise ConfigurationError(
            f"RAILMEND_METRICS_ADDRESS={settings.railmend_metrics_address}: {error}. Name a free port and an "
            "IP address of this machine, as 0.0.0.0:9090."
        ) from error


def _prometheus(address: str | None) -> PrometheusConfig | None:
    """Names as Prometheus recommends: seconds, and counters that end in `_total`."""
    if address is None:
        return None
    host, port = split(address)
    return PrometheusConfig(
        bind_address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides=BUCKETS,
    )


def tracing(settings: Settings) -> list[Interceptor]:
    """With RAILMEND_TRACING: spans to where OpenTelemetry's own OTEL_* variables say."""
    if not settings.railmend_tracing:
        return []
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from temporalio.contrib.opentelemetry import TracingInterceptor
    except ImportError as error:
        raise ConfigurationError(
            "RAILMEND_TRACING needs OpenTelemetry: pip install 'railmend[tracing]', or turn it off."
        ) from error
    # What is given here would win over OTEL_SERVICE_NAME.
    own = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "railmend"}
    provider = TracerProvider(resource=Resource.create(own))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return [TracingInterceptor(provider.get_tracer("railmend"), always_create_workflow_spans=True)]
