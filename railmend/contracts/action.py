"""Models of actions on a running service, which a person approves."""

from datetime import datetime

from pydantic import Field

from railmend.contracts.base import Contract, OpenEnum


class ActionKind(OpenEnum):
    ROLLBACK = "rollback"
    RESTART = "restart"


class ActionRequest(Contract):
    """`deployment_id`: what is rolled back to or restarted. `reason`: shown to the person.

    The workflow ID is made of service and deployment, so one action is offered once, however often it is
    found to be needed. `notify`: people are sent a message when it is offered.
    """

    kind: ActionKind
    project_id: str = ""
    environment_id: str
    service_id: str
    service_name: str
    deployment_id: str
    reason: str = Field(max_length=500)
    wait_days: int = Field(7, ge=1, le=30)
    notify: bool = False

    @property
    def workflow_id(self) -> str:
        return f"action/{self.service_id}/{self.deployment_id}"


class ActionOrder(Contract):
    """An approved action. What happened to the service since `approved_at` tells whether it is done."""

    request: ActionRequest
    approved_at: datetime


class ActionState(OpenEnum):
    DONE = "done"
    REJECTED = "rejected"
    EXPIRED = "expired"
    FAILED = "failed"


class ActionResult(Contract):
    """The audit: what came of it, who decided, when and why. `deployment_id`: the new one, where known."""

    state: ActionState
    detail: str = ""
    by: str = ""
    at: datetime | None = None
    deployment_id: str | None = None


class RollbackQuestion(Contract):
    """Is there an earlier deployment that `deployment_id` can be rolled back to?"""

    project_id: str
    environment_id: str
    service_id: str
    service_name: str
    deployment_id: str | None  # the one to get away from; None: the newest
    reason: str = Field(max_length=500)


class RollbackOffer(Contract):
    """`request` None: there is nothing to go back to."""

    request: ActionRequest | None = None
