"""A bounded, masked copy of each call's SIP messages, drawn as a ladder or written as a packet capture."""
