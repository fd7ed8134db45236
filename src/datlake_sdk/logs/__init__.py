"""The log of a run: what `logging`, stdout and stderr said while it was open, in one file. Imports nothing itself."""
