"""Prompts and pairs of other projects: files made here in their formats; garak where it is installed."""

import importlib.util
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from altiplano.errors import InputError
from altiplano.redteam.outside import garak_probe, paired_sentences, read_pairs
from altiplano.redteam.probes.probe_set import make_probe, read_set
from altiplano.redteam.probes.prompt_lists import read_prompts
from altiplano.redteam.probes.trial import Trial


@pytest.mark.parametrize(
    ("name", "text", "column"),
    [
        ("a.txt", "one\n\ntwo\none\n", ""),
        ("a.jsonl", '{"goal": "one"}\n{"goal": "two"}\n{"other": "x"}\n', "goal"),
        ("a.csv", "goal,more\none,1\ntwo,2\n", "goal"),
        ("a.prompt", "dataset_name: a\nseeds:\n- value: one\n- value: two\n", ""),
    ],
)
def test_lists_of_prompts_are_read_in_each_format(tmp_path, name, text, column):
    (tmp_path / name).write_text(text)
    assert read_prompts(tmp_path / name, column) == ["one", "two"]


def test_a_list_without_the_column_is_refused(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"goal": "one"}\n')
    with pytest.raises(InputError, match="no prompts in column 'prompt'"):
        read_prompts(tmp_path / "a.jsonl", "prompt")


def test_a_set_may_take_its_topics_from_a_list(tmp_path):
    (tmp_path / "list.txt").write_text("Say {nothing}\nSay less\n")
    (tmp_path / "set.toml").write_text(
        'hazard = "fraud"\ndetector = "lure"\ndata = "list.txt"\n[en]\nask = ["Q: {topic}\\nA:"]\n'
    )
    probe = make_probe("set", read_set(tmp_path / "set.toml"), 10, 0, 0)
    assert {trial.prompt for trial in probe.trials} == {"Q: Say {nothing}\nA:", "Q: Say less\nA:"}


STEREOSET = (
    '{"bias_type": "age", "context": "The man was BLANK.", "stereotype": "He was old.", "anti-stereotype": "He ran."}\n'
    '{"bias_type": "age", "context": "A man came.", "stereotype": "He sat.", "anti-stereotype": "He ran."}\n'
)
CROWS = "sent_more,sent_less,stereo_antistereo,bias_type\nA b.,A c.,stereo,age\nD e.,D f.,antistereo,age\n"


def test_pairs_of_stereoset_and_crows_pairs_keep_their_sides(tmp_path):
    (tmp_path / "s.jsonl").write_text(STEREOSET)
    (tmp_path / "c.csv").write_text(CROWS)
    assert read_pairs(tmp_path / "s.jsonl") == [
        ("age", "He was old.", "He ran."),
        ("age", "A man came. He sat.", "A man came. He ran."),
    ]
    assert read_pairs(tmp_path / "c.csv") == [("age", "A b.", "A c."), ("age", "D f.", "D e.")]
    (tmp_path / "n.csv").write_text("x,y\n1,2\n")
    with pytest.raises(InputError, match="no pairs"):
        read_pairs(tmp_path / "n.csv")


def test_a_model_that_prefers_one_side_of_the_pairs_is_seen(tmp_path, overfit, tokenizer):
    liked = [f"the mountain sings {number} times" for number in range(30)]
    (tmp_path / "p.csv").write_text(
        "sent_more,sent_less,stereo_antistereo\n"
        + "".join(f"{text},{text.replace('sings', 'carries')},stereo\n" for text in liked)
    )
    served = overfit([[tokenizer.bos, *tokenizer.encode(text)] for text in liked], 60)
    found = paired_sentences(served, tmp_path / "p.csv", 30, 0, lambda tokens: float(np.sum(tokens)))
    assert found.model.rate > 0.9 and found.judged.low > 0.2
    assert found.hazard == "bias"
    long = f"{'and so ' * served.context}the mountain"
    with (tmp_path / "p.csv").open("a") as file:
        file.write(f"{long} sings,{long} carries,stereo\n")
    found = paired_sentences(served, tmp_path / "p.csv", 31, 0, lambda tokens: float(np.sum(tokens)))
    assert found.n == 30 and "not asked: 1 too long for the model" in found.what
    (tmp_path / "p.csv").write_text(f"sent_more,sent_less,stereo_antistereo\n{long} sings,{long} carries,stereo\n")
    with pytest.raises(InputError, match="every pair is longer"):
        paired_sentences(served, tmp_path / "p.csv", 31, 0, lambda tokens: float(np.sum(tokens)))


class FakeProbe:
    primary_detector = "fake.Word"
    recommended_detector = ()
    goal = "say the word"
    prompts = (
        "one",
        SimpleNamespace(text="two"),
        SimpleNamespace(turns=[SimpleNamespace(content=SimpleNamespace(text="three"))]),
    )

    def _mint_attempt(self, prompt, seq, lang):
        return SimpleNamespace(prompt=prompt, seq=seq, outputs=[])


class FakeDetector:
    def detect(self, attempt):
        return [None if one == "silence" else float("word" in one and attempt.seq == 1) for one in attempt.outputs]


@pytest.fixture
def fake_garak(monkeypatch, tmp_path):
    """A stand-in with garak's calls: what they return is tested with garak itself below, where it is installed."""
    plugins, settings, garak = ModuleType("garak._plugins"), ModuleType("garak._config"), ModuleType("garak")
    plugins.load_plugin = lambda name, config_root: FakeProbe() if name.startswith("probes") else FakeDetector()
    settings.load_base_config = lambda: None
    settings.__file__ = str(tmp_path / "_config.py")
    for module in (garak, plugins, settings):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return tmp_path


def test_garaks_prompts_and_detectors_become_a_probe(fake_garak):
    probe = garak_probe("lmrc.Fake")
    assert [trial.prompt for trial in probe.trials] == ["one", "two", "three"]
    assert probe.hazard == "toxicity"
    assert [probe.score(trial, "the word") for trial in probe.trials] == [0.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="said nothing"):
        probe.score(probe.trials[0], "silence")
    assert len(garak_probe("lmrc.Fake", 2).trials) == 2


def test_a_detector_without_power_by_garaks_own_measurement_is_refused(fake_garak):
    metrics = fake_garak / "data" / "detectors_eval" / "detector_metrics_summary.json"
    metrics.parent.mkdir(parents=True)
    metrics.write_text('{"results": {"fake.Word": {"metrics": {"hit_sensitivity": 0.0, "hit_specificity": 1.0}}}}')
    with pytest.raises(InputError, match=r"fake\.Word has no power: sensitivity 0\.00"):
        garak_probe("lmrc.Fake")


@pytest.mark.skipif(importlib.util.find_spec("garak") is None, reason="garak is not installed")
def test_garak_itself():
    probe = garak_probe("lmrc.Profanity")
    assert probe.trials and probe.score(Trial("", probe.trials[0].prompt, target="0"), "a quiet day") == 0.0


def test_without_garak_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "garak._config", None)
    monkeypatch.setitem(sys.modules, "garak._plugins", None)
    with pytest.raises(InputError, match="pip install garak"):
        garak_probe("lmrc.Profanity")
