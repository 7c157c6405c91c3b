"""Where a forward spends its time on a CPU: each level beside the floor of the kernels that play it.

`python -m benchmarks.levels hrnet_w32.pose_coco_256x192 --threads 2 --out benchmarks/results/levels`.
"""
