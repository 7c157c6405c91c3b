"""What a reader sees: the terminal's table, the blocks of the documents and the plot."""

from __future__ import annotations

import dataclasses

import pytest

from benchmarks.headline import decisive, draw_headline, headlines
from benchmarks.memory.measure import Row
from benchmarks.method import method
from benchmarks.report import BEGIN, END, main, markdown_block, replace_block
from benchmarks.requests.report import OURS, PLAIN
from benchmarks.requests.report import Row as Request
from benchmarks.results import write_run
from benchmarks.run_report import run_parts, speed_of_ours, terminal_table
from benchmarks.scaling.measure import Point
from benchmarks.sheet import Made, Sheet, write_sheet
from benchmarks.sources import ROOT
from benchmarks.text import markdown_lines


def test_table_fits_a_terminal_and_sorts_by_speed(run):
    lines = terminal_table(run).splitlines()
    assert max(map(len, lines)) <= 100
    timed = [line.split()[0] for line in lines if line.endswith("x")]
    assert timed == ["OpenVINO", "hrnet_fast", "plain", "OpenVINO", "hrnet_fast"]


def test_table_tells_ratio_error_and_what_did_not_run(run):
    text = terminal_table(run)
    (plain,) = (line for line in text.splitlines() if line.startswith("  plain  "))
    assert plain.split() == ["plain", "26.2", "27.3", "2.50x", "faster", "123", "MB", "1.2", "s", "2.0e-07", "1.33x"]
    assert "1.25x slower" in text
    assert "torch.compile: not run: left out of the short profile" in text
    assert "plain: wrong: the worst element is [0]" in text
    assert "OpenVINO !" in text and "OpenVINO: outside tolerance: relative L2 error 1e-01" in text


def test_table_names_machine_versions_and_commit(run):
    text = terminal_table(run)
    assert "Intel(R) Xeon(R) Processor (2 cores; avx2), 2 threads" in text
    assert "torch 2.15.0+cpu" in text and "commit 0123456789" in text


@pytest.mark.parametrize("key", ["other_load", "load_before"])
@pytest.mark.parametrize(("load", "warns"), [(None, False), (0.2, False), (1.4, True)])
def test_table_warns_of_a_busy_machine(run, key, load, warns):
    rows = tuple(dataclasses.replace(row, **{key: load}) for row in run.rows)
    text = " ".join(terminal_table(dataclasses.replace(run, rows=rows)).split())
    assert ("Other programs kept 1.4 cores busy: do not rely on the times." in text) is warns


def test_without_our_time_there_is_no_ratio(make_row, make_run):
    run = make_run(make_row("hrnet_fast", "wrong", reason="bad", error=1.0), make_row("plain"))
    assert "faster" not in terminal_table(run)
    assert speed_of_ours(run.rows[1], None) == ""


def cells_of(block: str) -> list[list[str]]:
    """Of all tables, without what separates head and body."""
    lines = [line for line in block.splitlines() if line.startswith("|") and not line.startswith("|-")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_block_has_a_table_for_each_dtype_and_batch_and_a_line_for_each_runner(run):
    block = markdown_block(run_parts([run], ["benchmarks/results/run.png"]))
    assert cells_of(block) == [
        ["median ms", "w32.pose_coco"], ["input", "256x192"], ["hrnet_fast", "**10.5**"], ["plain", "26.2 (2.50x)"],
        ["OpenVINO", "8.40 (0.80x)"], ["error, hrnet_fast", "2.0e-07"], ["error, plain torch", "1.5e-07"],
        ["median ms", "w32.pose_coco"], ["input", "256x192"], ["hrnet_fast", "**0.525**"],
        ["OpenVINO", "0.263 (0.50x) (!)"], ["error, hrnet_fast", "2.0e-07"], ["error, plain torch", "1.5e-07"],
    ]  # fmt: skip
    assert "**float32, one image a call**" in block and "**bfloat16, one image a call**" in block
    assert "- [Intel Xeon, 2 threads](#intel-xeon-2-threads)\n" in block
    assert "](benchmarks/results/run.png)" in block
    assert "of 9 calls or more" in block
    assert "\n`pytest benchmarks --profile short --threads 2`\n" in block and "commit 0123456789" in block
    assert "- torch.compile, float32: not run: left out" in block


def test_runs_of_one_machine_are_linked_one_by_one(run):
    links = run_parts([run, run], [None, None])[1]
    assert links.splitlines() == [f"- [Intel Xeon, 2 threads](#intel-xeon-2-threads{end})" for end in ("", "-1")]


def test_lines_of_the_block_fit_a_terminal(run):
    block = markdown_block(run_parts([run], ["benchmarks/results/run.png"]))
    wide = [line for line in block.splitlines() if len(line) > 100]
    assert wide == []
    told = markdown_lines(f"| {'a ' * 60}|\n- {'bc ' * 50}\n`{'d ' * 60}`").splitlines()
    assert [len(line) > 100 for line in told] == [True, False, False, True] and told[2].startswith("  bc")


@pytest.mark.parametrize("name", ["README.md", "docs/speed.md"])
def test_tables_of_the_documents_fit_a_terminal(name):
    block = (ROOT / name).read_text().partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in block.splitlines() if line[:1] not in ("`", "!")]
    assert len(lines) > 20 and max(map(len, lines)) <= 100


def test_many_networks_are_several_tables(make_row, make_run):
    cases = [{"model": f"hrnet_w18.features{n}", "size": "64x64"} for n in range(5)]
    block = markdown_block(run_parts([make_run(*(make_row("hrnet_fast", case=case) for case in cases))], [None]))
    heads = [line[1:] for line in cells_of(block) if line[0] == "median ms"]
    assert heads == [["w18.features0", "w18.features1", "w18.features2", "w18.features3"], ["w18.features4"]]


def test_block_tells_the_error_without_winograd_and_what_a_rival_ran(make_row, make_run):
    run = make_run(
        make_row("hrnet_fast", error=3e-7), make_row("hrnet_fast exact", p50_ms=15, error=1e-7),
        make_row("OpenVINO", dtype="bfloat16", ran="255 brgconv_avx512_bf16 in bf16, 2 jit_1x1 in bf16"),
    )  # fmt: skip
    block = markdown_block(run_parts([run], [None]))
    lines = cells_of(block)
    assert ["hrnet_fast exact", "15.8 (1.50x)"] in lines
    errors = [
        ["error, hrnet_fast", "3.0e-07"],
        ["error, hrnet_fast exact", "1.0e-07"],
        ["error, plain torch", "1.5e-07"],
    ]
    assert lines[4:7] == errors
    assert "- OpenVINO, bfloat16: it ran brgconv_avx512_bf16 in bf16, jit_1x1 in bf16." in block
    assert "OpenVINO ran: 255 brgconv_avx512_bf16 in bf16" in terminal_table(run)


def test_rivals_that_use_winograd_are_compared_with_ours_that_does(make_row, make_run):
    times = {"hrnet_fast": 10, "hrnet_fast exact": 20, "OpenVINO": 30, "MNN": 25, "ncnn": 15}
    text = "\n".join(method([make_run(*(make_row(name, p50_ms=ms) for name, ms in times.items()))]))
    assert "(`hrnet_fast exact`) is 1.50 to 1.50 times as fast as the fastest rival that does without it, too" in text
    assert "hrnet_fast in float32 is 1.50 to 1.50 times as fast as the faster of MNN and ncnn" in text
    times = {"hrnet_fast": 10, "ncnn": 5}
    rows = [make_row(name, p50_ms=ms, dtype="bfloat16") for name, ms in times.items()]
    assert "Winograd" not in "\n".join(method([make_run(*rows)]))


def test_block_has_a_line_for_every_runner_of_any_network(make_row, make_run):
    own, plain, exact = (make_row(name) for name in ("hrnet_fast", "plain", "hrnet_fast exact"))
    other = {"model": "hrnet_w18.cls_in1k", "size": "224x224"}
    others = (dataclasses.replace(row, case=other) for row in (own, exact, plain))
    lines = cells_of(markdown_block(run_parts([make_run(own, plain, *others)], [None])))
    assert [line[0] for line in lines[2:5]] == ["hrnet_fast", "hrnet_fast exact", "plain"]
    assert lines[3] == ["hrnet_fast exact", "-", "10.5 (1.00x)"] and lines[6][1:] == ["-", "2.0e-07"]


def test_block_replaces_only_what_is_between_the_marks():
    text = f"# Title\n{BEGIN}\nold\n{END}\nrest\n"
    once = replace_block(text, f"{BEGIN}\nnew\n{END}")
    assert once == f"# Title\n{BEGIN}\nnew\n{END}\nrest\n"
    assert replace_block(once, f"{BEGIN}\nnew\n{END}") == once


@pytest.mark.parametrize(
    "text", ["", BEGIN, f"{END}\n{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"], ids=["none", "no-end", "swapped", "twice"]
)
def test_missing_marks_are_refused(text):
    with pytest.raises(ValueError, match="speed:"):
        replace_block(text, "new")


def test_command_prints_draws_and_rewrites(run, documents, capsys):
    path = write_run(run, documents)
    assert main([str(path), "--write", str(documents)]) == 0
    assert "hrnet_w32.pose_coco_256x192, 256x192, batch 1, bfloat16" in capsys.readouterr().out
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    for name, found in (
        ("README.md", "| hrnet_w32.pose_coco, 256x192 "),
        ("docs/speed.md", f"](../{path.stem}.png)"),
    ):
        text = (documents / name).read_text()
        assert text.startswith("above\n") and text.endswith("below\n") and found in text
    assert "](docs/pictures/speed.png)" in (documents / "README.md").read_text()
    assert (documents / "docs/pictures/speed.png").read_bytes().startswith(b"\x89PNG")


def test_some_results_do_not_replace_the_checkouts_tables(run, documents, monkeypatch, capsys):
    monkeypatch.setattr("benchmarks.report.ROOT", documents)
    with pytest.raises(SystemExit):
        main([str(write_run(run, documents)), "--write", f"{documents}/docs/.."])
    assert "leave out FILE" in capsys.readouterr().err
    assert (documents / "docs/speed.md").read_text() == f"above\n{BEGIN}\n{END}\nbelow\n"


@pytest.mark.parametrize("name", ["README.md", "docs/speed.md"])
@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "does not exist"), ("no marks", "exactly once, not 0 times")],
    ids=["absent", "unmarked"],
)
def test_document_that_cannot_be_rewritten_leaves_all_alone(run, documents, capsys, name, content, message):
    path, document = write_run(run, documents), documents / name
    before = {other: (documents / other).read_text() for other in ("README.md", "docs/speed.md") if other != name}
    document.unlink() if content is None else document.write_text(content)
    assert main([str(path), "--write", str(documents)]) == 1
    assert message in capsys.readouterr().err
    assert content is None or document.read_text() == content
    assert all((documents / other).read_text() == text for other, text in before.items())


def test_headline_is_one_image_by_the_most_threads(make_row, make_run):
    rows = [
        make_row("hrnet_fast", error=1e-7, error_torch=2e-7),
        make_row("OpenVINO", p50_ms=20),
        make_row("ONNX Runtime", p50_ms=15),
        make_row("plain", p50_ms=30, error=2e-7),
        make_row("plain channels_last", p50_ms=40, error=1e-7),
        make_row("hrnet_fast exact", p50_ms=12),
    ]
    many = [dataclasses.replace(row, batch=16) for row in rows]
    half = [dataclasses.replace(row, dtype="float16") for row in rows]
    run = make_run(*rows, *many, *half)
    alone = dataclasses.replace(run, threads=1)
    table, told, identified = headlines([alone, run], [])
    assert cells_of(table) == [
        ["ms an image (fastest rival, torch)", "float32"], ["**Intel Xeon**", ""],
        ["hrnet_w32.pose_coco, 256x192", "**10.5** (1.50x, 3.00x)"],
    ]  # fmt: skip
    assert "0.50 to 0.50 times those of torch in its less accurate format" in told
    assert "1.00 to 1.00 times those of torch in its more accurate format" in told
    assert identified.startswith(
        "- Intel Xeon: 2 threads; rivals: OpenVINO, ONNX Runtime; torch 2.15.0+cpu; measured at"
    )
    assert "\n" not in identified
    assert headlines([make_run(*many)], []) == []


def test_headline_has_lines_for_each_processor_and_a_column_for_each_dtype(make_row, make_run):
    other = {"cpu": "AMD EPYC, Zen 4", "cores": 2, "isa": ["avx512f"], "memory_gib": 8}
    one = make_run(make_row("hrnet_fast"), make_row("plain", p50_ms=20))
    two = make_run(make_row("hrnet_fast", dtype="bfloat16", p50_ms=5), machine=other)
    table, _, identified = headlines([one, two], [])
    assert cells_of(table) == [
        ["ms an image (fastest rival, torch)", "float32", "bfloat16"],
        ["**Intel Xeon**", "", ""], ["hrnet_w32.pose_coco, 256x192", "**10.5** (-, 2.00x)", "-"],
        ["**AMD EPYC, Zen 4**", "", ""], ["hrnet_w32.pose_coco, 256x192", "-", "**5.25** (-, -)"],
    ]  # fmt: skip
    assert identified.count("\n") == 1


def test_headline_has_one_column_for_a_processor_and_none_for_a_gpu(make_row, make_run):
    newest = make_run(make_row("hrnet_fast"), profile="cpu")
    older = make_run(make_row("hrnet_fast", p50_ms=20), profile="cpu", versions={**newest.versions, "torch": "2.9.1"})
    short = make_run(make_row("hrnet_fast", p50_ms=30))
    gpu = make_run(make_row("hrnet_fast", p50_ms=1), device="NVIDIA H200")
    for runs in ([older, gpu, newest, short], [short, newest, older, gpu]):
        assert decisive(runs) == [newest]


def test_method_says_what_winograd_gains_and_what_building_takes(make_row, make_run):
    rows = [
        make_row("hrnet_fast"), make_row("hrnet_fast exact", p50_ms=20), make_row("plain", p50_ms=40),
        make_row("OpenVINO", p50_ms=15, build_s=20.0), make_row("ONNX Runtime", p50_ms=30, build_s=10.0),
    ]  # fmt: skip
    slower = [dataclasses.replace(row, batch=16, p50_us=2 * row.p50_us, build_s=99.0) for row in rows[:-1]]
    alone = [dataclasses.replace(row, dtype="bfloat16", build_s=99.0) for row in rows[:2]]
    title, runners, winograd, building = method(
        [make_run(*rows, *slower, *alone, settings={"plain": "as it is", "never run": "no"})]
    )
    assert title == "## What was compared" and runners == "- **plain**: as it is."
    assert "is 0.75 to 0.75 times as fast as the fastest rival" in winograd and "of 2 cases" in winograd
    assert "hrnet_fast 1.2 to 1.2 s, OpenVINO 20.0 to 20.0 s, ONNX Runtime 10.0 to 10.0 s." in building
    assert method([]) == []


def test_headline_leaves_out_what_ours_computed_in_another_dtype(make_row, make_run):
    wide, own = "97 levels by native, in float32", "97 levels by native, in bfloat16"
    rivals = [make_row("OpenVINO", dtype="bfloat16")]
    assert headlines([make_run(make_row("hrnet_fast", dtype="bfloat16", ran=wide), *rivals)], []) == []
    assert headlines([make_run(make_row("hrnet_fast", dtype="bfloat16", ran=own), *rivals)], []) != []


def test_headline_picture_shows_the_cpu_with_most_rivals(make_row, make_run, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("benchmarks.headline.threads", lambda run: shown.append(run) or "told")
    few = make_run(make_row("hrnet_fast"), machine={"cpu": "few", "cores": 2, "isa": ["avx2"], "memory_gib": 8})
    most = make_run(make_row("hrnet_fast"), make_row("plain"), make_row("OpenVINO", dtype="bfloat16"))
    path = tmp_path / "new" / "speed.png"
    assert draw_headline([few, most], path) == path and path.read_bytes().startswith(b"\x89PNG")
    assert shown == [most]
    assert draw_headline([make_run(make_row("plain"))], path) is None


def test_cases_are_in_order_whenever_they_were_measured(make_row, make_run):
    classes = {"model": "hrnet_w18.cls_in1k", "size": "224x224"}
    unknown = {"model": "another", "size": "8x8"}
    run = make_run(
        make_row("hrnet_fast", batch=16), make_row("hrnet_fast", case=unknown), make_row("hrnet_fast", case=classes),
        make_row("hrnet_fast", dtype="bfloat16"), make_row("hrnet_fast"),
    )  # fmt: skip
    assert [(rows[0].case["model"], rows[0].batch, rows[0].dtype) for rows in run.groups()] == [
        ("hrnet_w32.pose_coco_256x192", 1, "float32"),
        ("hrnet_w32.pose_coco_256x192", 1, "bfloat16"),
        ("hrnet_w18.cls_in1k", 1, "float32"),
        ("another", 1, "float32"),
        ("hrnet_w32.pose_coco_256x192", 16, "float32"),
    ]


def test_studies_stand_below_the_runs(run, documents, capsys):
    made = Made("0123456789", "abc", 0.0)
    sized = Row("a model", "64x48", 1, "float32", "hrnet_fast", "ok", None, 2e-7, 1e-7, 10**8, 10**8, 10**7, made)
    point = Point("a model", "float32", "batch", 1, "64x48", 0.5, 0.1, 1000.0, 9, 5.0, 2e-7, 1e-7, made)
    values = (3, {"network": 900.0}, 0.1, "all right", made)
    served = tuple(Request("pose", "a model", "60x80", 1, runner, 1e3, 1e3, 2e3, *values) for runner in (OURS, PLAIN))
    memory, _ = write_sheet(Sheet("memory", "the memory command", rows=(sized,)), documents)
    other, _ = write_sheet(Sheet("memory", "the other command", threads=64, rows=(sized,)), documents)
    scaling, _ = write_sheet(Sheet("scaling", "the scaling command", rows=(point,)), documents)
    requests, _ = write_sheet(Sheet("requests", "the requests command", rows=served), documents)
    files = [requests, memory, scaling, other, write_run(run, documents)]
    assert main([*map(str, files), "--write", str(documents)]) == 0
    text = (documents / "docs" / "speed.md").read_text()
    assert "| a model, 64x48, batch 1, float32 | **100** (10) |" in text and "rows:\n`the memory command`" in text
    assert f"![scaling](../{scaling.stem}.png)" in text and scaling.with_suffix(".png").exists()
    assert ["a model, 1 person:", "", "", ""] in cells_of(text)
    assert ["hrnet_fast", "0.900", "**1.00** (1.00x)", "10.0%"] in cells_of(text)
    heads = ("pytest benchmarks --profile short", "## Requests", "## Memory", "peak MB", "## Scaling", "ms an image")
    assert sorted(heads, key=text.index) == list(heads) and text.count("## Memory") == 1
    assert text.count("takes beyond its imports") == text.count("Each stage was") == 1
    assert "peak MB" not in (documents / "README.md").read_text()
    assert "peak of ours is" in capsys.readouterr().out


def test_run_in_which_nothing_was_timed_has_no_plot(make_row, make_run, tmp_path, capsys):
    path = write_run(make_run(make_row("hrnet_fast", "wrong", reason="bad")), tmp_path)
    assert main([str(path)]) == 0
    assert "nothing was timed" in capsys.readouterr().out
    assert not path.with_suffix(".png").exists()


def test_file_that_is_no_result_ends_with_one_sentence(tmp_path, capsys):
    (tmp_path / "bad.json").write_text("{")
    assert main([str(tmp_path / "bad.json")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
