"""One service in trouble: evidence, then a diagnosis."""
