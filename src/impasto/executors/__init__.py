"""Executors: many pictures painted here, by processes of this machine, or by a Ray cluster, behind one interface.

`executors.task`      one picture to paint, as plain data
`executors.base`      the interface: tasks go in, what is said of them comes out, a bounded number is under way
`executors.inline`    in this process
`executors.pool`      by workers that may die; `executors.local` and `executors.cluster` say what a worker is
"""
