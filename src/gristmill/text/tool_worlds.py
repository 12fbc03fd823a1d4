"""A simulated API inside the sandbox: what programs find there, and what they have called.

What a program called is believed only as far as the same calls are a success outside as well.
"""

from __future__ import annotations

import inspect
import json

from gristmill.text import json_values, simulated_api
from gristmill.text.simulated_api import OK, Api, Call, replay

HIDDEN = ["World", "world_", "calls_", "replay", "eval", "exec", "globals", "locals", "vars"]
"""Names of the machinery, and ways to it, which no function may use."""
INNER = ["request", *HIDDEN]
"""What no program may use, which has functions for it."""
PRELUDE = '''
world_ = World(json.loads({api!r}))
calls_ = []


def request(name, arguments):
    """Call a function of the API; return its status and its answer."""
    calls_.append({{"name": name, "arguments": arguments}})
    result = world_.call(name, arguments)
    return result["status"], result["body"]
'''
ASK = """result_ = (
{call}
)
print()
print(json.dumps([calls_, result_]))
"""
LOG = "print()\nprint(json.dumps([calls_, None]))"
"""A cell that tells what has been called."""


def prelude(api: Api) -> str:
    """Return a program that has `request(name, arguments)`, and nothing of ours to import."""
    sources = [inspect.getsource(module) for module in (json_values, simulated_api)]
    lines = [line for source in sources for line in source.split("\n")]
    own = (line for line in lines if not line.startswith(("from gristmill.", "from __future__")))
    head = "from __future__ import annotations\n"
    return head + "\n".join(own) + PRELUDE.format(api=json.dumps(api))


def asking(call: str) -> str:
    """Return a cell that makes a call, and tells what it gave and what of the API it called."""
    return ASK.format(call=call)


def told(api: Api, stdout: str) -> tuple[list[Call], str] | None:
    """Return what a cell says has been called, and what it gave, as JSON.

    None where that cannot be read, or where one of the calls gets no success outside either.
    """
    try:
        calls, value = json.loads(stdout.rstrip().rpartition("\n")[2])
        made = [Call(name=str(one["name"]), arguments=one["arguments"]) for one in calls]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if any(result["code"] != OK for result in replay(api, made)):
        return None
    return made, json.dumps(value, ensure_ascii=False)
