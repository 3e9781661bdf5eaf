"""From a request to a running instance: the queue of starts, pacing, the dispatcher and recovery."""
