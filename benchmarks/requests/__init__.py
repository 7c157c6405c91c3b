"""Whole requests, stage by stage: the bytes of a JPEG to keypoints or to a label map, ours beside the same pipeline in
plain torch with OpenCV and NumPy, as the official repositories write it; and the decode of heatmaps alone.

`python -m benchmarks.requests --threads 2 --out benchmarks/results/requests`.
"""
