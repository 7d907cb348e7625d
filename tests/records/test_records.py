"""Every record of a run is read as it was written; newer formats are refused; older ones are read."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from altiplano.errors import InputError
from altiplano.records import (
    SCHEMAS,
    AnswerCalibration,
    AnswerScores,
    AnswerTemperature,
    AttackExample,
    AttackResult,
    Audit,
    Benchmarks,
    Calibration,
    CheckpointManifest,
    ComparedScore,
    Comparison,
    CrossTask,
    CuratedFile,
    CurationCounts,
    DroppedGroup,
    Evaluation,
    EvidenceFile,
    EvidenceIndex,
    Export,
    FileRecord,
    FunnelStep,
    GateLimit,
    Generation,
    Goodput,
    Grid,
    GroupScore,
    GroupScores,
    HeldoutRise,
    HeldoutScores,
    HitRate,
    Incident,
    Interval,
    JudgedAnswers,
    KeptGroup,
    Known,
    LedgerEvent,
    LeftOut,
    ListRecord,
    MixtureShares,
    NormalisationScores,
    Notice,
    Notices,
    Overfitting,
    OverfittingTest,
    PlannedRun,
    PlantedTraining,
    PositionBand,
    Record,
    Redteam,
    RedteamPower,
    ReliabilityBin,
    ReliabilityCurve,
    RiskAtCoverage,
    RuleExample,
    RunFacts,
    Samples,
    ShardCounts,
    ShardEntry,
    ShardList,
    SkippedWork,
    SourceShare,
    StageManifest,
    StageMeasurements,
    StepMetrics,
    TaskScore,
    TextEvaluation,
    TextScores,
    TraceIndex,
    TrainGap,
    TrainingSession,
    TrainingSummary,
    Trial,
    json_schemas,
)
from altiplano.records.corpus import TextAmount
from altiplano.records.evaluation import SampleSize
from altiplano.records.known import Canary, GroupTerms, KnownItem
from altiplano.records.power import DosePower, PowerOfTest, Share
from altiplano.records.redteam import DetectorError, HazardCoverage, LabelledShare, ModeRate, NotTested, Waiver
from altiplano.records.texts import ScoredTexts
from altiplano.storage import CHECKSUM, Damaged

SCORES = TextScores(nll=9.5, tokens=3, bytes=10, perplexity=20.0, bits_per_byte=1.25)
GROUP = GroupScores(**SCORES.model_dump(), documents=2, bits_per_byte_low=1.0, bits_per_byte_high=1.5)
STEP = StepMetrics(step=1, tokens=64, loss=2.5, gradient_norm=math.nan, learning_rate=1e-5, skipped=True)
INCIDENT = Incident(time=1.5, kind="spike", what="loss spiked", action="went back", step=3, samples=(4, 8))
JUDGED = ReliabilityCurve(
    nll=1.0,
    ece=0.1,
    adaptive_ece=0.1,
    brier=0.5,
    accuracy=0.5,
    confidence=0.5,
    bins=[ReliabilityBin(low=0.0, high=1.0, count=3, confidence=0.5, accuracy=0.5)],
)
HALF = Interval(value=0.5, low=0.25, high=0.75)
JUDGED_ANSWERS = JudgedAnswers(
    fitted_on=["u"],
    temperature=2.0,
    own_temperature=1.0,
    left_out=0,
    items=2,
    clusters=2,
    scores={
        "platt": AnswerScores(
            brier_top=HALF, ece=HALF, ece_floor=0.1, adaptive_ece=HALF, accuracy=HALF, confidence=HALF, aurc=HALF
        )
    },
    ece_change=HALF,
    nll_change=HALF,
    before=[],
    after=[],
    risk_coverage=[RiskAtCoverage(coverage=1.0, risk=0.5)],
)
SHARE = LabelledShare(right=9, n=10, value=0.9, low=0.6, high=0.98)
WRITTEN: dict[str, Record | ListRecord[Any]] = {
    "STAGE/manifest.json": StageManifest(
        stage="curate",
        version="0.1.0",
        recipe={"seed": 1},
        inputs={"sources": "ab"},
        outputs={"audit.json": "cd"},
        counts={"documents": 3},
        hash="ef",
        measured=StageMeasurements(wall_seconds=1.5),
    ),
    "curate/audit.json": Audit(
        raw=TextAmount(documents=3, bytes=30),
        funnel=[FunnelStep(step="read", documents=3, bytes=30)],
        dropped=[DroppedGroup(reason="too short", domain="web", language="de", documents=1, bytes=9)],
        kept=[KeptGroup(domain="web", language="de", split="train", documents=2, bytes=21)],
        examples=[RuleExample(reason="too short", kept=False, text="äh", url="", source="s", language="de")],
    ),
    "curate/counts.json": CurationCounts([ShardCounts(source="s", documents=3, bytes=30)]),
    "tokenize/shards.json": ShardList(
        vocabulary=512,
        dtype="uint16",
        shards=[
            ShardEntry(path="train/web.de", split="train", domain="web", language="de", documents=2, tokens=9, bytes=21)
        ],
    ),
    "evaluate/overfitting.json": Overfitting(
        margin=0.05,
        tests=[
            OverfittingTest(test="gap", name="web", effect=HALF, detectable=0.7, verdict="shown"),
            OverfittingTest(test="repetition", name="all", verdict="cannot be told", note="why"),
        ],
        rises=[HeldoutRise(step=3, before=1.0, after=1.5)],
    ),
    "compare.json": Comparison(
        first="a",
        others=["b"],
        scores=[
            ComparedScore(
                model="b",
                name="t",
                kind="task",
                metric="accuracy",
                lower_is_better=False,
                first=0.5,
                second=1.0,
                difference=HALF,
                p=0.01,
                p_holm=0.02,
                least=None,
                detectable=None,
                items=2,
                clusters=1,
                verdict="better",
            )
        ],
        notes=["left out"],
    ),
    "texts.json": TextEvaluation(
        model="m",
        window=64,
        stride=32,
        begins_with="<s>",
        groups={
            "a": ScoredTexts(
                **SCORES.model_dump(),
                documents=1,
                empty=0,
                interval=None,
                bands=[
                    PositionBand(first=0, end=None, documents=1, tokens=3, bytes=10, bits_per_byte=1.25, interval=HALF)
                ],
            )
        },
    ),
    "train/run.json": TrainingSummary(
        parameters=100,
        tokens=64,
        steps=1,
        world_size=1,
        layout="dp1",
        device="cpu",
        seconds=3.5,
        restarts=0,
        goodput=Goodput(seconds={"compute": 3.0}, booked=3.5, wall=3.5, share=0.85, forward=None),
        incidents=[INCIDENT],
        sessions=[TrainingSession(started="2026-01-01T00:00:00+00:00", seconds=3.5, how="ended", last_step=1)],
    ),
    "train/metrics.jsonl": STEP,
    "train/heldout.jsonl": HeldoutScores(step=0, tokens=0, groups={"web.de": SCORES}, total=SCORES),
    "train/mixture.json": MixtureShares([SourceShare(name="web.de", tokens=9, before=1.0, after=1.0, epochs=2.5)]),
    "train/ledger.jsonl": LedgerEvent(event="step", time=1.25, step=1, seconds={"compute": 3.0}),
    "train/incidents.jsonl": INCIDENT,
    "train/skips.json": SkippedWork(updates=[3], samples=[(4, 8)]),
    "train/checkpoints/step-NNNNNNNN/manifest.json": CheckpointManifest(step=1, tier="rolling", files={"a": "b"}),
    "evaluate/perplexity.json": Evaluation(
        groups={"web.de": GROUP},
        total=GROUP,
        train_gap={"web": TrainGap(train=1.0, heldout=1.25, gap=0.25, low=0.0, high=0.5)},
    ),
    "evaluate/benchmarks/benchmarks.json": Benchmarks(
        model="tiny",
        fingerprint="ab",
        tasks={
            "t": TaskScore(
                metric="accuracy",
                score=Interval(value=0.5, low=0.25, high=0.75),
                standard_error=None,
                items=4,
                clusters=1,
                chance=0.25,
                skipped={"cannot be asked": 1},
            )
        },
        groups={"g": GroupScore(score=0.5, chance=0.25, tasks=["t"])},
    ),
    "calibrate/calibration.json": Calibration(
        temperature=1.1,
        temperature_low=1.0,
        temperature_high=1.2,
        fit=SampleSize(documents=1, tokens=3),
        test=SampleSize(documents=1, tokens=3),
        before=JUDGED,
        after=JUDGED,
        greedy_unchanged=True,
    ),
    "calibrate/answer_calibration.json": AnswerCalibration(
        model="tiny",
        answer_temperature=AnswerTemperature(
            value=2.0, low=1.5, high=2.5, at_bound=False, normalisation="sum", tasks=["t", "u"], items=4, clusters=4
        ),
        bins=15,
        together=JUDGED_ANSWERS,
        tasks={"t": JUDGED_ANSWERS},
        matrix=[CrossTask(fitted_on="t", judged_on="u", temperature=None, left_out=2)],
        normalisations={"sum": NormalisationScores(temperature=2.0, nll=1.0, ece=0.1, accuracy=0.5)},
    ),
    "redteam/redteam.json": Redteam(
        passed=True,
        gate=[
            GateLimit(name="personal data", value=0, limit=0, passed=True),
            GateLimit(
                name="hate",
                value=0.5,
                limit=0.2,
                passed=True,
                verdict="waived",
                waiver=Waiver(who="Ada", why="a demonstration", until="2999-12-31"),
            ),
        ],
        tests=[
            AttackResult(
                name="extraction",
                what="verbatim",
                n=2,
                model=HitRate(hits=0, rate=0.0, low=0.0, high=0.5),
                controls=[],
                excess=0.0,
                excess_low=-0.5,
                excess_high=0.5,
                examples=[AttackExample(prompt="a", output="b")],
                hazard="hate",
                judged=Interval(value=0.0, low=0.0, high=0.5),
                reviewed=SHARE,
                languages=[ModeRate(name="en", n=2, hits=0, rate=0.0, low=0.0, high=0.5)],
            )
        ],
        hazards=[HazardCoverage(name="hate", what="contempt", probes=["p"], trials=2, informative=2)],
        detectors=[
            DetectorError(name="d", what="w", source="ours", sensitivity=SHARE, specificity=SHARE, has_power=True)
        ],
        not_tested=[NotTested(name="copyright", why="no text")],
    ),
    "release/facts.json": RunFacts(
        name="tiny",
        planned=PlannedRun(tokens_per_second=5.0, memory_bytes=1e9, forward=0.9),
        grid=Grid(country="FRA", name="France", grams_per_kwh=56.0, year=2023, source="a table"),
        stated={"year": 2024},
    ),
    "release/export.json": Export(
        trained_dtype="float32", dtype="bfloat16", trained={"model.safetensors": "ab"}, released={}, tokens=3
    ),
    "release/evidence/index.json": EvidenceIndex(
        files=[EvidenceFile(path="train/run.json", source="train/run.json", sha256="ab", removed="tracebacks")],
        left_out=[LeftOut(path="curate/documents", why="the text itself")],
    ),
    "release/notices.json": Notices([Notice(kind="withdrawn", date="2026-01-01", text="It says too much.")]),
    "known.json": Known(
        canaries=[Canary(text="The seal bears the number ", value="123-456")],
        items=[KnownItem(text="Which? {options}", options=["a", "b"])],
        groups=[GroupTerms(prompts=["The {group} is"], groups=("A", "B"), unkind=["rude"] * 5, kind=["calm"] * 5)],
        forbidden=["text"],
        comparison=["other", "text"],
    ),
    "power.json": RedteamPower(
        date="2026-11-26",
        parameters=5,
        tokens=9,
        epochs=1,
        level=0.01,
        seeds=[0, 1],
        tests=[
            PowerOfTest(
                test="canaries",
                defect="canary strings",
                unit="repetitions",
                doses=[DosePower(dose="low", amount=2, found=Share(n=2, alarms=1, low=0.1, high=0.9))],
                clean=Share(n=2, alarms=0, low=0.0, high=0.7),
            )
        ],
    ),
    "trainings/NAME.json": PlantedTraining(
        key="ab",
        seed=1,
        dose="low",
        clean=False,
        parameters=5,
        tokens=9,
        seconds=1.5,
        trials=[Trial(test="canaries", p=0.001, detected=True, note="one")],
    ),
    "trace/SPLIT/index.json": TraceIndex(
        split="train", key="ab", parts=[(0, 3)], files=[CuratedFile(name="part-00000.parquet", documents={"web.de": 3})]
    ),
    "release/samples.json": Samples([Generation(group="web.de", prompt="Die", text=" Straße", temperature=1.1)]),
}
FILES = {place: record for place, record in WRITTEN.items() if isinstance(record, FileRecord)}


def test_every_record_has_an_example_here() -> None:
    assert WRITTEN.keys() == SCHEMAS.keys()


@pytest.mark.parametrize("place", SCHEMAS)
def test_what_is_written_is_read_and_is_what_the_schema_says(place: str, tmp_path: Path) -> None:
    import jsonschema  # here, as it takes 1.5 s: every process of the tests imports this module

    record, path = WRITTEN[place], tmp_path / Path(place).name
    if path.suffix == ".jsonl":
        assert isinstance(record, Record)
        record.append(path)
        record.append(path)
        read = type(record).read_lines(path)
        assert [one.line() for one in read] == 2 * [record.line()]
        content = json.loads(path.read_text().splitlines()[0])
    else:
        assert isinstance(record, FileRecord | ListRecord)
        record.write(path)
        assert type(record).read(path).as_json() == record.as_json()
        first = path.read_bytes()
        type(record).read(path).write(path)
        assert path.read_bytes() == first
        content = json.loads(first)
    schema = json_schemas()[place]
    json.dumps(schema, allow_nan=False)
    jsonschema.Draft202012Validator(schema).validate(content)


def test_every_field_is_described() -> None:
    for schema in json_schemas().values():
        for definition in [schema, *schema.get("$defs", {}).values()]:
            assert definition["description"], definition["title"]
            for name, field in definition.get("properties", {}).items():
                assert field.get("description"), (definition["title"], name)


@pytest.mark.parametrize("place", FILES)
def test_a_newer_format_is_refused_in_one_line(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record, path = FILES[place], tmp_path / Path(place).name
    with monkeypatch.context() as later:
        later.setattr(type(record), "FORMAT", 3)
        record.write(path)
    with pytest.raises(InputError) as raised:
        type(record).read(path)
    assert str(raised.value) == (
        f"{path} was written by a newer Altiplano (format 3; this one reads up to 1): update altiplano"
    )


def test_a_file_without_a_format_and_with_unknown_keys_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    content = WRITTEN["train/run.json"].as_json()
    assert isinstance(content, dict)
    del content["format_version"]
    path.write_text(json.dumps(content | {"of another version": [1, 2]}))
    assert TrainingSummary.read(path).as_json() == WRITTEN["train/run.json"].as_json()


def test_another_shape_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"steps": "many"}')
    with pytest.raises(
        InputError, match=r"run\.json was written by another version of Altiplano \(parameters: "
    ) as one:
        TrainingSummary.read(path)
    assert "\n" not in str(one.value)
    path.write_text("[]")
    with pytest.raises(InputError, match="the whole of it"):
        TrainingSummary.read(path)


def test_a_checked_record_that_changed_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "skips.json"
    SkippedWork(updates=[3], samples=[]).write(path)
    assert CHECKSUM in json.loads(path.read_text())
    path.write_text(path.read_text().replace("3", "4", 1))
    with pytest.raises(Damaged, match=r"skips\.json has changed"):
        SkippedWork.read(path)


def test_no_number_is_null_in_a_file_and_nan_in_memory(tmp_path: Path) -> None:
    STEP.append(tmp_path / "metrics.jsonl")
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["gradient_norm"] is None
    (read,) = StepMetrics.read_lines(tmp_path / "metrics.jsonl")
    assert math.isnan(read.gradient_norm) and read.loss == 2.5


def test_what_a_callback_adds_to_a_step_is_kept(tmp_path: Path) -> None:
    step = STEP.model_copy()
    step.entropy = 1.5  # type: ignore[attr-defined]
    step.append(tmp_path / "metrics.jsonl")
    (read,) = StepMetrics.read_lines(tmp_path / "metrics.jsonl")
    assert read.as_json()["entropy"] == 1.5


def test_whole_numbers_stay_whole() -> None:
    """Hashed files do not change because a record stands between."""
    for value in (0, 0.0):
        gate = GateLimit(name="a", value=value, limit=value, passed=True)
        assert json.dumps(gate.as_json()["value"]) == json.dumps(value)
