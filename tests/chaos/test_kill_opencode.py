"""The coding agent's server is killed."""

import pytest

from tests.chaos.ending import test_one_pull_request_whatever_dies as test_one_pull_request_whatever_dies
from tests.chaos.points import Victim

pytestmark = [pytest.mark.integration, pytest.mark.chaos]
VICTIMS = (Victim.OPENCODE,)
