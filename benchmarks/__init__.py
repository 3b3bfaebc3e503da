"""Benchmarks of the pipeline: `make bench`, or `python -m benchmarks NAME…`. See docs/benchmarks.md."""
