"""Models of the comments posted after a pull request is merged."""

from datetime import datetime

from railmend.contracts.base import Contract
from railmend.contracts.measurement import MeasurementResult, MeasurementStatus
from railmend.contracts.review import Merge


class MeasurementComment(Contract):
    """`again_at`: when it is measured once more. `retried`: a second fix is tried. `revert`: its address.
    `action`: the workflow that offers a rollback. `obstacle`: why there is no revert.
    `no_other_fix`: a second fix was tried, and why it was not published. `proof`: what it came to before the
    merge; empty where it was of other commits than were merged, or none was made.
    """

    repository: str
    number: int
    status: MeasurementStatus
    measurements: tuple[MeasurementResult, ...]
    merge: Merge
    edited: bool
    again_at: datetime | None = None
    retried: bool = False
    revert: str = ""
    action: str = ""
    obstacle: str = ""
    no_other_fix: str = ""
    proof: str = ""


class NotDeployedComment(Contract):
    """`what`: in the words of a sentence about the deployment, such as "failed".

    `waits_until`: how long a later deployment that contains the merge is waited for; None: it is not.
    """

    repository: str
    number: int
    service_name: str
    what: str
    detail: str = ""
    deployment_id: str | None = None
    waits_until: datetime | None = None
