"""Programs that the measures start as processes of their own; each prints a line of JSON, or where it serves."""
