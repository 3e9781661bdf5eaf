"""The operations of the web services, one file per family."""
