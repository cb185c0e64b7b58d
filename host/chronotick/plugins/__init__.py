"""Model plugins, the host's side: what they are, what they run in, and the supervision of their processes.

Nothing is re-exported here: the command line's `plugins list` reads manifests without paying for sockets.
"""
