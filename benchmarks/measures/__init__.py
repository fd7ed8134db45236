"""One module for each figure of the list; each has `measure(plan) -> Result`."""
