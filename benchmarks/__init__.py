"""Speed, memory and accuracy of hrnet_fast beside what a user would pick instead: `pytest benchmarks/`."""
