"""Score a Hugging Face folder of a Llama model (or a run) on text files, and fit a temperature to it.

python examples/score_a_model.py MODEL FILE...    (a model folder or a run; each file is a group)
"""

import sys
from pathlib import Path

import altiplano


def main(folder: str, *files: str) -> None:
    model = altiplano.load_model(folder)
    texts = {Path(file).name: Path(file).read_text().split("\n\n") for file in files}
    for name, score in altiplano.evaluate(model, texts).items():
        print(f"{name:<24} perplexity {score.perplexity:10.2f}   bits per byte {score.bits_per_byte:.4f}", end="")
        print(f" ({score.bits_per_byte_low:.4f} to {score.bits_per_byte_high:.4f})   {score.documents} documents")
    temperature = altiplano.fit_temperature(model, [text for group in texts.values() for text in group])
    print(f"temperature {temperature:.3f} (1 is calibrated; above 1 the model is too sure of itself)")


if __name__ == "__main__":
    main(*sys.argv[1:])
