"""A run with children on a thread pool: contexts opened in a run are its children, `job.bind` takes it into threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from datlake_sdk import DatlakeClient, JobContext

SHOPS = ("north", "south", "west")


def load_shop(shop: str) -> str:
    """The id of the child run that loaded this shop."""
    with JobContext("example_load_shop", metadata={"shop": shop}) as job:
        job.log_event("loaded", {"shop": shop})
        return job.run_id


def main() -> None:
    """Loads each shop in a thread of its own, then shows whose child each run is."""
    with JobContext("example_nightly") as nightly, ThreadPoolExecutor() as pool:
        # A pool's threads start without a current run: unbound, each shop would be a run without parent.
        children = list(pool.map(nightly.bind(load_shop), SHOPS))

    print(f"run {nightly.run_id} of {nightly.job_name}")
    with DatlakeClient() as client:
        for run_id in children:
            run = client.get_run(run_id)
            print(f"  child {run.run_id}: {run.metadata['shop']} {run.state}, parent {run.parent_run_id}")


if __name__ == "__main__":
    main()
