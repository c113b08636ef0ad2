"""The channels that the settings name, ready to deliver."""

import asyncio
import logging
from typing import TYPE_CHECKING

import httpx

from activities.notifications import Channel
from hosting import clients
from railmend.contracts.notification import Notification
from railmend.notifying import delivery, text
from railmend.settings import ConfigurationError, Settings

if TYPE_CHECKING:
    from apprise import NotifyBase


def channels(settings: Settings, client: httpx.AsyncClient) -> list[Channel]:
    """Return the channels that are set; empty where nobody is to be notified."""
    ours = [_slack(settings, client), _webhook(settings, client), _email(settings), _github(settings)]
    return [*(channel for channel in ours if channel is not None), *_apprise(settings)]


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


def _email(settings: Settings) -> Channel | None:
    server, sender = settings.notify_smtp_url, settings.notify_email_from
    if server is None or sender is None:
        return None
    receivers = settings.notify_email_to

    async def deliver(notification: Notification) -> None:
        message = delivery.email_of(notification, _link(settings, notification), sender, receivers)
        await asyncio.to_thread(delivery.post_email, server, sender, receivers, message)

    return Channel("email", deliver, repeatable=False)


def _apprise(settings: Settings) -> list[Channel]:
    """Return a channel for each address: one that fails is tried again alone.

    Raise `ConfigurationError` for one that Apprise does not understand.
    """
    if settings.notify_urls is None:
        return []
    from apprise import Apprise  # it brings hundreds of modules, which only those need who set an address

    # It logs addresses, which hold tokens.
    logging.getLogger("apprise").disabled = True
    channels = []
    for number, url in enumerate(settings.notify_urls.get_secret_value().split(), 1):
        service = Apprise.instantiate(url)
        if service is None:
            raise ConfigurationError(
                f"NOTIFY_URLS: address {number} is none that Apprise understands. How each service's is "
                "written: https://appriseit.com/services"
            )
        channels.append(_service(settings, f"apprise-{number}", service))
    return channels


def _service(settings: Settings, name: str, service: "NotifyBase") -> Channel:
    async def deliver(notification: Notification) -> None:
        title, body = (
            text.format_headline(notification),
            text.format_plain(notification, _link(settings, notification)),
        )
        sent = await asyncio.to_thread(service.notify, body=str(body), title=str(title), body_format="text")
        if not sent:  # it does not say why
            raise delivery.DeliveryError(f"{name}: not delivered.", retryable=True)

    return Channel(name, deliver, repeatable=False)


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
