"""``altiplano plan`` from outside: the first screen, JSON, speed, and one line for nonsense."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from altiplano.cli import run
from altiplano.planning.best_layout import best_layout
from altiplano.planning.plan import make_plan
from altiplano.planning.published.runs import published_runs
from altiplano.planning.search import TIE, search
from altiplano.planning.step_time.step_time import step_time
from altiplano.recipe.layout import check_layout, parse_layout
from altiplano.recipe.load import load_cluster, load_recipe

SOURCE = ["plan", "llama-3.1-405b", "--cluster", "h100-2048"]


def test_the_first_screen_tells_a_decision_maker_the_truth(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(SOURCE) == 0
    screen = capsys.readouterr().out.split("\n\n")[0]
    lines = screen.splitlines()
    assert len(lines) <= 24
    assert "21.3 months, 31.8M device-hours; published: 30.8M" in lines[0]
    for word in (
        "Fits?      yes",
        "Speed",
        "Time       21.3 months as the recipe is written",
        "every 83 steps: 95.4%, 13.8 months",
        "Costs",
        "device-hours, $",
        "GWh",
        "Failures   one in 24.7 hours",
        "1 impossible",
        "178% of the peak",
        "not more than 50M",
        "Change     {",
    ):
        assert word in screen, word


def test_phases_are_planned_one_by_one_and_summed(capsys: pytest.CaptureFixture[str]) -> None:
    phase = "phases=[{name='long', total_tokens='1B', sequence_length='32Ki', learning_rate=1e-5}]"
    wanted = ["plan", "llama-3.1-8b", "--cluster", "h100-64", "--set", phase]
    assert run([*wanted, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    (long,) = plan["phases"]
    assert long["phase"] == "long" and long["step_time"]["seconds"] > plan["step_time"]["seconds"]
    days = plan["cost"]["as_written"]["days"] + long["cost"]["as_written"]["days"]
    assert plan["together"]["days"] == pytest.approx(days)
    assert run(wanted) == 0
    table = capsys.readouterr().out.partition("\nPhases\n")[2]
    assert "32,768" in table and "together: " in table
    assert run([*wanted, "--what-if", "gpus=128"]) == 0
    assert "phases that are not in these columns: long" in capsys.readouterr().out


def test_json_has_the_documented_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SOURCE, "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert {
        "layout",
        "memory",
        "step_time",
        "goodput",
        "cost",
        "storage",
        "contradictions",
        "edits",
        "advice",
    } <= plan.keys()
    assert isinstance(plan["contradictions"], list) and len(plan["contradictions"]) >= 10
    assert {"key", "facts", "quantity", "implied", "stated", "factor", "verdict", "text"} <= plan["contradictions"][
        0
    ].keys()
    assert sum(plan["step_time"]["parts"].values()) == pytest.approx(plan["step_time"]["seconds"], rel=1e-9)
    assert plan["layout"]["devices"] == 2048
    documented = Path(__file__).parents[2].joinpath("docs/reference/json-output.md").read_text()
    for key in plan:
        assert f"`{key}`" in documented, key


def test_quick_and_without_torch() -> None:
    """No torch, numpy or rich is imported; it takes no longer than so many turns of a loop in the same process."""
    code = (
        "import sys, time; from altiplano.cli import run; run(sys.argv[1:]); planned = time.process_time(); "
        "sum(i * i for i in range(10**6)); loop = time.process_time() - planned; "
        "print({'torch', 'numpy', 'rich'} & set(sys.modules), planned / loop, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *SOURCE], capture_output=True, text=True, check=True)
    imported, loops = done.stderr.rsplit(maxsplit=1)
    assert imported.strip() == "set()"
    assert float(loops) < 60


def test_what_if_and_compare(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SOURCE, "--what-if", "gpus=1024,4096", "--stack", "meta-llama3"]) == 0
    shown = capsys.readouterr().out
    assert "1,024" in shown and "4,096" in shown
    assert run([*SOURCE, "--compare", "llama-3.1-70b"]) == 0
    assert "llama-3.1-70b" in capsys.readouterr().out


def test_fp8_is_faster_and_less_certain(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SOURCE, "--precision", "fp8", "--json"]) == 0
    eighth = json.loads(capsys.readouterr().out)
    assert run([*SOURCE, "--json"]) == 0
    half = json.loads(capsys.readouterr().out)
    assert eighth["stack"]["precision"] == "fp8"
    assert 1.3 < half["step_time"]["seconds"] / eighth["step_time"]["seconds"] < 2
    assert (
        eighth["step_time"]["high"] / eighth["step_time"]["seconds"]
        > half["step_time"]["high"] / half["step_time"]["seconds"]
    )
    moves = half["step_time"]["a_tenth_less"]
    assert 0.05 < moves["speed of matrix products"] < 0.12  # products are about four fifths of the step


def test_a_given_layout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SOURCE, "--layout", "dp16.tp8.pp8.cp2.v8.mb1"]) == 0
    assert "layout dp16.tp8.pp8.cp2.v8.mb1" in capsys.readouterr().out
    assert run([*SOURCE, "--layout", "dp32.tp8.pp8.v8.mb1"]) == 1
    assert "Fits?      no" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--stack", "nemo"], "there is no such stack; there are nvidia-nemo"),
        (["--layout", "dp4.tp8.pp8"], "is of 256 devices, h100-2048 has 2048; dp32 would fill them"),
        (["--layout", "dp2.tp8.pp128"], "leave one without layers"),
        (["--what-if", "gpus=many"], "write gpus=1024,4096"),
        (["--set", "batch.tokens=16000000"], "2,048 are 16,777,216"),
        (
            ["--layout", "dp64.tp8.pp4.mb3", "--set", "batch.tokens=16Mi"],
            "are not divisible by dp × micro-batch = 192; 2,112 sequences, batch.tokens = 17,301,504, are",
        ),
        (["--precision", "int4"], "it is bf16, fp8 or fp32"),
    ],
)
def test_nonsense_is_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SOURCE, *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error
    assert message in error


CHIP = """name = "mine"
description = "made up"
peak_bf16 = 1e14
matmul_share = 0.8
memory_gib = 80
memory_bandwidth = 2e12
link_bandwidth = {link}
network_bandwidth = 2e10
node = 8
attention = {{flash2 = 0.4}}
chip_watts = 500
node_watts = 900
"""


@pytest.mark.parametrize(
    ("chip", "message"),
    [
        ("h101", "chip 'h101' is not known; did you mean h100?"),
        (CHIP.format(link="0"), "link_bandwidth = 0 must be a number above 0"),
        (CHIP.format(link="-1e9"), "must be a number above 0"),
        (CHIP.format(link="4e11") + "memory_gb = 3\n", "memory_gb is not a known key; did you mean memory_gib?"),
        (CHIP.format(link="4e11").replace("node = 8\n", ""), "node is missing"),
        ("not toml", "not TOML"),
    ],
)
def test_nonsense_hardware_is_one_line(
    chip: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster, hardware = tmp_path / "cluster.toml", tmp_path / "hardware.toml"
    hardware.write_text(chip)
    name = chip if chip == "h101" else str(hardware)
    cluster.write_text(f'name = "c"\ndevice = "cuda"\ndevices = 64\nwatts_per_device = 900\nchip = "{name}"\n')
    assert run(["plan", "llama-3.1-8b", "--cluster", str(cluster)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def test_a_measured_file_makes_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cluster, hardware = tmp_path / "cluster.toml", tmp_path / "hardware.toml"
    hardware.write_text(CHIP.format(link="4e11"))
    cluster.write_text(f'name = "c"\ndevice = "cuda"\ndevices = 64\nwatts_per_device = 900\nchip = "{hardware}"\n')
    assert run(["plan", "llama-3.1-8b", "--cluster", str(cluster)]) == 0
    assert "made up" in capsys.readouterr().out


def test_published_layouts_are_preferred_among_ties() -> None:
    plan = make_plan(load_recipe("llama-3.1-405b"), load_cluster("h100-2048"))
    assert plan.found is not None
    assert str(plan.case.parallelism) == "dp16.tp8.pp8.cp2.v8.mb1"
    assert "github.com" in plan.found.best.published
    assert plan.seconds <= plan.found.choices[0].seconds * (1 + TIE)
    assert len(plan.found.ties) > 1


def test_the_best_layout_is_no_slower_than_any_by_hand() -> None:
    recipe, cluster = load_recipe("llama-3.1-70b"), load_cluster("h100-2048")
    best = make_plan(recipe, cluster)
    for text in ("dp64.tp4.pp4.cp2.v5.mb1", "dp256.tp8.mb1", "dp128.tp4.pp4.mb1"):
        by_hand = make_plan(recipe, cluster, parse_layout(text))
        assert not by_hand.fits or best.seconds <= by_hand.seconds * (1 + TIE)


def test_an_impossible_number_is_a_column_that_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SOURCE, "--what-if", "gpus=64,100,4096"]) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert "11.1 months" in shown and "dp32.tp8.pp8.cp2.v8.mb1" in shown
    assert "64: nothing fits 64 devices" in shown and "128 devices or a smaller model would do" in shown
    assert "100: no layout deals" in shown
    assert run([*SOURCE, "--what-if", "gpus=64,4096", "--json"]) == 1
    first, small, large = json.loads(capsys.readouterr().out)
    assert first["layout"]["devices"] == 2048 and large["layout"]["devices"] == 4096
    assert small["column"] == "64" and "nothing fits" in small["refused"]


def test_another_recipe_that_does_not_fit_is_a_column_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "llama-3.1-8b", "--cluster", "h100-8", "--compare", "llama-3.1-70b"]) == 1
    assert "llama-3.1-70b: nothing fits 8 devices" in capsys.readouterr().out


@pytest.mark.parametrize("extra", [[], ["--json"], ["--html", "plan.html"]])
def test_nothing_fits_is_an_answer(extra: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    extra = [str(tmp_path / "plan.html") if one == "plan.html" else one for one in extra]
    assert run(["plan", "llama-3.1-70b", "--cluster", "h100-8", *extra]) == 1
    assert "16 devices or a smaller model would do" in capsys.readouterr().err


@pytest.mark.parametrize(("devices", "near"), [(24, "16 or 32"), (48, "32 or 64"), (100, "64 or 128"), (7, "4 or 8")])
def test_a_refused_number_of_devices_names_the_nearest_that_work(
    devices: int, near: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["plan", "llama-3.1-8b", "--cluster", cluster_file(tmp_path, devices=devices)]
    assert run(arguments) == 2
    assert f"{near} devices would do" in capsys.readouterr().err
    for one in near.split(" or "):
        assert run(["plan", "llama-3.1-8b", "--cluster", cluster_file(tmp_path, devices=int(one))]) == 0


def cluster_file(folder: Path, **values: object) -> str:
    settings = {"name": "c", "device": "cuda", "devices": 64, "chip": "h100", "watts_per_device": 900} | values
    file = folder / "cluster.toml"
    file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    return str(file)


def test_the_memory_of_the_cluster_file_is_obeyed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """40 GiB less 2.5 for the driver; "80" is how a card of 79.1 GiB is sold."""
    for memory, room in ((40, "of 37.5 GiB"), (80, "of 76.6 GiB"), (79, "of 76.5 GiB")):
        assert run(["plan", "llama-3.1-8b", "--cluster", cluster_file(tmp_path, memory=memory)]) == 0
        assert room in capsys.readouterr().out
    few = best_layout(load_recipe("llama-3.1-8b"), load_cluster(cluster_file(tmp_path, memory=24)))
    many = best_layout(load_recipe("llama-3.1-8b"), load_cluster(cluster_file(tmp_path, memory=80)))
    assert few != many
    assert run(["plan", "llama-3.1-8b", "--cluster", cluster_file(tmp_path, memory=141)]) == 2
    assert "a chip h100 has 79.1 GiB" in capsys.readouterr().err
    laptop = cluster_file(tmp_path, device="cpu", devices=1, chip="cpu", memory=64)
    assert run(["plan", "quickstart", "--cluster", laptop]) == 0
    assert "of 64.0 GiB" in capsys.readouterr().out


def test_training_takes_a_layout_that_it_can_run() -> None:
    for recipe, cluster in (("llama-3.1-405b", "h100-2048"), ("llama-3.1-8b", "h100-8"), ("quickstart", "laptop")):
        layout = best_layout(load_recipe(recipe), load_cluster(cluster))
        check_layout(layout, load_recipe(recipe))
        assert layout.world_size == load_cluster(cluster).devices


def test_published_layouts_are_within_three_percent_of_the_best() -> None:
    """NVIDIA's choices for Llama 3.1 on H100, among thousands; and its change of mind for the 15B."""
    runs = {
        (run.name.split()[0], run.case.parallelism.devices, str(run.case.parallelism)): run
        for run in published_runs()
        if run.stack.name == "nvidia-nemo" and run.chip.name == "h100" and run.case.precision == "bf16"
    }
    for name in (
        ("llama3.1-8b", 64, "dp32.tp1.pp1.cp2.mb1"),
        ("llama3.1-70b", 512, "dp16.tp4.pp4.cp2.v5.mb1"),
        ("llama3.1-405b", 2048, "dp16.tp8.pp8.cp2.v8.mb1"),
    ):
        run = runs[name]
        found = search(run.case, run.case.parallelism.devices, run.chip, run.stack)
        assert step_time(run.case, run.chip, run.stack).total <= 1.03 * found.choices[0].seconds, name
    before, after = runs["nemotron4-15b", 64, "dp16.tp4.pp1.mb4"], runs["nemotron4-15b", 64, "dp32.tp2.pp1.mb2"]
    gain = (
        step_time(before.case, before.chip, before.stack).total / step_time(after.case, after.chip, after.stack).total
    )
    assert gain == pytest.approx(2.845 / 2.67, abs=0.02)


def test_what_is_printed_can_be_given_back() -> None:
    recipe, cluster = load_recipe("llama-3.1-405b"), load_cluster("h100-2048")
    plan = make_plan(recipe, cluster, None, "altiplano")
    assert plan.found is not None
    for choice in plan.found.choices[:50]:
        layout = parse_layout(str(choice.case.parallelism))
        assert layout.world_size == 2048
        again = make_plan(recipe, cluster, layout, "altiplano")
        assert again.seconds == pytest.approx(choice.seconds)
        assert again.fullest.total == pytest.approx(choice.memory.total)
