"""The contract: models, operations and how they travel. Imports msgspec and the error tree, nothing else."""
