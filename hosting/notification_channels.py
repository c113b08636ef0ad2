"""The channels that the settings name, ready to deliver."""

import asyncio

import httpx

from activities.notifications import Channel
from hosting import clients
from railmend.contracts.notification import Notification
from railmend.notifying import delivery, text
from railmend.settings import Settings


def channels(settings: Settings, client: httpx.AsyncClient) -> list[Channel]:
    """Return the channels that are set; empty where nobody is to be notified."""
    configured = [_slack(settings, client), _webhook(settings, client), _github(settings)]
    return [channel for channel in configured if channel is not None]


def _link(settings: Settings, notification: Notification) -> str:
    return text.link(notification, settings.railmend_web_url, settings.temporal_namespace)


def _slack(settings: Settings, client: httpx.AsyncClient) -> Channel | None:
    url = settings.notify_slack_url
    if url is None:
        return None

    async def deliver(notification: Notification) -> None:
        body = text.format_slack(notification, _link(settings, notification))
        await delivery.post_webhook(client, "slack", url, body, message_id=notification.notification_id)

    # Slack shows a repeated message twice.
    return Channel("slack", deliver, repeatable=False)


def _webhook(settings: Settings, client: httpx.AsyncClient) -> Channel | None:
    url, secret = settings.notify_webhook_url, settings.notify_webhook_secret
    if url is None or secret is None:
        return None

    async def deliver(notification: Notification) -> None:
        body = text.format_webhook(notification, _link(settings, notification))
        await delivery.post_webhook(
            client, "webhook", url, body, message_id=notification.notification_id, secret=secret
        )

    return Channel("webhook", deliver, repeatable=True)


def _github(settings: Settings) -> Channel | None:
    repository = settings.notify_github_repository
    if repository is None:
        return None
    github = clients.github(settings)

    async def deliver(notification: Notification) -> None:
        await asyncio.to_thread(
            delivery.post_issue, github, repository, notification, _link(settings, notification)
        )

    return Channel("github", deliver, repeatable=True)
