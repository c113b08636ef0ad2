"""Benchmarks: `make bench`. No test asserts their timings."""
