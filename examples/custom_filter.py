"""Curate with a filter and an annotation of your own beside the built-in ones.

python examples/custom_filter.py [RECIPE]    (a recipe's name or file; quickstart if it is not given)
"""

import sys

import altiplano


def no_placeholder_text(document: altiplano.Document) -> str | None:
    """A filter returns why to drop a document, or None."""
    return "placeholder text" if "lorem ipsum" in document.text.lower() else None


def questions(text: str) -> dict[str, float]:
    """An annotator returns further columns of the documents."""
    return {"questions": text.count("?") / max(1, len(text.split()))}


def main(name: str = "quickstart") -> None:
    recipe = altiplano.load_recipe(name)
    run = altiplano.curate(
        recipe, f"runs/{recipe.name}-filtered", filters=[no_placeholder_text], annotators=[questions]
    )
    documents = run.documents
    print(f"{documents['keep'].sum()} of {len(documents)} documents kept")
    print(documents.loc[~documents["keep"], "reason"].value_counts())
    print(documents.groupby("domain")["questions"].mean())


if __name__ == "__main__":  # the functions run in other processes, which import this file
    main(*sys.argv[1:])
