"""Where the lake keeps its records."""
