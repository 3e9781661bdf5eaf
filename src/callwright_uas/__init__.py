"""The User Application Server side of callwright: runs Python applications for a platform it connects to.

Nothing lives here yet; the protocol and the server come with UAS applications.
"""

__version__ = "0.1.0.dev0"
