"""The HTTP edge: the web services clients call and the admin socket of the command line."""
