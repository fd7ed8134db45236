"""Programs that the measures start as processes of their own; each prints one line of JSON, or the address it serves."""
