"""The lake that `datlake_sdk` talks to: embedded in a job's process, or served over HTTP to a team."""
