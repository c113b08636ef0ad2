"""From an evidence packet to a verdict: rules first, model second."""
