"""`python -m datlake_sdk …` is the command `datlake …`, also where the command is not on the PATH."""

from __future__ import annotations

import sys

from datlake_sdk.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
