"""The lake over HTTP; the only folder that imports Starlette."""
