"""The driver hands vectors to the snippet in Python: {name: vector} in, {name: [verdict]} out."""
import json
import sys
from email.message import Message  # what http.server gives a handler as headers

from snippet import receive


def run(name, vector):
    done = set()
    for d in vector["deliveries"]:
        headers = Message()
        for key, value in d["headers"].items():
            headers[key] = value
        verdict = "repeat"

        def take(id, body):
            nonlocal verdict
            assert body == d["body"].encode(), f"{name}: the work got another body"
            if id in done:
                return
            if d["verdict"] == "failed":
                verdict = "failed"
                raise OSError("the work failed")
            done.add(id)
            verdict = "new"

        status = receive(headers, d["body"].encode(), vector["secrets"], d["at"], take)
        if status // 100 == 4:
            verdict = "refused"
        assert (status // 100 == 5) == (verdict == "failed"), f"{name}: answered {status} to {verdict}"
        yield verdict


json.dump({name: list(run(name, vector)) for name, vector in json.load(sys.stdin).items()}, sys.stdout)
