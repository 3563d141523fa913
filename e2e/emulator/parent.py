"""Ends the emulator when the program that started it is gone, killed or crashed. Asked for by --with-parent."""

import os
import threading
import time


def watch():
    parent = os.getppid()

    def look():
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=look, daemon=True, name="parent").start()
