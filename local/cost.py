"""`make cost`: runs the budget's test (tests/cost) and prints its table; the last line is `cost: ok`, or what is over."""

import json
import sys
from typing import Any

import pytest

from local.project import OUT, ROOT

TABLE = OUT / "cost.json"
"""Where the test writes what it has measured."""


def main() -> int:
    TABLE.unlink(missing_ok=True)
    status = pytest.main(["-q", "--no-header", str(ROOT / "tests/cost"), *sys.argv[1:]])
    rows: list[dict[str, Any]] = json.loads(TABLE.read_text()) if TABLE.is_file() else []
    print(f"\n{'':28}{'writes':>8}{'reads':>8}{'invocations':>13}{'log bytes':>11}")
    for row in rows:
        print(f"{row['flow']:28}{row['writes']:>8}{row['reads']:>8}{row['invocations']:>13}{row['log_bytes']:>11}")
        for part in row["parts"]:
            print(f"    {part}")
    over = [f"{row['flow']}: {', '.join(row['over'])}" for row in rows if row["over"]]
    if status != pytest.ExitCode.OK and not over:
        over = ["the test did not succeed, see above"]
    print(f"cost: {'; '.join(over) or 'ok'}")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
