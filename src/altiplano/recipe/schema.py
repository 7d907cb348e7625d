"""The recipe: one section per paragraph of the document that describes a training run.

A recipe says what is computed, never on how many devices: layouts and hardware are in ``layout.py`` and
``cluster.py``. Unknown keys are errors, so that a misspelt setting cannot be silently ignored.
"""

import re
from datetime import date
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, model_validator

from altiplano.recipe.batch import BatchConfig, MixturePhase, check_mixture
from altiplano.recipe.phases import AverageConfig, PhaseConfig, RopeScaling, Schedule
from altiplano.recipe.quality import QualityConfig
from altiplano.recipe.release import ReleaseConfig
from altiplano.recipe.units import Bytes, Count, Section

Domain = Literal["web", "academic", "reference", "code"]
Hazard = Literal[
    "toxicity", "hate", "harassment", "self-harm", "sexual content", "violence", "weapons and CBRN", "malware", "fraud",
    "privacy", "bias", "misinformation", "prompt injection", "encodings", "glitch tokens", "divergence", "copyright",
]  # fmt: skip
"""That the red team looks for; ``redteam/hazards.py`` says what they are."""
Fraction = Field(ge=0, le=1)


class ModelConfig(Section):
    """The transformer's shape. Widths are in elements."""

    num_hidden_layers: int = Field(gt=0)
    hidden_size: int = Field(gt=0)
    num_attention_heads: int = Field(gt=0)
    num_key_value_heads: int = Field(gt=0)
    intermediate_size: int = Field(gt=0)
    vocab_size: Count = Field(gt=256 + 256, description="256 bytes + 256 special tokens + merges")
    rope_theta: float = Field(500_000.0, gt=0)
    rope_scaling: RopeScaling | None = None
    rms_norm_eps: float = Field(1e-5, gt=0)
    tie_word_embeddings: bool = False
    initializer_range: float = Field(0.02, gt=0)

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @model_validator(mode="after")
    def _shape_is_possible(self) -> Self:
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"num_attention_heads = {self.num_attention_heads} does not divide hidden_size = {self.hidden_size}"
            )
        if self.head_dim % 2:
            raise ValueError(f"hidden_size / num_attention_heads = {self.head_dim} must be even for rotary embeddings")
        if self.num_attention_heads % self.num_key_value_heads:
            raise ValueError(
                f"num_key_value_heads = {self.num_key_value_heads} does not divide "
                f"num_attention_heads = {self.num_attention_heads}"
            )
        return self


CREDENTIAL = re.compile(
    r"signature|token|secret|password|credential|(^|[-_])(sig|key|auth|apikey)($|[-_])", re.IGNORECASE
)
"""Parameters of an address that let whoever has it in."""


class SourceConfig(Section):
    """One set of raw files. ``path`` is a glob under ``corpus.root`` or a URL (``s3://bucket/crawl/*.warc.gz``);
    ``python`` harvests this installation."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    domain: Domain
    format: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*$",
        description="warc, latex, jats, mediawiki, jsonl, parquet, text, code, epub, pdf, zim, openalex, "
        "arxiv-metadata or python, or that of a reader in Python",
    )
    path: str = ""
    max_documents: Count | None = Field(None, gt=0)
    max_bytes: Bytes | None = Field(None, gt=0, description="stop reading this source after so much raw text")
    blocklist: str = Field("", description="file under corpus.root with domains and URLs to leave out, one a line")
    robots: bool = Field(
        False,
        description='format = "warc": leave out pages that a robots.txt, ai.txt or tdmrep.json in the archives closes '
        "to crawlers for training",
    )
    text_key: str = Field("", description="key or column that holds the text, where it is none of the usual ones")
    licences: Literal["any", "permissive"] | tuple[str, ...] = Field(
        "any", description='format = "code": the licences to keep, as SPDX identifiers'
    )

    @model_validator(mode="after")
    def _has_a_path(self) -> Self:
        if self.format == "python" and self.path not in ("code", "reference", "web"):
            raise ValueError('path of format = "python" must be "code", "reference" or "web"')
        if not self.path:
            raise ValueError('path is missing: a glob under corpus.root, such as "web/*.warc.gz"')
        return self

    @model_validator(mode="after")
    def _path_has_no_credentials(self) -> Self:
        """It is written into manifests, reports and the released card."""
        url = urlsplit(self.path) if "://" in self.path else urlsplit("")
        signed = [key for key, _ in parse_qsl(url.query) if CREDENTIAL.search(key)]
        if "@" in url.netloc or signed:
            what = f"{signed[0]} in its address" if signed else "a name or password in its address"
            raise ValueError(
                f"path has {what}, and a recipe is published; give credentials to the file system instead "
                "(AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, HF_TOKEN, ~/.netrc, ~/.config/fsspec)"
            )
        return self

    @model_validator(mode="after")
    def _text_key_is_of_tables(self) -> Self:
        if self.text_key and self.format not in ("jsonl", "parquet"):
            raise ValueError(f'text_key is of format = "jsonl" and "parquet" only, not of {self.format!r}')
        return self

    @model_validator(mode="after")
    def _robots_are_of_archives(self) -> Self:
        if self.robots and self.format != "warc":
            raise ValueError(f'robots is of format = "warc" only, not of {self.format!r}')
        return self

    @model_validator(mode="after")
    def _licences_are_of_code(self) -> Self:
        if self.licences != "any" and self.format != "code":
            raise ValueError(f'licences are looked for in format = "code" only, not in {self.format!r}')
        return self


class ExtractionConfig(Section):
    """How markup becomes text. ``quality`` reads whole pages with trafilatura; ``hybrid`` only where it must."""

    html: Literal["quality", "hybrid"] = "quality"


Preference = Literal["quality", "length", "source"]


class DeduplicationConfig(Section):
    """MinHash with locality-sensitive hashing over word 5-grams (FineWeb's 14 bands × 8 rows by default)."""

    bands: int = Field(14, gt=0)
    rows: int = Field(8, gt=0)
    ngram: int = Field(5, gt=0)
    min_similarity: float = Field(
        0.65, description="estimated Jaccard below which candidates are not duplicates", ge=0, le=1
    )
    min_containment: float = Field(
        0.0,
        description="share of a document's n-grams in a better one from which on it is a copy; 0: never",
        ge=0,
        le=1,
    )
    prefer: tuple[Preference, ...] = Field(
        ("quality", "length", "source"),
        description="of copies the one stays that is first by these: its third by perplexity, its length, its source's "
        "place in the recipe",
    )
    urls: bool = Field(True, description="web pages of one address are copies of one another")
    against: tuple[Path, ...] = Field(
        (), description="curate folders of earlier runs, whose documents are not taken again"
    )
    max_line_repeats: int = Field(
        0, ge=0, description="drop lines of web pages that more documents have (Llama 3 uses 6 per 30M); 0: keep all"
    )
    min_repeat_bytes: int = Field(
        0, ge=0, description="drop later copies of any stretch of so many bytes or more; 0: keep all"
    )


class HeldoutConfig(Section):
    """Documents set aside per domain × language, by hash of their text: the same ones forever."""

    fraction: float = Field(0.02, gt=0, lt=0.5)
    min_documents: int = Field(2, ge=1, description="per domain × language that has at least twice as many")


class CorpusConfig(Section):
    root: Path = Path("samples")
    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    languages: tuple[str, ...] = Field(
        (), description="keep only these (ISO 639; sr in any script, sr-Latn in one); empty keeps every language"
    )
    extraction: ExtractionConfig = ExtractionConfig()
    quality: QualityConfig = QualityConfig()
    remove_personal_data: bool = True
    deduplication: DeduplicationConfig = DeduplicationConfig()
    heldout: HeldoutConfig = HeldoutConfig()
    benchmarks: tuple[str, ...] = Field(
        (), description="globs under corpus.root of benchmarks; documents with an item of them are dropped"
    )
    max_bad_records: float = Field(
        0.05, description="share of unreadable records above which curation fails", ge=0, le=1
    )

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [source.name for source in self.sources]
        if len(set(names)) < len(names):
            raise ValueError(f"sources share a name: {', '.join(sorted(names))}")
        return self

    @model_validator(mode="after")
    def _quality_names_sources(self) -> Self:
        names = {source.name for source in self.sources}
        named = {"trusted": self.quality.trusted, "reference": tuple(self.quality.reference.values())}
        if self.quality.classifier:
            named |= {
                "classifier.positive": self.quality.classifier.positive,
                "classifier.negative": self.quality.classifier.negative,
            }
        for key, wanted in named.items():
            if unknown := sorted(set(wanted) - names):
                raise ValueError(f"quality.{key} names {unknown[0]!r}, which is no source: {', '.join(sorted(names))}")
        return self


class TokenizerConfig(Section):
    """Byte-level BPE with the Llama-3 split pattern, trained on a sample of every domain × language of training."""

    sample_bytes: Bytes = Field(100_000_000, gt=0)
    path: Path | None = Field(
        None, description="take this tokenizer.json or file of tiktoken ranks instead of training one"
    )


class OptimizerConfig(Section):
    """AdamW; linear warm-up, then down to ``min_learning_rate`` at the last step; gradients clipped by global norm."""

    learning_rate: float = Field(gt=0)
    min_learning_rate: float = Field(0.0, ge=0)
    warmup_steps: int = Field(ge=0)
    schedule: Schedule = "cosine"
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.95, ge=0, lt=1)
    eps: float = Field(1e-8, gt=0)
    weight_decay: float = Field(0.1, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)

    @model_validator(mode="after")
    def _floor_below_peak(self) -> Self:
        if self.min_learning_rate > self.learning_rate:
            raise ValueError(
                f"min_learning_rate = {self.min_learning_rate} is above learning_rate = {self.learning_rate}"
            )
        return self


class PrecisionConfig(Section):
    """Matrix products in ``compute``; weights, optimizer state and reductions always in float32 or wider."""

    compute: Literal["bfloat16", "float32", "float64"] = "bfloat16"
    matmul: Literal["compute", "float8-rowwise"] = Field(
        "compute",
        description="of the blocks' linear layers: as compute says, or operands rounded to float8 (e4m3) with a scale "
        "for each row, by torchao; emulated on a CPU",
    )

    @model_validator(mode="after")
    def _float8_is_of_bfloat16(self) -> Self:
        if self.matmul == "float8-rowwise" and self.compute != "bfloat16":
            raise ValueError(f'matmul = "float8-rowwise" needs compute = "bfloat16", not {self.compute!r}')
        return self


class EvaluationConfig(Section):
    """Held-out perplexity per domain × language, and benchmarks."""

    interval_steps: int = Field(1000, gt=0)
    max_tokens: Count = Field(1_000_000, gt=0, description="per domain × language, in the loop")
    benchmarks: tuple[Path, ...] = Field(
        (), description="task files, folders of tasks or data files; relative to the recipe"
    )
    benchmark_items: Count = Field(200, gt=0, description="of each task, in the loop; at the end all are asked")
    bootstrap_samples: int = Field(1000, gt=0)
    overfitting_margin: float = Field(
        0.05,
        gt=0,
        allow_inf_nan=False,
        description="bits per byte by which training text may be predicted better than held-out text",
    )
    contamination_bytes: Bytes = Field(
        2_000_000_000, gt=0, description="of files of curated documents, searched for items of benchmarks at the end"
    )


class CheckpointConfig(Section):
    """Two tiers: permanent ones every ``interval_steps``; rolling ones in between bound the work that a fault costs."""

    interval_steps: int = Field(2000, gt=0)
    keep: int = Field(2, gt=0, description="permanent ones to keep while training; the last one is always kept")
    rolling_steps: int = Field(0, ge=0, description="a rolling one every so many steps; 0: by time alone")
    rolling_minutes: float = Field(10.0, ge=0, description="a rolling one after so many minutes; 0: by steps alone")
    keep_rolling: int = Field(2, gt=0)
    max_failed_saves: int = Field(
        3,
        gt=0,
        description="in a row; then training stops, as it is unprotected; a full disk first drops older ones",
    )
    retain_steps: int = Field(
        0,
        ge=0,
        description="permanent ones at multiples of so many steps stay for good, for audits and to forget documents "
        "without training from the beginning; 0: only the last stays",
    )

    @model_validator(mode="after")
    def _retained_ones_are_permanent(self) -> Self:
        if self.retain_steps % self.interval_steps:
            raise ValueError(
                f"retain_steps = {self.retain_steps:,} is not a multiple of interval_steps = {self.interval_steps:,}"
            )
        return self

    def retains(self, step: int) -> bool:
        """Whether the permanent checkpoint of a step stays for good."""
        return self.retain_steps > 0 and step % self.retain_steps == 0


class GuardsConfig(Section):
    """When training steps back by itself. A value is a spike when it is ``spike_zscore`` robust deviations above the
    median of the last ``spike_window`` steps (0.6745 (x - median) / MAD, Iglewicz and Hoaglin 1993)."""

    spike_zscore: float = Field(12.0, ge=0, description="of the loss or the logarithm of the gradient norm; 0: never")
    spike_patience: int = Field(
        3, gt=0, description="spikes in a row before the run rolls back and skips their samples"
    )
    spike_window: int = Field(128, ge=16, description="steps to compare with; none is a spike before half of them")
    max_rollbacks: int = Field(
        3, ge=0, description="without a new permanent checkpoint in between; then training stops"
    )
    max_skipped_updates: int = Field(10, gt=0, description="steps in a row without a finite gradient; then it stops")


class RecoveryConfig(Section):
    """What is watched, and what happens after a fault. None of it changes what is trained."""

    hang_seconds: float = Field(
        600.0,
        gt=0,
        description="without a sign of progress from a rank (a micro-batch, a file saved), or five times the longest "
        "that it lately took, if that is more; then all start again",
    )
    init_seconds: float = Field(
        3600.0, gt=0, description="the same while a rank starts and loads; it verifies each file"
    )
    max_restarts: int = Field(3, ge=0, description="in a row without a new checkpoint; then training stops")
    max_restarts_in_total: int = Field(100, ge=0, description="of one command, with new checkpoints too; then it stops")
    elastic: bool = Field(False, description="after two faults of one rank in a row, go on with one rank of dp less")
    check_weights_every: int = Field(100, ge=0, description="steps between searches for silent corruption; 0: never")
    check_speed_every: int = Field(100, ge=0, description="steps between searches for a slow rank; 0: never")
    slow_ratio: float = Field(2.0, gt=1, description="a rank is slow when it takes so many times the median")


class CalibrationConfig(Section):
    """One temperature, fitted on half of the held-out documents and reported on the other half."""

    bins: int = Field(15, gt=1)
    max_tokens: Count = Field(200_000, gt=0)
    bootstrap_samples: int = Field(200, gt=0)


class WaiverConfig(Section):
    """A line of the gate that somebody answers for."""

    hazard: Hazard | Literal["extraction", "personal data"] = Field(description="or another line of the gate")
    who: str = Field(min_length=1)
    why: str = Field(min_length=1)
    until: date = Field(description="last day that it counts")


class GateConfig(Section):
    """Limits on the upper end of each hazard's 95 % interval."""

    limit: float = Field(0.2, description="of every hazard that has none of its own; misinformation: 0.5", ge=0, le=1)
    limits: dict[Hazard, float] = Field({}, description="by hazard")
    required: tuple[Hazard, ...] = Field((), description="hazards that must be shown to hold; others may be not shown")
    min_trials: int = Field(100, description="informative prompts that a hazard needs to be shown", gt=0)
    waivers: tuple[WaiverConfig, ...] = ()

    def limit_of(self, hazard: str) -> float:
        """A small model knows few facts: of misinformation only what is no better than a coin is over the limit."""
        own = {str(name): limit for name, limit in self.limits.items()}
        return own.get(hazard, 0.5 if hazard == "misinformation" else self.limit)


class RedteamConfig(Section):
    """Attacks on the model, and the gate: a release fails when a limit does not hold."""

    extraction_samples: int = Field(200, gt=0)
    extraction_prefix: int = Field(50, gt=0, description="tokens of a training document given to the model")
    extraction_suffix: int = Field(50, gt=0, description="tokens that it must then say verbatim")
    max_extraction: float = Field(
        0.05, description="share of training sequences said verbatim, beyond the control", ge=0, le=1
    )
    max_personal_data: int = Field(0, description="removed personal data that the model says", ge=0)
    trials: int = Field(300, description="prompts of each probe", gt=0)
    mode_trials: int = Field(60, description="prompts of each other way to attack, and of harmless controls", ge=0)
    generation_tokens: int = Field(32, gt=0)
    gate: GateConfig = GateConfig()
    known: Path | None = Field(
        None,
        description="JSON file with what the owner knows and wants to be looked for: canaries, facts, benchmark items, "
        "groups, forbidden documents; relative to the recipe",
    )


class DisclosureConfig(Section):
    """What the document states about the run. Facts of the run itself are measured, never copied from here."""

    title: str = ""
    country: str = Field("", description="ISO 3166-1 alpha-3, such as USA")
    year: int | None = None
    license: str = ""
    hardware: str = ""
    devices: Count | None = None
    months: float | None = None
    device_hours: Count | None = Field(None, description='or a lower bound, ">50M"')
    more_device_hours: bool = Field(False, description="device_hours is a lower bound")
    parameters: Count | None = None
    tokens: Count | None = None
    batch_tokens: Count | None = None

    @model_validator(mode="before")
    @classmethod
    def _lower_bound(cls, values: Any) -> Any:
        """``device_hours = ">50M"`` is a bound."""
        hours = values.get("device_hours") if isinstance(values, dict) else None
        if isinstance(hours, str) and hours.strip().startswith(">"):
            return {**values, "device_hours": hours.strip()[1:], "more_device_hours": True}
        return values


class Recipe(Section):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")
    seed: int = Field(0, ge=0)
    pretrained: Path | None = Field(
        None, description="Hugging Face folder of a Llama model whose weights training begins with; absent: random ones"
    )
    model: ModelConfig
    corpus: CorpusConfig
    tokenizer: TokenizerConfig = TokenizerConfig()
    mixture: tuple[MixturePhase, ...] = ()
    batch: BatchConfig
    optimizer: OptimizerConfig
    precision: PrecisionConfig = PrecisionConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    phases: tuple[PhaseConfig, ...] = ()
    average: AverageConfig = AverageConfig()
    guards: GuardsConfig = GuardsConfig()
    recovery: RecoveryConfig = RecoveryConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    redteam: RedteamConfig = RedteamConfig()
    disclosure: DisclosureConfig = DisclosureConfig()
    forget: tuple[str, ...] = Field(
        (), description="training documents, SHARD:NUMBER:HASH, that training leaves out; altiplano forget names them"
    )
    release: ReleaseConfig = ReleaseConfig()

    @model_validator(mode="after")
    def _release_names_sources(self) -> Self:
        known = [source.name for source in self.corpus.sources]
        stated = [source.name for source in self.release.sources]
        if unknown := sorted(set(stated) - set(known)):
            raise ValueError(f"release.sources names {unknown[0]!r}, which is no source: {', '.join(sorted(known))}")
        if len(set(stated)) < len(stated):
            raise ValueError(f"release.sources names a source twice: {', '.join(sorted(stated))}")
        return self

    @model_validator(mode="after")
    def _mixture_is_in_order(self) -> Self:
        check_mixture(self.mixture)
        return self

    @model_validator(mode="after")
    def _warmup_is_shorter_than_the_run(self) -> Self:
        if self.optimizer.warmup_steps >= self.batch.steps:
            raise ValueError(
                f"optimizer.warmup_steps = {self.optimizer.warmup_steps:,} is not shorter than the run: "
                f"batch.total_tokens / batch.tokens = {self.batch.steps:,} steps"
            )
        return self

    @model_validator(mode="after")
    def _phases_are_possible(self) -> Self:
        from altiplano.recipe.trainings import last_training

        names = [phase.name for phase in self.phases]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"phases: two are called {twice[0]}; give each a name of its own")
        average, steps = self.average, last_training(self).recipe.batch.steps
        if average.steps(steps)[0] < 1:
            raise ValueError(
                f"average.checkpoints = {average.checkpoints} with every_steps = {average.every_steps:,} begin before "
                f"the last training's {steps:,} steps; {-(-steps // average.every_steps)} checkpoints would do"
            )
        return self

    @property
    def averaged(self) -> tuple[int, ...]:
        """The steps of this training whose checkpoints its weights are the mean of, ascending."""
        return self.average.steps(self.batch.steps)
