import json
import shutil
import time
from dataclasses import replace

import pytest
import torch
from made_up_verdicts import answer_calibration

from altiplano.errors import InputError
from altiplano.inference import selftest
from altiplano.inference.language_model import LocalModel, load_language_model, model_fingerprint
from altiplano.inference.log_probabilities import score
from altiplano.records import AnswerTemperature

testclient = pytest.importorskip("starlette.testclient")


@pytest.fixture
def client(served: LocalModel):
    from altiplano.inference.service import application

    with testclient.TestClient(application(served), raise_server_exceptions=False) as client:
        yield client


def complete(client, **body):
    answer = client.post("/v1/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def events(answer) -> list:
    lines = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_a_completion_has_the_shape_of_openai(client, served: LocalModel):
    answer = complete(client, model="tiny", prompt="The wind", max_tokens=6, temperature=0)
    assert answer["object"] == "text_completion"
    assert answer["id"].startswith("cmpl-")
    [choice] = answer["choices"]
    assert choice["index"] == 0
    assert choice["logprobs"] is None
    assert choice["finish_reason"] == "length"
    prompt = len(served.prompt("The wind"))
    assert answer["usage"] == {"prompt_tokens": prompt, "completion_tokens": 6, "total_tokens": prompt + 6}


def test_all_four_forms_of_prompt_say_the_same(client, served: LocalModel):
    tokens = served.prompt("The wind")
    forms = ["The wind", ["The wind", "The wind"], tokens, [tokens, tokens], "<|begin_of_text|>The wind"]
    said = {choice["text"] for form in forms for choice in complete(client, prompt=form, temperature=0)["choices"]}
    assert len(said) == 1


def test_echo_of_a_scored_prompt_as_evaluation_harnesses_ask_for_it(client, served: LocalModel):
    tokens = served.prompt("The wind is cold")
    body = {"prompt": [tokens], "temperature": 0, "max_tokens": 1, "logprobs": 1, "echo": True, "seed": 1234}
    logprobs = complete(client, **body)["choices"][0]["logprobs"]
    assert logprobs["token_logprobs"][0] is None
    assert logprobs["top_logprobs"][0] is None
    assert len(logprobs["tokens"]) == len(tokens) + 1
    expected = score(served.model, [tokens])[0].logprobs
    assert torch.allclose(torch.tensor(logprobs["token_logprobs"][1:-1]), expected, atol=1e-4)
    assert logprobs["tokens"][0] == "<|begin_of_text|>"  # the client sent it


def test_echo_without_generation_hides_the_servers_own_begin_token(client):
    [choice] = complete(client, prompt="The wind", max_tokens=0, echo=True, logprobs=2)["choices"]
    assert choice["text"] == "The wind"
    logprobs = choice["logprobs"]
    assert "".join(logprobs["tokens"]) == "The wind"
    assert logprobs["token_logprobs"][0] is None
    offsets = logprobs["text_offset"]
    for token, offset in zip(logprobs["tokens"], offsets, strict=True):
        assert choice["text"].startswith(token, offset)
    for name, best in zip(logprobs["tokens"][1:], logprobs["top_logprobs"][1:], strict=True):
        assert name in best
        assert 2 <= len(best) <= 3


def test_parts_of_characters_are_named_by_their_bytes(client):
    [choice] = complete(client, prompt="山 é", max_tokens=0, echo=True, logprobs=0)["choices"]
    assert choice["text"] == "山 é"
    assert choice["logprobs"]["tokens"][0].startswith("bytes:\\x")
    assert choice["logprobs"]["text_offset"][0] == 0
    assert max(choice["logprobs"]["text_offset"]) <= 2


def test_n_choices_differ_and_a_seed_repeats_them(client):
    first, again = (complete(client, prompt="The", n=3, seed=5, temperature=1.0) for _ in range(2))
    texts = [choice["text"] for choice in first["choices"]]
    assert len(set(texts)) == 3
    assert texts == [choice["text"] for choice in again["choices"]]
    assert [choice["index"] for choice in first["choices"]] == [0, 1, 2]


def test_the_temperature_of_the_release_rules_when_none_is_asked(client):
    absent = complete(client, prompt="The", seed=5, max_tokens=40)
    named = complete(client, prompt="The", seed=5, max_tokens=40, temperature=0.8)
    assert absent["choices"][0]["text"] == named["choices"][0]["text"]


@pytest.mark.parametrize(
    "extra", [{}, {"echo": True}, {"stop": ["ou", "q"]}, {"n": 2}, {"max_tokens": 0, "echo": True}]
)
def test_a_stream_adds_up_to_the_whole_answer(client, extra):
    body = {"prompt": "The wind", "max_tokens": 25, "seed": 1, "logprobs": 2, **extra}
    whole = complete(client, **body)
    answer = client.post("/v1/completions", json={**body, "stream": True, "stream_options": {"include_usage": True}})
    assert answer.headers["content-type"].startswith("text/event-stream")
    chunks = events(answer)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == whole["usage"]
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    for choice in whole["choices"]:
        parts = [part for chunk in chunks for part in chunk["choices"] if part["index"] == choice["index"]]
        assert "".join(part["text"] for part in parts) == choice["text"]
        assert parts[-1]["finish_reason"] == choice["finish_reason"]
        assert all(part["finish_reason"] is None for part in parts[:-1])
        for key in ("tokens", "text_offset"):
            assert [x for part in parts if part["logprobs"] for x in part["logprobs"][key]] == choice["logprobs"][key]


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"prompt": "a", "model": "other"}, 404, "model"),
        ({"prompt": "a", "max_tokens": -1}, 400, "max_tokens"),
        ({"prompt": "a", "max_tokens": "many"}, 400, "max_tokens"),
        ({"prompt": {"text": "a"}}, 400, "prompt"),
        ({"prompt": []}, 400, "prompt"),
        ({"prompt": [[]]}, 400, "prompt"),
        ({"prompt": [10**6]}, 400, "prompt"),
        ({"prompt": "a", "max_tokens": 0}, 400, "max_tokens"),
        ({"prompt": "a", "max_tokens": 4096}, 400, "prompt"),
        ({"prompt": "a", "temperature": -1}, 400, "temperature"),
        ({"prompt": "a", "logprobs": 50}, 400, "logprobs"),
        ({"prompt": "a", "n": 100000}, 400, "n"),
        ({"prompt": "a", "best_of": 3}, 400, "best_of"),
        ({"prompt": "a", "frequency_penalty": 1.0}, 400, "frequency_penalty"),
        ({"prompt": "a", "stop": [""]}, 400, "stop"),
        ({"prompt": "a", "stream_options": {"include_usage": True}}, 400, "stream_options"),
        ({"prompt": "a", "mirostat": 2}, 400, "mirostat"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(client, body, status, param):
    answer = client.post("/v1/completions", json=body)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param


def test_a_million_spaces_are_too_long_and_nothing_worse(client):
    for prompt in (" " * 1_200_000, "a" * 1_200_000, ["x", "\t" * 900_000]):
        answer = client.post("/v1/completions", json={"prompt": prompt})
        assert answer.status_code == 400 and answer.json()["error"]["param"] == "prompt", answer.text[:200]
    complete(client, prompt="a")


def test_neutral_values_of_what_is_not_supported_are_accepted(client):
    complete(
        client, prompt="a", frequency_penalty=0, presence_penalty=0.0, logit_bias={}, suffix=None, best_of=1, user="x"
    )


def test_other_addresses_and_bodies_get_an_error_object(client):
    assert client.post("/v1/completions", content=b"{").status_code == 400
    assert client.get("/v1/completions").status_code == 405
    missing = client.get("/v1/embeddings")
    assert missing.status_code == 404
    assert "/v1/completions" in missing.json()["error"]["message"]
    chat = client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "hi"}]})
    assert chat.status_code == 400
    assert "base model" in chat.json()["error"]["message"]


def test_models_health_and_metrics(client, served: LocalModel):
    [model] = client.get("/v1/models").json()["data"]
    assert client.get(f"/v1/models/{model['id']}").json() == model
    unknown = client.get("/v1/models/gpt-4/of/another")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    assert model["id"] == "tiny"
    assert model["max_model_len"] == served.context
    assert (model["temperature"], model["answer_temperature"]) == (0.8, None)
    assert client.get("/health").json()["status"] == "ok"
    complete(client, prompt="The", max_tokens=4, temperature=0)
    client.post("/v1/completions", json={"prompt": []})
    text = client.get("/metrics").text
    assert 'altiplano_requests_total{status="200"} 1' in text
    assert 'altiplano_requests_total{status="400"} 1' in text
    assert "altiplano_completion_tokens_total 4" in text
    assert "altiplano_requests_running 0" in text


def test_a_release_folder_loads_as_it_was(served: LocalModel, release):
    loaded = load_language_model(release)
    assert (loaded.name, loaded.context, loaded.temperature) == (release.parent.name, 256, 0.8)
    (release / "generation_config.json").rename(release / "aside")
    (release / "calibration.json").write_text('{"temperature": 1.25}')
    try:
        assert load_language_model(release).temperature == 1.25
    finally:
        (release / "aside").rename(release / "generation_config.json")
        (release / "calibration.json").unlink()
    with pytest.raises(InputError, match=r"config\.json"):
        load_language_model(release.parent)


FITTED = {"value": 4.2, "low": 3.6, "high": 5.0, "at_bound": False, "normalisation": "per_character"}
FITTED |= {"tasks": ["a", "b"], "items": 9, "clusters": 9}


def test_the_answer_temperature_is_named_beside_raw_logprobs(served: LocalModel):
    from altiplano.inference.service import application

    fitted = AnswerTemperature.model_validate(FITTED)
    plain, named = (
        testclient.TestClient(application(replace(served, answer_temperature=one))) for one in (None, fitted)
    )
    [model] = named.get("/v1/models").json()["data"]
    assert model["temperature"] == 0.8 and model["answer_temperature"] == FITTED
    body = {"prompt": "The wind", "max_tokens": 4, "logprobs": 2, "echo": True, "seed": 1}
    one, two = complete(plain, **body), complete(named, **body)
    assert one["choices"] == two["choices"]  # neither sampling nor log-probabilities change
    assert one["calibration"] == {
        "logprobs_temperature": 1.0,
        "answer_temperature": None,
        "answer_normalisation": None,
    }
    assert two["calibration"] == {
        "logprobs_temperature": 1.0,
        "answer_temperature": 4.2,
        "answer_normalisation": "per_character",
    }
    assert "calibration" not in complete(named, prompt="The wind", max_tokens=2)
    body = {"prompt": "The", "max_tokens": 2, "logprobs": 1, "stream": True}
    streamed = events(named.post("/v1/completions", json=body))
    assert all(event["calibration"] == two["calibration"] for event in streamed)


def test_where_an_answer_temperature_comes_from(release, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(release, folder)
    (folder / "calibration.json").write_text(json.dumps({"temperature": 1.25, "answer_temperature": FITTED}))
    loaded = load_language_model(folder)
    assert loaded.temperature == 0.8 and loaded.answer_temperature == AnswerTemperature.model_validate(FITTED)

    found = answer_calibration()
    (folder / "answer_calibration.json").write_text(json.dumps(found | {"fingerprint": model_fingerprint(folder)}))
    loaded = load_language_model(folder)
    assert loaded.answer_temperature is not None and loaded.answer_temperature.value == 4.236
    (folder / "answer_calibration.json").write_text(json.dumps(found | {"fingerprint": "of another"}))
    with pytest.raises(InputError, match="other weights"):
        load_language_model(folder)
    (folder / "answer_calibration.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        load_language_model(folder)
    (folder / "answer_calibration.json").unlink()
    (folder / "calibration.json").write_text('{"temperature": 1.25, "answer_temperature": {"value": "hot"}}')
    with pytest.raises(InputError, match="answer_temperature is damaged"):
        load_language_model(folder)


def test_the_self_test_passes_and_catches_what_the_cache_gets_wrong(
    served: LocalModel, monkeypatch: pytest.MonkeyPatch
):
    assert selftest.check(served) < 1e-4
    from altiplano.model.attention import Cache

    right = Cache.mask

    def sees_the_padding(cache: Cache, document: torch.Tensor) -> torch.Tensor:
        return right(cache, torch.zeros_like(document))

    monkeypatch.setattr(Cache, "mask", sees_the_padding)
    with pytest.raises(InputError, match="self-test failed"):
        selftest.check(served)


def test_the_self_test_refuses_broken_numbers(tokenizer, served: LocalModel):
    import copy

    model = copy.deepcopy(served.model)
    with torch.no_grad():
        model.norm.weight[0] = float("nan")
    with pytest.raises(InputError, match="self-test failed"):
        selftest.check(LocalModel("broken", model, tokenizer, 256))


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({"prompt": [1.5] * 400_000}, 400, "prompt"),
        ({"prompt": ["a"] * 300_000}, 400, "300,000 prompts are over 256"),
        ({"prompt": [[1]] * 300_000}, 400, "300,000 prompts are over 256"),
        ({"prompt": [1] * 600_000}, 400, "context"),
        ({"prompt": "a " * 900_000}, 400, "context"),
        ({"prompt": [True, 1]}, 400, "prompt"),
        ({"prompt": ["a", 1]}, 400, "prompt"),
        ({"prompt": "a", "stop": ["x"] * 17}, 400, "stop"),
        ({"prompt": "a", "stop": "x" * 1001}, 400, "stop"),
        ({"prompt": "a", "temperature": 1e-38}, 400, "temperature"),
        ({"prompt": "a", "temperature": "0.5"}, 400, "temperature"),
        ({"prompt": "a", "temperature": True}, 400, "temperature"),
        ({"prompt": "a", "top_k": 2**63}, 400, "top_k"),
        ({"prompt": "a", "seed": 2**64}, 400, "seed"),
        ({"prompt": "a", "n": 10**9}, 400, "n"),
        ({"prompt": "a" * 3_000_000}, 413, "larger than"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_bodies_that_would_cost_much_are_refused(client, body: dict, status: int, named: str):
    """In less time than many good requests take, whatever the machine; nobody else waits for them."""
    text = json.dumps(body)
    began = time.process_time()
    answer = client.post("/v1/completions", content=text)
    seconds = time.process_time() - began
    assert answer.status_code == status and named in answer.text, answer.text[:300]
    began = time.process_time()
    for _ in range(20):
        json.loads(json.dumps({"prompt": [1] * 100_000}))
    assert seconds < 20 * (time.process_time() - began)


@pytest.mark.parametrize("where", ["prompt", "stop", "user", "model", "list"])
def test_half_of_a_surrogate_pair_is_refused(client, where: str):
    bad = r"\ud800"
    parts = {"prompt": '"a"', **({} if where == "list" else {where: f'"{bad}"'})}
    if where == "list":
        parts["prompt"] = f'["{bad}"]'
    answer = client.post("/v1/completions", content="{" + ", ".join(f'"{k}": {v}' for k, v in parts.items()) + "}")
    assert answer.status_code == 400 and "surrogate" in answer.text


def test_deep_json_is_refused(client):
    answer = client.post("/v1/completions", content="[" * 200_000 + "]" * 200_000)
    assert answer.status_code == 400 and "nested too deeply" in answer.text


def test_a_key_and_a_name(served: LocalModel):
    from altiplano.inference.service import application

    with testclient.TestClient(application(served, "s3cret", ["localhost"]), base_url="http://localhost") as client:
        body = {"prompt": "a", "max_tokens": 1}
        assert client.post("/v1/completions", json=body).status_code == 401
        wrong = {"Authorization": "Bearer other"}
        assert client.get("/metrics", headers=wrong).status_code == 401
        assert client.get("/health").status_code == 200
        right = {"Authorization": "Bearer s3cret"}
        assert client.post("/v1/completions", json=body, headers=right).status_code == 200
        assert client.get("/health", headers={"Host": "evil.example"}).status_code == 400
