"""Held-out documents: the same ones forever, in every group that can spare them, and not in training."""

import hashlib

import numpy as np
import pytest

from altiplano.corpus.splits.heldout import Chooser, place
from altiplano.corpus.splits.overlap import ngrams_of, overlaps, seen_in
from altiplano.recipe.schema import HeldoutConfig

SETTINGS = HeldoutConfig()


def hashes(names):
    return np.array([hashlib.sha256(name.encode()).hexdigest()[:32] for name in names], object)


def is_held_out(document_hashes, groups, settings, shards=3):
    """As the curate stage does it: a chooser for each shard, one for what these remember, then its places."""
    chooser = Chooser(settings)
    for part in np.array_split(np.arange(len(groups)), shards):
        of_shard = Chooser(settings)
        of_shard.add(place(document_hashes[part]), groups[part])
        found = of_shard.remembered()
        chooser.add(found["place"], found["group"])
    places = chooser.places()
    return place(document_hashes) <= np.array([places.get(group, -1.0) for group in groups])


def test_a_growing_corpus_keeps_what_was_held_out_by_its_hash():
    names = [f"document {i}" for i in range(5000)]
    groups = np.full(5000, "web.en", object)
    few = is_held_out(hashes(names[:2000]), groups[:2000], SETTINGS)
    many = is_held_out(hashes(names), groups, SETTINGS)
    assert (many[:2000] == few).all()
    assert 0.015 < many.mean() < 0.025


def test_order_does_not_matter():
    names = [f"document {i}" for i in range(500)]
    groups = np.array([f"web.{'de' if i % 3 else 'en'}" for i in range(500)], object)
    shuffled = np.random.default_rng(0).permutation(500)
    straight = is_held_out(hashes(names), groups, SETTINGS)
    mixed = is_held_out(hashes(names)[shuffled], groups[shuffled], SETTINGS)
    assert (straight[shuffled] == mixed).all()


@pytest.mark.parametrize(("size", "expected"), [(0, 0), (1, 0), (3, 0), (4, 2), (12, 2)])
def test_small_groups_spare_their_minimum_or_nothing(size, expected):
    chosen = is_held_out(hashes([f"small {i}" for i in range(size)]), np.full(size, "web.fr", object), SETTINGS)
    assert chosen.sum() == expected


def test_pieces_of_one_document_stay_together():
    names = [f"book {i // 5}" for i in range(1000)]
    chosen = is_held_out(hashes(names), np.full(1000, "academic.en", object), SETTINGS)
    assert 0 < chosen.sum() < 100
    held = {name for name, is_held in zip(names, chosen, strict=True) if is_held}
    assert sum(name in held for name in names) == chosen.sum()
    assert not is_held_out(hashes(["one"] * 9), np.full(9, "academic.en", object), SETTINGS).any()


def test_overlap_is_the_share_of_13_grams_seen():
    shared = " ".join(f"shared{chr(97 + i)}x" for i in range(20))
    own = " ".join(f"own{chr(97 + i)}y" for i in range(20))
    texts = [shared, f"{shared} {own}", own, "too short"]
    grams, owners = ngrams_of(texts)
    seen = seen_in(np.unique(grams), [f"before it all {shared} and after", ""])
    assert overlaps(grams, owners, 4, seen).tolist() == [1.0, pytest.approx(8 / 28), 0.0, 0.0]
