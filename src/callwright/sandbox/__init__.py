"""The simulated phone network: an ordinary SIP and RTP peer on loopback whose telephones follow written personas.

It runs as a process of its own, `python -m callwright.sandbox`, and is documented in docs/reference/sandbox.md.
"""
