"""Batches: many pictures from a folder or a list, each painted once, however often and wherever a batch is started.

`batches.item`        a line of a list
`batches.manifest`   lists: TOML, JSON lines, CSV
`batches.inputs`      folders and globs: photos x styles
`batches.templates`   the names of the outputs
`batches.log`         the log, which is only a cache: the outputs and the list are the truth
`batches.shards`      the part of each of several machines
`batches.batch`       which pictures exist, which are missing, and painting those
"""
