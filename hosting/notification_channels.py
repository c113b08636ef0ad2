"""The channels that the settings name, ready to deliver."""

import asyncio

import httpx

from activities.notifications import Channel
from hosting import clients
from railmend.contracts.notification import Notification
from railmend.notifying import issues, text, webhooks
from railmend.settings import Settings


def channels(settings: Settings, client: httpx.AsyncClient) -> list[Channel]:
    """Empty where nobody wants to be told."""
    found = [_slack(settings, client), _webhook(settings, client), _github(settings)]
    return [channel for channel in found if channel is not None]


def _link(settings: Settings, notice: Notification) -> str:
    return text.link(notice, settings.railmend_web_url, settings.temporal_namespace)


def _slack(settings: Settings, client: httpx.AsyncClient) -> Channel | None:
    url = settings.notify_slack_url
    if url is None:
        return None

    async def deliver(notice: Notification) -> None:
        body = text.slack(notice, _link(settings, notice))
        await webhooks.post(client, "slack", url, body, message_id=notice.notification_id)

    # Slack shows a repeated message twice.
    return Channel("slack", deliver, repeatable=False)


def _webhook(settings: Settings, client: httpx.AsyncClient) -> Channel | None:
    url, secret = settings.notify_webhook_url, settings.notify_webhook_secret
    if url is None or secret is None:
        return None

    async def deliver(notice: Notification) -> None:
        body = text.generic(notice, _link(settings, notice))
        await webhooks.post(client, "webhook", url, body, message_id=notice.notification_id, secret=secret)

    return Channel("webhook", deliver, repeatable=True)


def _github(settings: Settings) -> Channel | None:
    repository = settings.notify_github_repository
    if repository is None:
        return None
    github = clients.github(settings)

    async def deliver(notice: Notification) -> None:
        await asyncio.to_thread(issues.tell, github, repository, notice, _link(settings, notice))

    return Channel("github", deliver, repeatable=True)
