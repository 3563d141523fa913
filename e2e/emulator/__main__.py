"""Starts MiniStack with the supplement: `python -m emulator`, with this package's parent folder as working folder.

GATEWAY_PORT chooses the port (4566). The process listens on 127.0.0.1 only and runs until it is terminated; with
--with-parent also only as long as the program that started it.
"""

import importlib.metadata
import os
import sys

PINNED = "1.5.33"

DEFAULTS = {
    "AUTH": "true",  # check signatures and policies
    "BIND_HOST": "127.0.0.1",
    "MINISTACK_HOST": "127.0.0.1",
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
    "GATEWAY_PORT": "4566",
}


def main():
    found = importlib.metadata.version("ministack")
    if found != PINNED:
        sys.exit(f"This supplement replaces functions inside MiniStack {PINNED}; found {found}. "
                 f"Install the pinned one: pip install ministack=={PINNED}")
    for key, value in DEFAULTS.items():
        os.environ.setdefault(key, value)
    # Functions get AWS_ENDPOINT_URL only if MiniStack itself has it.
    os.environ.setdefault("AWS_ENDPOINT_URL", "http://127.0.0.1:" + os.environ["GATEWAY_PORT"])

    # Only now: MiniStack reads its settings when it is imported.
    from ministack import app

    from . import (addresses, apis, control, identity, keys, leading_keys, parent, resources, rotation, secret_values,
                   stack_types, subscriptions, variables)
    for part in (identity, variables, resources, apis, secret_values, rotation, keys, leading_keys, stack_types,
                 subscriptions, addresses, control):
        part.install()
    if "--with-parent" in sys.argv:
        parent.watch()

    sys.argv = ["ministack"]
    app.main()


main()
