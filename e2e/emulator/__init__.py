"""Countersign's supplement to MiniStack: what a rotation stack needs from AWS and MiniStack 1.5.33 lacks.

MiniStack is a local AWS emulator. This package starts it with a few of its functions replaced, each in the module
named after the subject. It is test equipment: it runs on the loopback, holds nothing real and checks nothing that
docs/emulator.md does not list.
"""
