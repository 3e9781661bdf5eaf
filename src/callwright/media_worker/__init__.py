"""The media process: RTP sockets, one 20 ms tick for all legs, sound files and recordings."""
