"""Pictures in, results out: each task by the protocol that gave the papers' tables.

pose, segmentation, landmark, classification, bottom_up: one package a task, which exports Estimator, draw, to_json,
DATASETS and evaluate. images, network, topdown, stages, evaluation, video: what they share.
"""
