"""What the pipeline costs: `make bench`, or `python -m benchmarks NAME…`. See docs/benchmarks.md."""
