"""The audit's numbers, limits and examples."""

import json
from itertools import pairwise

from altiplano.corpus.curation import curate
from altiplano.recipe.schema import CorpusConfig, SourceConfig
from corpus.support import audit_of, documents, essays, lines


def test_audit_adds_up(curated):
    audit = audit_of(curated)
    rows = documents(curated)
    steps = audit["funnel"]
    assert [s["step"] for s in steps[:5]] == ["read", "extracted", "language", "heuristics", "perplexity"]
    assert all(a["documents"] >= b["documents"] for a, b in pairwise(steps))
    assert steps[-1]["documents"] == sum(k["documents"] for k in audit["kept"]) == sum(row["keep"] for row in rows)
    assert sum(d["documents"] for d in audit["dropped"]) == sum(not row["keep"] for row in rows)
    assert {e["reason"] for e in audit["examples"] if not e["kept"]} == {d["reason"] for d in audit["dropped"]}
    assert all(len(e["text"]) <= 500 for e in audit["examples"])
    listed = json.loads((curated / "inputs.json").read_text())["sources"]
    assert set(listed) == {"web", "academic", "markdown", "glossary", "code"}
    assert all(set(f) == {"path", "size", "sha256"} for files in listed.values() for f in files)


def test_english_pages_in_a_translation_are_found(tmp_path):
    half = "\n\n".join([*essays("de")[5:7], essays("en")[3]])
    lines(tmp_path / "docs-de.jsonl", [*essays("de")[:5], *essays("en")[:3], half])
    lines(tmp_path / "docs-fr.jsonl", essays("fr")[:4])
    lines(tmp_path / "how-to-do-it.jsonl", essays("en")[4:9])  # "it" is a word here, not Italian
    source = SourceConfig(name="docs", domain="reference", format="jsonl", path="*.jsonl")
    curate(CorpusConfig(root=tmp_path, sources=(source,)), 0, tmp_path / "out", workers=1)
    [found] = audit_of(tmp_path / "out")["untranslated"]
    pages = found.pop("pages")
    assert found == {
        "source": "docs", "declared": "de", "documents": 9, "translated": 6, "english": 3, "mixed": 1, "kept": 3,
    }  # fmt: skip
    assert {page["url"] for page in pages} == {"5.md", "6.md", "7.md"} and {page["fate"] for page in pages} == {"kept"}


def test_examples_show_the_limit_from_both_sides(curated):
    for example in audit_of(curated)["examples"]:
        if example["limit"] is not None and example["reason"] in ("too short", "stop words"):
            assert (example["value"] >= example["limit"]) == example["kept"]
    duplicates = [e for e in audit_of(curated)["examples"] if e["reason"] == "exact duplicate"]
    assert {e["kept"] for e in duplicates} == {True, False}
    assert {e["text"] for e in duplicates if e["kept"]} == {e["text"] for e in duplicates if not e["kept"]}


def test_audit_lists_groups_and_limits(tmp_path):
    lines(tmp_path / "manual.jsonl", [f"{essay}\n\n" + "- short\n" * 8 for essay in essays("en") * 3][:60])
    (tmp_path / "page.txt").write_text(essays("de")[1])
    sources = (
        SourceConfig(name="manual", domain="reference", format="jsonl", path="*.jsonl"),
        SourceConfig(name="pages", domain="web", format="text", path="*.txt"),
    )
    curate(CorpusConfig(root=tmp_path, sources=sources), 0, tmp_path / "out", workers=1)
    audit = audit_of(tmp_path / "out")
    groups = {(group["domain"], group["language"]): group for group in audit["thresholds"]["groups"]}
    manual = groups["reference", "en"]
    assert manual["basis"] == "reference.en" and manual["trusted"] >= 30
    assert manual["limits"]["repeated_line_count"] > 0.3  # the repeated bullets of trusted text are no fault
    assert groups["web", "de"]["basis"] == "general" and groups["web", "de"]["limits"] == {}
    table = {group["group"]: group["documents"] for group in audit["groups"]}
    assert table["web.de"][0] == table["web.de"][-1] == 1
    assert [sum(column) for column in zip(*table.values(), strict=True)] == [
        step["documents"] for step in audit["funnel"]
    ]
