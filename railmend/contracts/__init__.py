"""Models that cross a border (workflow, activity, process), by stage: scan, incident, repair, ledger."""
