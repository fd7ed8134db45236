"""Where the lake keeps the bytes of artifacts."""
