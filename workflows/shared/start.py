"""What a client names when it starts a workflow. Apart: `policies` brings all of `temporalio.workflow`."""

from datetime import timedelta

# All workflows, and the activities that ask Railway, GitHub, the ledger and message channels.
ORCHESTRATION_QUEUE = "railmend"
# Served by the processes that may import a model library; the others stay small.
PLANNING_QUEUE = "railmend-planning"
# Any coding worker may prepare a workspace; its machine serves the rest from a queue of its own.
CODING_QUEUE = "railmend-coding"
# A scan that hangs is ended, because its schedule starts no other beside it. The slowest that gets on: 60
# candidates in 6 rounds of investigations, at half an hour each.
SCAN_TIMEOUT = timedelta(hours=4)
