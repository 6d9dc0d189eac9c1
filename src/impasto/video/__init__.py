"""Films: frames painted one after the other, each like the one before. Ruder, Dosovitskiy and Brox 2016.

Reading goes `clip` (what is in the file) -> `flow` (what has moved where) -> `filming` (painted, kept in a `ledger`) ->
`shooting` (the film, with the clip's times and sound).
"""
