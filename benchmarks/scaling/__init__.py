"""How the time of an image depends on the batch and the size, to see a cliff if there is one; what `optimize` takes.

`python -m benchmarks.scaling --threads 2 --out benchmarks/results/scaling`.
"""
