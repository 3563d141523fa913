"""Does as stdin says: "enter", or "ring" before it. Prints what became of it, without the external ID."""
import hashlib
import json
import sys

import snippet

row = json.loads(sys.argv[1])
for line in sys.stdin:
    out = {"error": ""}
    if line.strip() == "ring":
        row["checked"] = 0
    else:
        try:
            snippet.enter(row, lambda r: None)
        except Exception as e:
            out["error"] = f"{type(e).__name__}: {e}"
    out |= {"confirmed": row["confirmed"], "id": hashlib.sha256(row["externalId"].encode()).hexdigest()[:6]}
    print(json.dumps(out), flush=True)
