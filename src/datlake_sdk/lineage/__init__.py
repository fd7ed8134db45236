"""OpenLineage, purely: events into what a lake keeps, and back. Shared by the SDK and the server; opens nothing."""
