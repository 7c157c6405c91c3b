"""What a model takes in memory: each runner in a fresh process of its own.

`python -m benchmarks.memory --threads 2 --out benchmarks/results/memory`.
"""
