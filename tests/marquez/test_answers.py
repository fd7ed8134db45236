"""What Marquez's clients are told is what happened, in their words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from msgspec import UNSET

from datlake_sdk.client import DatlakeClient
from datlake_sdk.job import JobContext
from datlake_sdk.lineage.ids import run_id_of
from datlake_server.http.marquez.shapes import Id
from datlake_server.http.marquez.versions import content
from tests.marquez import story
from tests.marquez.asking import EARLY, LATE, Answer, Marquez, at, data, edges, facet, fresh, graph, run_event, run_id

# --- runs -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "state"),
    [
        (["OTHER"], "NEW"),
        (["START"], "RUNNING"),
        (["OTHER", "START"], "RUNNING"),
        (["RUNNING"], "RUNNING"),
        (["START", "COMPLETE"], "COMPLETED"),
        (["COMPLETE", "START"], "COMPLETED"),
        (["START", "FAIL"], "FAILED"),
        (["ABORT"], "ABORTED"),
    ],
    ids=lambda value: value if isinstance(value, str) else "+".join(value),
)
def test_a_run_is_new_until_its_start_is_told_and_stays_ended(marquez: Marquez, kinds: list[str], state: str) -> None:
    """Marquez takes the last event it hears for the state; a late one reopens a run there, and here it does not."""
    name = run_id()
    for kind in kinds:
        marquez.tell(run_event(kind, name, ("states", "job"), LATE if kind in {"COMPLETE", "FAIL", "ABORT"} else EARLY))
    run = marquez.get(f"/jobs/runs/{name}")
    assert run["state"] == state
    assert ("startedAt" in run) == (state != "NEW")
    assert ("endedAt" in run) == (state not in {"NEW", "RUNNING"})


def test_a_run_tells_what_it_read_and_wrote_and_for_how_long(shop: Marquez) -> None:
    run = shop.get(f"/jobs/runs/{story.CLEANED}")
    assert (run["startedAt"], run["endedAt"], run["durationMs"]) == (EARLY, LATE, 5000)
    assert (run["nominalStartTime"], run["nominalEndTime"]) == ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")
    [read], [written] = run["inputDatasetVersions"], run["outputDatasetVersions"]
    assert (read["datasetVersionId"]["name"], list(read["facets"])) == (story.RAW[1], ["dataQualityMetrics"])
    assert (written["datasetVersionId"]["name"], list(written["facets"])) == (story.CLEAN[1], ["outputStatistics"])
    version = shop.get(at("namespaces", story.LAKE, "datasets", story.CLEAN[1]))["currentVersion"]
    assert written["datasetVersionId"]["version"] == version
    assert list(run["facets"]) == ["nominalTime"]


def test_a_run_is_found_by_what_its_producer_calls_it(marquez: Marquez) -> None:
    """Some producers have ids that are no UUIDs; Marquez makes one of the text, and so does Datlake."""
    name = fresh("nightly 2026/01")
    marquez.tell(run_event("START", name, ("shop", "job"), EARLY))
    assert marquez.get(at("jobs", "runs", name))["id"] == run_id_of(name)


def test_a_run_of_the_sdk_is_a_run_like_any_other(marquez: Marquez) -> None:
    """Its metadata are its arguments; a text stays that text."""
    with (
        DatlakeClient(marquez.server.url, namespace="by-hand") as client,
        JobContext(client, "report", metadata={"day": "monday", "rows": 3}) as job,
    ):
        job.register_snapshot("daily", "s3://lake/daily/1", format="csv", schema={"day": "date"}, row_count=3)
    run = marquez.get(f"/jobs/runs/{job.run_id}")
    assert (run["state"], run["args"]) == ("COMPLETED", {"day": "monday", "rows": "3"})
    dataset = marquez.get("/namespaces/by-hand/datasets/daily")
    assert dataset["fields"] == [{"name": "day", "type": "date", "tags": []}]
    assert (dataset["sourceName"], dataset["type"]) == ("default", "DB_TABLE")
    [version] = marquez.get("/namespaces/by-hand/datasets/daily/versions")["versions"]
    assert version["createdByRun"]["id"] == job.run_id


def test_upstream_of_a_run_are_the_runs_that_made_what_it_read(shop: Marquez) -> None:
    found = shop.get(f"/runlineage/upstream?runId={story.COUNTED}")["runs"]
    assert [one["run"]["id"] for one in found] == [story.COUNTED, story.CLEANED]
    [read] = found[0]["inputs"]
    assert (read["name"], read["producedByRunId"]) == (story.CLEAN[1], story.CLEANED)
    assert len(shop.get(f"/runlineage/upstream?runId={story.COUNTED}&depth=0")["runs"]) == 1


def test_facets_of_a_run_and_of_its_job(shop: Marquez) -> None:
    """Without the type the question is not a question."""
    assert list(shop.get(f"/jobs/runs/{story.CLEANED}/facets?type=run")["facets"]) == ["nominalTime"]
    assert "sql" in shop.get(f"/jobs/runs/{story.CLEANED}/facets?type=job")["facets"]
    assert shop.ask("GET", f"/jobs/runs/{story.CLEANED}/facets").status == 400


# --- jobs and datasets ------------------------------------------------------------------------------------------------


def test_a_job_shows_what_its_facets_say(shop: Marquez) -> None:
    job = shop.get(at("namespaces", "shop", "jobs", "clean: orders"))
    assert (job["type"], job["location"]) == ("BATCH", "https://example.org/shop/clean.sql")
    assert job["description"] == "Drops what is broken."
    assert job["context"] == {"sql": "SELECT id, amount FROM orders"}
    assert job["tags"] == ["team:sales"]
    assert job["inputs"] == [{"namespace": story.RAW[0], "name": story.RAW[1]}]
    assert job["outputs"] == [{"namespace": story.LAKE, "name": "clean/orders"}]
    assert (job["latestRun"]["id"], len(job["latestRuns"])) == (story.CLEANED, 1)
    child = shop.get("/namespaces/shop/jobs/count")
    assert child["parentJobName"] == "clean: orders"
    assert [run["state"] for run in child["latestRuns"]] == ["NEW", "FAILED", "COMPLETED"]


def test_a_job_is_under_the_parent_that_its_runs_name(marquez: Marquez) -> None:
    """Schedulers tell of tasks, and some never of what the tasks are part of; no job is under itself."""
    space, parent = fresh("parents"), run_id()
    for number, (job, above) in enumerate([("harvest.pick", "harvest"), ("press", "press")]):
        told = {"parent": facet(run={"runId": parent}, job={"namespace": space, "name": above})}
        marquez.tell(run_event("START", run_id(), (space, job), f"2026-01-01T0{number}:00:00Z", run_facets=told))
    task = marquez.get(f"/namespaces/{space}/jobs/harvest.pick")
    assert (task["parentJobName"], task["simpleName"]) == ("harvest", "pick")
    assert "parentJobName" not in marquez.get(f"/namespaces/{space}/jobs/press")
    assert [job["name"] for job in marquez.get(f"/namespaces/{space}/jobs")["jobs"]] == ["harvest.pick", "press"]


def test_a_version_of_a_job_is_what_it_reads_and_writes(marquez: Marquez) -> None:
    """The same data make the same version, whatever the run; a run that reads less is another version of the job."""
    space = fresh("versions")
    one, two, out = ((space, name) for name in ("one", "two", "out"))
    runs = [run_id() for _ in range(3)]
    for number, (run, inputs) in enumerate(zip(runs, ([one, two], [one], [two, one]), strict=True)):
        read = [data(name) for name in inputs]
        event = run_event("COMPLETE", run, (space, "job"), f"2026-01-0{number + 1}T08:00:00Z", read, [data(out)])
        marquez.tell(event)
    versions = marquez.get(f"/namespaces/{space}/jobs/job/versions")["versions"]
    assert [len(version["inputs"]) for version in versions] == [2, 1]
    told = [marquez.get(f"/jobs/runs/{run}")["jobVersion"]["version"] for run in runs]
    assert told == [versions[0]["version"], versions[1]["version"], versions[0]["version"]]
    assert marquez.get(f"/namespaces/{space}/jobs/job")["currentVersion"] == versions[0]["version"]
    assert versions[0]["latestRun"]["id"] == runs[2]


def test_a_dataset_shows_what_its_facets_say(shop: Marquez) -> None:
    raw = shop.get(at("namespaces", story.RAW[0], "datasets", story.RAW[1]))
    assert (raw["sourceName"], raw["description"], raw["tags"]) == ("shop-db", "Orders as they come.", ["PII"])
    assert raw["fields"][0] == {"name": "id", "type": "BIGINT", "tags": [], "description": "The key."}
    clean = shop.get(at("namespaces", story.LAKE, "datasets", "clean/orders"))
    assert (clean["type"], clean["lastLifecycleState"], clean["deleted"]) == ("STREAM", "CREATE", False)
    assert clean["lastModifiedAt"] == LATE
    fed = {one["name"]: [source["field"] for source in one["inputFields"]] for one in clean["columnLineage"]}
    assert fed == {"amount": ["amount"], "id": ["amount", "id"]}
    assert shop.get("/sources/shop-db")["connectionUrl"] == "postgres://db.example.org:5432/shop"


def test_a_dataset_is_found_by_its_other_names(marquez: Marquez) -> None:
    """A symlink tells that the table of the catalog is the folder in the store."""
    space = fresh("hive://catalog")
    folder = data(("file", f"/warehouse/{space}"), symlinks={"identifiers": [_identifier(space, "db.t")]})
    marquez.tell(run_event("COMPLETE", run_id(), ("alias", "writer"), EARLY, [], [folder]))
    found = marquez.get(at("namespaces", space, "datasets", "db.t"))
    assert found["name"] == f"/warehouse/{space}"
    assert f"dataset:file:/warehouse/{space}" in graph(marquez, f"dataset:{space}:db.t")


def _identifier(namespace: str, name: str) -> Answer:
    return {"namespace": namespace, "name": name, "type": "TABLE"}


# --- lists ------------------------------------------------------------------------------------------------------------


def test_lists_are_pages_that_know_how_many_there_are(marquez: Marquez) -> None:
    """`limit` and `offset`, as their dashboards count them."""
    space = fresh("pages")
    for number in range(5):
        out = data((space, f"t{number}"))
        marquez.tell(run_event("COMPLETE", run_id(), (space, f"j{number}"), EARLY, [], [out]))
    for kind, letter in (("jobs", "j"), ("datasets", "t")):
        page = marquez.get(f"/namespaces/{space}/{kind}?limit=2&offset=3&unheard=of")
        assert ([one["name"] for one in page[kind]], page["totalCount"]) == ([f"{letter}3", f"{letter}4"], 5)
        assert marquez.get(f"/namespaces/{space}/{kind}?offset=9")[kind] == []
        assert marquez.get(f"/namespaces/{space}/{kind}?limit=0")[kind] == []
    for value in ("-1", "many", "1.5"):
        reply = marquez.ask("GET", f"/namespaces/{space}/jobs?limit={value}")
        assert (reply.status, reply.json["code"]) == (400, "invalid")


def test_events_come_back_as_they_were_told(marquez: Marquez) -> None:
    """The latest first, or the earliest; between two moments."""
    told = [run_event("START", run_id(), ("events", "job"), f"2031-01-01T0{hour}:00:00Z") for hour in range(4)]
    for event in told:
        marquez.tell(event)
    window = "/events/lineage?after=2031-01-01T01:00:00Z&before=2031-01-01T03:00:00.000Z"
    found = marquez.get(window)
    assert (found["events"], found["totalCount"]) == ([told[2], told[1]], 2)
    assert marquez.get(f"{window}&sortDirection=asc&limit=1")["events"] == [told[1]]
    assert marquez.ask("GET", "/events/lineage?before=yesterday").status == 400


def test_search_finds_datasets_and_jobs_by_what_they_are_called(shop: Marquez) -> None:
    found = shop.get("/search?q=orders%25")["results"]
    assert {(one["type"], one["name"]) for one in found} >= {("DATASET", "clean/orders"), ("JOB", "clean: orders")}
    assert {one["nodeId"] for one in found} >= {f"dataset:{story.LAKE}:clean/orders", "job:shop:clean: orders"}
    assert {one["type"] for one in shop.get("/search?q=orders&filter=JOB")["results"]} == {"JOB"}
    assert shop.get("/search?q=orders&namespace=shop&sort=updated_at")["totalCount"] == 1
    assert shop.get("/search?q=orders&before=2020-01-01")["results"] == []


def test_counts_are_told_by_the_hour_and_by_the_day(marquez: Marquez) -> None:
    """Twenty-four hours, or seven days of somebody's zone; the last of them is now."""
    now = datetime.now(UTC)
    before = marquez.get_list("/stats/lineage-events?period=DAY")
    marquez.tell(run_event("FAIL", run_id(), (fresh("stats"), "job"), now.isoformat()))
    after = marquez.get_list("/stats/lineage-events?period=DAY")
    assert len(after) == 24
    assert sum(one["fail"] for one in after) == sum(one["fail"] for one in before) + 1
    days = marquez.get_list("/stats/jobs?period=WEEK&timezone=Asia/Kolkata")
    assert len(days) == 7
    assert days[-1]["startInterval"].endswith("T00:00:00+05:30")
    assert days[-1]["count"] >= 1
    starts = [datetime.fromisoformat(one["startInterval"]) for one in days]
    assert {later - earlier for earlier, later in pairwise(starts)} == {timedelta(days=1)}
    for kind in ("datasets", "sources"):
        assert len(marquez.get_list(f"/stats/{kind}?period=week")) == 7
    for query in ("", "?period=YEAR", "?period=WEEK&timezone=Atlantis", "?period=WEEK&timezone=../../etc/passwd"):
        assert marquez.ask("GET", f"/stats/jobs{query}").status == 400


# --- what is hidden, and what cannot be done --------------------------------------------------------------------------


def test_what_is_deleted_is_hidden_until_it_is_told_of_again(marquez: Marquez) -> None:
    """Lineage keeps it, lists do not; an old event that arrives again is enough, whatever its time."""
    space = fresh("hidden")

    def told() -> Answer:
        source, result = data((space, "in")), data((space, "out"))
        return run_event("COMPLETE", run_id(), (space, "job"), EARLY, [source], [result])

    marquez.tell(told())
    paths = {kind: f"/namespaces/{space}/{kind}" for kind in ("jobs/job", "datasets/in", "datasets/out")}
    for path in (*paths.values(), f"/namespaces/{space}"):
        assert marquez.ask("DELETE", path).status == 200
        assert marquez.ask("GET", path).status == 404
    assert marquez.ask("GET", f"/namespaces/{space}/jobs").status == 404
    assert space not in {one["name"] for one in marquez.get("/namespaces?limit=1000")["namespaces"]}
    assert marquez.get(f"/search?q={space}")["results"] == []
    marquez.tell(told())
    for path in (*paths.values(), f"/namespaces/{space}"):
        assert marquez.ask("GET", path).status == 200
    assert marquez.get(f"/namespaces/{space}/jobs")["totalCount"] == 1
    assert marquez.get(f"/namespaces/{space}/datasets")["totalCount"] == 2


def test_a_deleted_job_joins_nothing(marquez: Marquez) -> None:
    """In Marquez it goes on connecting what it once connected."""
    space = fresh("joined")
    a, b = (space, "a"), (space, "b")
    marquez.tell(run_event("COMPLETE", run_id(), (space, "job"), EARLY, [data(a)], [data(b)]))
    assert len(graph(marquez, f"dataset:{space}:a")) == 3
    marquez.ask("DELETE", f"/namespaces/{space}/jobs/job")
    assert set(graph(marquez, f"dataset:{space}:a")) == {f"dataset:{space}:a"}


def test_a_tag_can_be_taken_off_again(shop: Marquez) -> None:
    """Also one that came with an event."""
    path = at("namespaces", story.RAW[0], "datasets", story.RAW[1])
    assert shop.ask("POST", f"{path}/tags/MINE").json["tags"] == ["MINE", "PII"]
    assert shop.ask("DELETE", f"{path}/tags/MINE").json["tags"] == ["PII"]
    job = at("namespaces", "shop", "jobs", "clean: orders")
    assert shop.ask("POST", f"{job}/tags/MINE").json["tags"] == ["MINE", "team:sales"]
    assert shop.ask("DELETE", f"{job}/tags/team:sales").json["tags"] == ["MINE"]
    assert shop.ask("DELETE", f"{job}/tags/MINE").json["tags"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/namespaces/nowhere", None, 404),
        ("GET", "/namespaces/nowhere/jobs", None, 404),
        ("GET", "/namespaces/nowhere/datasets", None, 404),
        ("GET", "/namespaces/shop/jobs/count/versions/0193a5c0-0000-7000-8000-0000000000ff", None, 404),
        ("GET", "/lineage?nodeId=dataset:no:where", None, 404),
        ("GET", "/lineage?nodeId=nonsense", None, 400),
        ("GET", "/lineage", None, 400),
        ("GET", "/column-lineage?nodeId=datasetField:no:where:at", None, 404),
        ("GET", "/runlineage/upstream", None, 400),
        ("GET", "/search", None, 400),
        ("GET", "/search?q=a&filter=run", None, 400),
        ("PUT", "/namespaces/incomplete", {}, 422),
        ("PUT", "/sources/incomplete", {"type": "X"}, 422),
        ("PUT", "/namespaces/nowhere/jobs/j", {"type": "BATCH"}, 404),
        ("PUT", "/namespaces/shop/jobs/j", {"type": "SOMETIMES"}, 422),
        ("PUT", "/namespaces/shop/jobs/j", {"type": "BATCH", "inputs": [{"namespace": "no", "name": "where"}]}, 404),
        ("PUT", "/namespaces/shop/datasets/d", {"type": "DB_TABLE", "physicalName": "d", "sourceName": "no"}, 404),
        ("POST", "/namespaces/shop/jobs/nothing/runs", {}, 404),
        ("POST", "/namespaces/shop/jobs/count/runs", {"id": story.COUNTED}, 409),
        ("POST", "/namespaces/shop/jobs/count/runs", {"id": "one"}, 422),
        ("POST", f"/jobs/runs/{story.COUNTED}/complete?at=noon", None, 400),
        ("POST", "/jobs/runs/0193a5c0-0000-7000-8000-0000000000ff/start", None, 404),
        ("POST", "/namespaces/shop/datasets/nothing/tags/t", None, 404),
        ("POST", "/lineage", {"eventType": "START"}, 422),
        ("PATCH", "/namespaces", {}, 405),
    ],
    ids=lambda value: str(value)[:60] if value is not None else "",
)
def test_what_cannot_be_done_is_refused_with_a_problem(
    shop: Marquez, method: str, path: str, body: Answer | None, status: int
) -> None:
    """Marquez's statuses, Datlake's body: it says what to do."""
    reply = shop.ask(method, path, body)
    assert reply.status == status
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["detail"]


def test_a_field_that_is_not_there_takes_no_tag(shop: Marquez) -> None:
    path = at("namespaces", story.RAW[0], "datasets", story.RAW[1])
    assert shop.ask("POST", f"{path}/fields/nothing/tags/t").status == 404
    assert shop.ask("POST", f"{path}/fields/id/tags/t").status == 200


def test_a_dataset_that_is_put_again_is_the_same_version(marquez: Marquez) -> None:
    """As Marquez's own: a version is what it says, and a new column makes a new one."""
    space = fresh("put")
    marquez.ask("PUT", f"/namespaces/{space}", {"ownerName": "me"})
    fields = [{"name": "a", "type": "INT"}]
    body = {"type": "DB_TABLE", "physicalName": "d", "sourceName": "default", "fields": fields}
    first = marquez.do("PUT", f"/namespaces/{space}/datasets/d", body)["currentVersion"]
    assert marquez.do("PUT", f"/namespaces/{space}/datasets/d", body)["currentVersion"] == first
    more = {**body, "fields": [*fields, {"name": "b", "type": "INT"}]}
    changed = marquez.do("PUT", f"/namespaces/{space}/datasets/d", more)
    assert changed["currentVersion"] != first
    assert [one["name"] for one in changed["fields"]] == ["a", "b"]
    assert marquez.get(f"/namespaces/{space}/datasets/d/versions")["totalCount"] == 2


def test_a_run_that_is_made_reads_what_its_job_reads(marquez: Marquez) -> None:
    """Legacy clients tell inputs of jobs, and of runs what they wrote: by `runId` of the dataset."""
    space = fresh("legacy")
    marquez.ask("PUT", f"/namespaces/{space}", {"ownerName": "me"})
    body = {"type": "DB_TABLE", "physicalName": "d", "sourceName": "default", "fields": []}
    for name in ("in", "out"):
        marquez.ask("PUT", f"/namespaces/{space}/datasets/{name}", body)
    job = {"type": "BATCH", "inputs": [{"namespace": space, "name": "in"}], "outputs": []}
    marquez.ask("PUT", f"/namespaces/{space}/jobs/job", job)
    run = marquez.ask("POST", f"/namespaces/{space}/jobs/job/runs", {})
    assert run.headers["location"] == f"/marquez/api/v1/jobs/runs/{run.json['id']}"
    marquez.ask("PUT", f"/namespaces/{space}/datasets/out", {**body, "runId": run.json["id"]})
    done = marquez.do("POST", f"/jobs/runs/{run.json['id']}/complete")
    assert [one["datasetVersionId"]["name"] for one in done["inputDatasetVersions"]] == ["in"]
    assert [one["datasetVersionId"]["name"] for one in done["outputDatasetVersions"]] == ["out"]
    assert (f"dataset:{space}:in", f"job:{space}:job") in edges(graph(marquez, f"dataset:{space}:out"))


def test_secrets_of_a_source_are_not_kept(marquez: Marquez) -> None:
    """Everybody who may read sources would read the password as well."""
    body = {"type": "POSTGRESQL", "connectionUrl": "jdbc:postgresql://me:hunter2@db.example.org/shop"}
    assert "hunter2" not in marquez.ask("PUT", "/sources/secret", body).body.decode()
    assert "me:***@db.example.org" in marquez.get("/sources/secret")["connectionUrl"]


def test_facets_that_are_taken_back_are_not_shown(marquez: Marquez) -> None:
    space = fresh("deleted")
    gone = {"documentation": facet(_deleted=True)}
    for time, facets in ((EARLY, {"documentation": facet(description="Wrong.")}), (LATE, gone)):
        marquez.tell(run_event("START", run_id(), (space, "job"), time, job_facets=facets))
    job = marquez.get(f"/namespaces/{space}/jobs/job")
    assert (job["facets"], "description" in job) == ({}, False)


@pytest.mark.parametrize(
    "odd", [5, "text", None, [], [1], {}, {"name": 7}, [{"name": 7}], [None], "2026-99-99T00:00:00Z"], ids=repr
)
def test_facets_that_make_no_sense_say_nothing(marquez: Marquez, odd: object) -> None:
    """Producers send what they like; a question about it is answered all the same."""
    space = fresh("odd")
    keys = ("name", "uri", "fields", "description", "datasetType", "lifecycleStateChange", "identifiers", "tags")
    told = {name: facet(**dict.fromkeys(keys, odd)) for name in ("schema", "dataSource", "documentation", "tags")}
    kinds = {
        name: facet(**dict.fromkeys(keys, odd)) for name in ("datasetType", "lifecycleStateChange", "columnLineage")
    }
    dataset = {"namespace": space, "name": "t", "facets": told | kinds, "outputFacets": told}
    times = {"nominalTime": facet(nominalStartTime=odd, nominalEndTime=odd), "parent": facet(run=odd, job=odd)}
    own = ("query", "url", "processingType", "description", "context", "args", "tags")
    about = {
        name: facet(**dict.fromkeys(own, odd)) for name in ("sql", "sourceCodeLocation", "jobType", "documentation")
    }
    about |= {
        name: facet(**dict.fromkeys(own, odd)) for name in ("marquez_job", "marquez_run", "marquez_dataset", "tags")
    }
    run = run_id()
    marquez.tell(
        run_event(
            "COMPLETE", run, (space, "j"), EARLY, [dataset], [dataset], run_facets=times | about, job_facets=about
        )
    )
    [version] = marquez.get(f"/namespaces/{space}/datasets/t/versions")["versions"]
    for path in (
        f"/jobs/runs/{run}",
        f"/namespaces/{space}/jobs/j",
        f"/namespaces/{space}/jobs/j/versions",
        f"/namespaces/{space}/datasets/t",
        f"/namespaces/{space}/datasets/t/versions/{version['version']}",
        f"/lineage?nodeId=dataset:{space}:t",
        f"/column-lineage?nodeId=dataset:{space}:t",
        f"/runlineage/upstream?runId={run}",
        "/sources?limit=1000",
        "/tags?limit=1000",
    ):
        assert marquez.ask("GET", path).status == 200, path


def test_the_id_of_a_jobs_version_is_that_of_its_data_in_whatever_order() -> None:
    """It has to be the same tomorrow; and names that only look alike when they are joined are not."""
    job, one, two = (Id(namespace="n", name=name) for name in ("job", "a", "b"))
    told = content([two, one, two], [one])
    assert told == content([one, two], [one])
    ids = {told.id_for(job, UNSET), told.id_for(job, "https://example.org"), told.id_for(one, UNSET)}
    ids |= {
        content([one], [two, one]).id_for(job, UNSET),
        content([Id(namespace="n", name="a,b")], []).id_for(job, UNSET),
    }
    assert len(ids) == 5
    assert told.id_for(job, UNSET) == "5f0d75d0-54f6-58ac-b954-067e00a108e9"
