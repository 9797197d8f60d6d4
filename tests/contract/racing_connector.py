"""One process of a race: delivers one order as often as it takes, by a connector of its own.

Reads a line of JSON (settings, key, at_most) and says `ready`; begins at the next line; prints each outcome as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict

from erp_under_test import ORDER, order_request

from dagster_project.respond.destinations.tryton import Tryton, TrytonConnection


async def main() -> None:
    told = json.loads(sys.stdin.readline())
    destination = Tryton.open(TrytonConnection.model_validate(told["settings"]))
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(told["at_most"]):
        (outcome,) = await destination.deliver(ORDER, [order_request(told["key"])])
        print(json.dumps({**asdict(outcome), "result": dict(outcome.result)}), flush=True)
        if outcome.verdict == "delivered":
            break
    await destination.close()


if __name__ == "__main__":
    asyncio.run(main())
