"""Batches: many pictures from a folder or a list, each painted once, however often and wherever the work is begun.

`batches.items`      what a line of a list says
`batches.manifest`   lists: TOML, JSON lines, CSV
`batches.gathering`  folders and globs of photos x styles
`batches.naming`     the names of the outputs
`batches.ledger`     the log, which is only a cache: the truth is the list and the outputs
`batches.shards`     a part of the work for each of several machines
`batches.batch`      what is there, what is missing, and doing it
"""
