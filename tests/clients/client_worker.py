"""Runs in a reader's environment: code comes in as a line of JSON, what it found goes out as one.

It imports nothing of the environment itself, so that a test sees what a reader would.
"""

import json
import os
import sys
import traceback


def cells(frame):
    """A pandas frame as lists of plain values: None is missing, dates and times are ISO 8601."""
    import pandas as pd

    def plain(value):
        if pd.isna(value):
            return None
        return value.isoformat() if hasattr(value, "isoformat") else value

    return {name: [plain(value) for value in frame[name].tolist()] for name in frame.columns}


def kinds(frame):
    """The type of every column of a pandas frame, by name."""
    return {name: str(kind) for name, kind in frame.dtypes.items()}


def main():
    """Answer until there is nothing more to read."""
    answers = os.fdopen(os.dup(1), "w")
    sys.stdout = sys.stderr  # what a library prints is no answer
    for line in sys.stdin:
        asked = json.loads(line)
        names = {"cells": cells, "kinds": kinds, **asked["given"]}
        try:
            exec(asked["code"], names)
            answer = {"found": names.get("found")}
        except Exception as error:
            answer = {"error": "".join(traceback.format_exception_only(error))}
        print(json.dumps(answer), file=answers, flush=True)


main()
