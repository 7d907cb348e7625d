"""Train a small Llama on your own text files, and let it write.

python examples/train_on_my_text.py FOLDER    (a folder of .txt files, some hundred kilobytes or more)
"""

import sys

import altiplano


def main(folder: str) -> None:
    recipe = altiplano.load_recipe(
        "quickstart",
        {
            "name": "my-text",
            "corpus.root": folder,
            "corpus.sources": [{"name": "mine", "domain": "web", "format": "text", "path": "**/*.txt"}],
            "corpus.quality": {"min_characters": 50},
            "model.vocab_size": 1024,
            "batch.total_tokens": "100Ki",
        },
    )
    run = altiplano.train(recipe)
    print(run.heldout.xs("total", level="group")["bits_per_byte"])
    print(altiplano.generate(run.load_model(), "The ", max_tokens=40)[0])


if __name__ == "__main__":
    main(sys.argv[1])
