"""The figures Datlake is held to, measured: `python -m benchmarks [P1 P3 …]` prints each beside its target."""
