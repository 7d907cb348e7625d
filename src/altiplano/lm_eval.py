"""Altiplano's models in lm-evaluation-harness.

``python -m altiplano.lm_eval run --model altiplano --model_args model=FOLDER --tasks …``. The harness finds models of
other packages only when they have been imported; this module registers ``altiplano`` and hands over to the harness' own
command line. From Python, ``import altiplano.lm_eval`` is enough.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lm_eval import utils
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model

from altiplano.inference.continuations import Likelihood, fit
from altiplano.inference.generate import Row, Sampling
from altiplano.inference.language_model import load_language_model

TokenRequest = tuple[Any, list[int], list[int]]


@register_model("altiplano")
class AltiplanoLM(TemplateLM):  # type: ignore[misc]
    """Log-likelihoods with shared contexts, rolling log-likelihoods, and greedy or sampled texts."""

    def __init__(self, model: str, dtype: str = "float32", batch_size: Any = None, max_batch_size: Any = None,
                 device: Any = None, **options: Any):  # fmt: skip
        """``model``: a run, a model folder or a GGUF file. Batch sizes follow from the memory of the cache."""
        super().__init__()
        self.served = load_language_model(Path(model), getattr(torch, dtype))

    @property
    def eot_token_id(self) -> int:
        return self.served.tokenizer.eos

    @property
    def prefix_token_id(self) -> int:
        return self.served.tokenizer.bos

    @property
    def max_length(self) -> int:
        return self.served.context

    @property
    def tokenizer_name(self) -> str:
        return self.served.name

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **options: Any) -> list[int]:
        adds = self.served.adds_bos if add_special_tokens is None else add_special_tokens
        return [self.prefix_token_id] * adds + self.served.tokenizer.encode(string)

    def _loglikelihood_tokens(self, requests: Sequence[TokenRequest], **options: Any) -> list[tuple[float, bool]]:
        found = self._score([(context, tokens) for _, context, tokens in requests])
        for (request, _, _), one in zip(requests, found, strict=True):
            self.cache_hook.add_partial("loglikelihood", request, (one.logprob, bool(one.greedy)))
        return [(one.logprob, bool(one.greedy)) for one in found]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Of whole documents, in windows that do not overlap. The begin token is context once, and never predicted."""
        windows: list[tuple[int, tuple[list[int], list[int]]]] = []
        for number, request in enumerate(requests):
            text = self.tok_encode(request.args[0], add_special_tokens=False)
            rolled = utils.get_rolling_token_windows(text, self.prefix_token_id, self.max_length, 1)
            windows += [(number, utils.make_disjoint_window(window)) for window in rolled]
        totals = [0.0] * len(requests)
        scored = self._score([window for _, window in windows])
        for (number, _), one in zip(windows, scored, strict=True):
            totals[number] += one.logprob
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        rows = []
        for request in requests:
            context, settings = request.args
            most = int(settings.get("max_gen_toks", 256))
            until = settings.get("until") or []
            sampled = settings.get("do_sample", False)
            temperature = float(settings.get("temperature", 1.0)) if sampled else 0.0
            sampling = Sampling(most, temperature, stop=tuple([until] if isinstance(until, str) else until))
            rows.append(Row(self.served.prompt(context, max(1, self.max_length - most)), sampling))
        self.served.generate(rows)
        return [row.text for row in rows]

    def _score(self, pairs: Sequence[tuple[list[int], list[int]]]) -> list[Likelihood]:
        fitted = [fit(context, tokens, self.max_length) for context, tokens in pairs]
        return self.served.score_continuations(fitted)


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
