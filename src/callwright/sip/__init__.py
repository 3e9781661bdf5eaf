"""SIP without I/O: messages, transactions, dialogs and digest. The public face is ``callwright.sip.core``."""
