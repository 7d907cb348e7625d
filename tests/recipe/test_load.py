from pathlib import Path

import pytest

from altiplano.errors import InputError
from altiplano.planning.model_size import parameters
from altiplano.recipe.load import load_cluster, load_recipe, shipped
from altiplano.recipe.schema import SourceConfig

PRESETS = sorted(path.stem for path in shipped("recipes").glob("*.toml"))
CLUSTERS = sorted(path.stem for path in shipped("clusters").glob("*.toml"))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_valid(name: str) -> None:
    assert load_recipe(name).name == name


@pytest.mark.parametrize("name", CLUSTERS)
def test_clusters_are_valid(name: str) -> None:
    assert load_cluster(name).name == name


def test_the_source_recipe_says_what_its_document_says() -> None:
    recipe = load_recipe("llama-3.1-405b")
    assert parameters(recipe.model) == 405_853_388_800
    assert recipe.batch.sequences == 2048
    assert recipe.batch.sequence_length == 8192
    assert recipe.batch.total_tokens == 15 * 10**12
    assert recipe.optimizer.learning_rate == 1.5e-4
    assert recipe.optimizer.warmup_steps == 8000
    assert recipe.optimizer.max_grad_norm == 1.0
    assert recipe.evaluation.interval_steps == 1000
    assert recipe.checkpoint.interval_steps == 2000
    assert recipe.precision.compute == "bfloat16"
    assert {source.domain for source in recipe.corpus.sources} == {"web", "academic", "reference", "code"}
    assert recipe.disclosure.devices == 2048


@pytest.mark.parametrize(("name", "count"), [("llama-3.1-8b", 8_030_261_248), ("llama-3.1-70b", 70_553_706_496)])
def test_other_sizes_are_exact(name: str, count: int) -> None:
    assert parameters(load_recipe(name).model) == count


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.learning_rat=1", "optimizer.learning_rat is not a known key; did you mean learning_rate?"),
        ("corpus.quality.min_char=2", "did you mean min_characters?"),
        ("batch.tokens=-5", "batch.tokens: Input should be greater than 0"),
        ("batch.tokens=1000", "is not a whole number of sequences of 256 tokens; 4 sequences are 1,024"),
        ("model.num_attention_heads=7", "num_attention_heads = 7 does not divide hidden_size"),
        ("model.num_key_value_heads=3", "num_key_value_heads = 3 does not divide num_attention_heads"),
        ("model.width=64", "model.width is now called hidden_size"),
        ("optimizer.warmup_steps=100000", "is not shorter than the run"),
        ("optimizer.beta1=one", "optimizer.beta1: Input should be a valid number"),
        ("batch.total_tokens=many", "'many' is not a count"),
        ("nonsense=1", "nonsense is not a known key"),
        ("name.x=1", "name is not a section"),
        ("batch.tokens", "write it as section.key=value"),
    ],
)
def test_mistakes_are_one_line_that_names_the_key(override: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe("quickstart", [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_overrides_replace_values() -> None:
    recipe = load_recipe("quickstart", ["optimizer.learning_rate=1e-3", "seed=7", "corpus.languages=['de', 'fr']"])
    assert recipe.optimizer.learning_rate == 1e-3
    assert recipe.seed == 7
    assert recipe.corpus.languages == ("de", "fr")


def test_the_corpus_is_found_from_the_recipe_or_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (shipped("recipes") / "quickstart.toml").read_text()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "mine.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    assert load_recipe("deep/mine.toml").corpus.root == tmp_path / "samples"
    assert load_recipe("deep/mine.toml", ["corpus.root=here"]).corpus.root == tmp_path / "here"


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such file.*quickstart"):
        load_recipe("nowhere.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("name = ")
    with pytest.raises(InputError, match="not TOML"):
        load_recipe(str(broken))
    broken.write_bytes(b"name = '\xff\xfe'")
    with pytest.raises(InputError, match="not UTF-8"):
        load_recipe(str(broken))


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("https://me:secret@example.org/a.warc.gz", "a name or password"),
        ("s3://KEY:SECRET@bucket/*.warc.gz", "a name or password"),
        ("https://bucket.s3.amazonaws.com/a.jsonl?X-Amz-Expires=9&X-Amz-Signature=1f", "X-Amz-Signature"),
        ("https://x.blob.core.windows.net/a/b.jsonl?sv=1&sig=abc%3D", "sig"),
        ("https://example.org/a.jsonl?access_token=1", "access_token"),
    ],
)
def test_addresses_with_credentials_are_refused(path: str, named: str) -> None:
    with pytest.raises(ValueError, match=f"{named}.*a recipe is published") as told:
        SourceConfig(name="a", domain="web", format="jsonl", path=path)
    assert "HF_TOKEN" in str(told.value)


@pytest.mark.parametrize(
    "path", ["mail@example/*.jsonl", "https://example.org/a.jsonl?page=1&keyword=x", "hf://datasets/a/b@main/*"]
)
def test_addresses_without_credentials_are_not(path: str) -> None:
    SourceConfig(name="a", domain="web", format="jsonl", path=path)
