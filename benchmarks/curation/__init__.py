"""The stages of ``benchmarks/curation.py``: ``NAME.py`` is our side, ``NAME_datatrove.py`` theirs.

Our side declares ``TITLE``, ``WAYS`` (name of a way → demanded ratio, 0 for none) and ``LIMIT`` (what bounds it), and
defines ``prepare(corpus, folder) -> Path`` (the input that all ways share), ``load(way) -> work`` and, if it has
more to say than seconds, ``judge(outputs) -> dict`` over the files that the ways wrote. Their side defines ``load``.
``work(given, output) -> size`` does the whole stage once and returns the input's size in bytes; loading is not timed.
"""
