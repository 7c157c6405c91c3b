"""Speed, memory and accuracy of hrnet_fast beside what a user would pick instead.

`pytest benchmarks` is the main job: W32 pose 256x192, in under five minutes on two free cores; more by its options:
`pytest benchmarks --profile full --out benchmarks/results`, or
`pytest benchmarks --models "hrnet_w18.*" --batch 1,8 --dtype float32 --rivals "plain*,openvino" --threads 2`.
`pytest benchmarks --profile cpu --resume --budget 200 --threads 2 --out benchmarks/results` measures all that the CPU
engine is held to, in parts of under ten minutes: the same command goes on until no case remains.
`python -m benchmarks.levels MODEL` says where the time goes, `benchmarks.scaling` how it grows with batch and size,
`benchmarks.memory` what a model takes, and `benchmarks.requests` what lies around the network; with
`--out benchmarks/results/levels` and so on the report shows them. `python -m benchmarks.gpu` measures a GPU.
`HRNET_FAST_CPU_ISA=avx2` before any of them holds ours and the rivals to AVX2, as on a CPU that has no AVX-512.
`python -m benchmarks.report --write` prints and draws benchmarks/results, and writes the tables of the docs.

From `pytest benchmarks` to a number in a table:

    conftest.py, session.py    the options; cases.py says which networks and inputs, runners/ what runs them
    compare.py                 of one case: the float64 answer, every runner checked, then timed in turns
    results.py                 the rows, in a JSON file
    report.py                  reads it; run_report.py makes the tables and the picture, method.py and headline.py what
                               stands above them and in README.md

The studies (levels, memory, requests, scaling) have a `measure.py` and a `report.py` each; studies.py runs and shows
them, and sheet.py keeps their rows.
"""

from benchmarks.isa import hold_libraries

hold_libraries()
