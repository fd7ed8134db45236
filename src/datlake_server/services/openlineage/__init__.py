"""OpenLineage's events into runs, snapshots and lineage: the same state, whatever their order and however often."""
