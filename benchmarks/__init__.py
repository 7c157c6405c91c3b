"""Speed, memory and accuracy of hrnet_fast beside what a user would pick instead.

    pytest benchmarks                                   the main job: W32 pose 256x192, in under five minutes on two cores
    pytest benchmarks --profile full --out benchmarks/results
    pytest benchmarks --models "hrnet_w18.*" --batch 1,8 --dtype float32 --rivals "plain*,openvino" --threads 2
    python -m benchmarks.report --readme                tables and plots of benchmarks/results, and the README's table
"""
