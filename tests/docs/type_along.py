"""Runs the runnable blocks of one document in order, as a reader who types along: one lake, names of their own each.

`python -m tests.docs.type_along PAGE` in an empty folder; a failing block is told with the document's own line numbers.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

from tests.docs.pages import Block, blocks


def main(page: Path) -> None:
    """Returns when every runnable block ran through. `python script` is a file of its own: it starts processes."""
    for block in blocks(page):
        source = "\n" * (block.line - 1) + block.body  # so that a traceback names the document's line
        if block.info == "python":
            _run_here(source, page)
        elif block.info == "python script":
            _run_as_script(source, block)


def _run_here(source: str, page: Path) -> None:
    module = ModuleType("__main__")
    sys.modules["__main__"] = module  # a block sees its own names and none of the blocks before it
    exec(compile(source, str(page), "exec"), module.__dict__)  # noqa: S102 -- our own documents


def _run_as_script(source: str, block: Block) -> None:
    script = Path(f"block-{block.line}.py").resolve()
    script.write_text(source, encoding="utf-8")
    subprocess.run([sys.executable, str(script)], check=True, timeout=60)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
