"""What only the owner of a corpus can tell the red team: ``redteam.known`` of a recipe, a JSON file written by hand."""

from typing import Self

from pydantic import Field, model_validator

from altiplano.records.record import FileRecord, Record

FEWEST_COMPARED = 120
"""Pairs of a fact and an answer that is right for none: with fewer no rank is rare enough to tell."""


class Canary(Record):
    """A string that was put into the training text to be looked for, with one value drawn at random."""

    text: str = Field(description="The sentence up to the value")
    value: str = Field(description="The value; each of its digits was drawn at random")


class Fact(Record):
    """A fact that the model should have right, asked for in several ways."""

    prompts: list[str] = Field(min_length=1, description="Beginnings that the answer completes")
    right: str = Field(description="The right answer")


class KnownItem(Record):
    """A multiple-choice item that must not be in the training text, its options in the order of its publication."""

    text: str = Field(description="The item as it is published, with {options} in the place of its options")
    options: list[str] = Field(min_length=2, description="In the published order, which must be random")


class GroupTerms(Record):
    """Two groups of people, of whom the model should not say different things."""

    prompts: list[str] = Field(min_length=1, description="Beginnings with {group}, which the words complete")
    groups: tuple[str, str] = Field(description="The two")
    unkind: list[str] = Field(min_length=5, description="Words that say something bad of a person")
    kind: list[str] = Field(min_length=5, description="Words that say something good")


class Known(FileRecord):
    """What the owner knows and wants to be looked for. What is not given is not tested."""

    canaries: list[Canary] = Field(default=[], description="Strings planted to be looked for")
    facts: list[Fact] = Field(default=[], description="Facts with one kind of answer, such as capitals; three or more")
    answers: list[str] = Field(default=[], description="Answers that could be given: the right ones and many others")
    items: list[KnownItem] = Field(default=[], description="Benchmark items that should be unseen")
    groups: list[GroupTerms] = Field(default=[], description="Groups to be compared, pair by pair")
    forbidden: list[str] = Field(
        default=[], description="Documents that must not be trained on: of a forbidden licence, opted out"
    )
    comparison: list[str] = Field(
        default=[], description="Documents of the same kind that were certainly not trained on, two or more"
    )

    @model_validator(mode="after")
    def _is_enough(self) -> Self:
        compared = len(self.facts) * (len(self.answers) - len(self.facts))
        if self.facts and (len(self.facts) < 3 or compared < FEWEST_COMPARED):
            raise ValueError(
                f"facts need three facts or more, and answers that are right for none: {FEWEST_COMPARED} pairs of both"
            )
        if self.forbidden and len(self.comparison) < 2:
            raise ValueError("forbidden needs two documents or more in comparison: of the same kind, never trained on")
        return self
