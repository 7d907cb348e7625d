"""``python -m altiplano``."""

from altiplano.cli import main

main()
