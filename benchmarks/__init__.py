"""What the pipeline costs: `python -m benchmarks [NAME…]`, the same as `make bench`. See docs/benchmarks.md."""
