"""Asks for a URL with the client of this repository: python3 mint.py deployment order [key=value | token=value] [file=path | give_up=yes].

With a file it is uploaded, with give_up the URL is given up and then used. It prints what came of it in JSON.
"""

import json
import sys

sys.path.insert(0, "../../../../clients/python")
import oncegate

deployment, order = sys.argv[1:3]
options = dict(argument.split("=", 1) for argument in sys.argv[3:])
file, give_up = options.pop("file", None), options.pop("give_up", None)
outcome = {}
try:
    minted = oncegate.mint(deployment, json.loads(order), **options)
    outcome.update(url=minted.url, id=minted.id, headers=dict(minted.headers), expires=minted.expires_at)
    if file:
        outcome["stored"] = oncegate.upload(minted, file).size
    if give_up:
        oncegate.give_up(minted.url)
        oncegate.upload(minted, b"too late")
except (oncegate.OncegateError, ValueError) as error:
    outcome.update(kind=type(error).__name__, reason=getattr(error, "reason", ""), message=str(error))
print(json.dumps(outcome))
