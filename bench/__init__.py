"""Timings, side by side in one run: `make bench`. Tests assert none of them."""
